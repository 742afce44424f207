// Creates the first account and its key. It calls the Worker's console API with a session of the local developer, as
// the web app does.
import { randomBytes } from "node:crypto";
import { signToken } from "./jwt.mjs";
import { StepFailed } from "./steps.mjs";

/** The e-mail address of the owner of the first account. */
const EMAIL = "developer@localhost";
// The id of a developer who signs in without a Supabase project. The id may be fixed, because only the user has the
// secret that signs the session.
const DEVELOPER_ID = "d0000000-0000-4000-8000-000000000001";

/**
 * Makes sure that the gateway at `origin` has the developer's account and a key that works: the key in `kept` (an
 * earlier result) or a new one. `settings` are the Worker's variables; `signIn` is the sign-in stand-in, if it runs.
 * Resolves to
 * `{ firstRun: {base_url, api_key, account_id, email?, password?}, balanceUsd, key: "kept"|"made"|"replaced" }`.
 * Resolves to null if the user has a Supabase project and no shared secret: then this program cannot sign in.
 */
export async function ensureAccount({ origin, settings, signIn, kept }) {
  const { session, login, problem } = await developer({ settings, signIn, kept });
  if (!session) {
    // The developer has changed the password or signs in at another project. The kept key may still work.
    if (kept && (await keyWorks(origin, kept.api_key)))
      return { firstRun: kept, balanceUsd: await balance(origin, kept.api_key), key: "kept" };
    if (problem)
      throw new StepFailed(
        `${EMAIL} cannot sign in (${problem}), and the key of an earlier start does not work. Start again with --fresh.`,
      );
    return null;
  }
  const account = await consoleCall(origin, session, "/console/api/account");
  const sameAccount = kept?.account_id === account.account_id;
  const works = sameAccount && (await keyWorks(origin, kept.api_key));
  const apiKey = works
    ? kept.api_key
    : (await consoleCall(origin, session, "/console/api/keys", { name: "first key" })).key;
  return {
    firstRun: { base_url: origin, api_key: apiKey, account_id: account.account_id, ...login },
    balanceUsd: account.balance_usd,
    key: works ? "kept" : kept ? "replaced" : "made",
  };
}

/** Returns a session of the developer and the login for it, or neither if the user's own project does the sign-in. */
async function developer({ settings, signIn, kept }) {
  if (signIn) return signedIn(signIn, kept);
  return settings.SUPABASE_JWT_SECRET ? { session: signSession(settings) } : {};
}

/** Signs the developer in at the stand-in, with the password of an earlier start; otherwise signs up with a new one. */
async function signedIn({ url, anonKey }, kept) {
  const call = async (path, body) => {
    const headers = { apikey: anonKey, "content-type": "application/json" };
    const response = await fetch(`${url}/auth/v1${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    const answer = await response.json();
    return response.ok ? { session: answer.access_token, login: body } : { problem: answer.message };
  };
  if (kept?.password) {
    const known = await call("/token?grant_type=password", { email: kept.email, password: kept.password });
    if (known.session) return known;
  }
  return call("/signup", { email: EMAIL, password: randomBytes(12).toString("base64url") });
}

/** Returns a session as Supabase signs it with a shared secret: a JWT with HS256. */
function signSession({ SUPABASE_URL, SUPABASE_JWT_SECRET }) {
  const claims = {
    iss: `${SUPABASE_URL.replace(/\/+$/, "")}/auth/v1`,
    sub: DEVELOPER_ID,
    aud: "authenticated",
    role: "authenticated",
    email: EMAIL,
  };
  return signToken(claims, SUPABASE_JWT_SECRET);
}

async function consoleCall(origin, session, path, body = {}) {
  const response = await fetch(`${origin}${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${session}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new StepFailed(`POST ${path} answered ${response.status}: ${text}`);
  return JSON.parse(text);
}

/** Returns the balance that the key may read, or "?" if the key may not read it. */
async function balance(origin, key) {
  const response = await fetch(`${origin}/console/api/account`, { headers: { authorization: `Bearer ${key}` } });
  return (await response.json()).balance_usd ?? "?";
}

async function keyWorks(origin, key) {
  const response = await fetch(`${origin}/v1/models`, { headers: { authorization: `Bearer ${key}` } });
  await response.body?.cancel();
  return response.status !== 401;
}
