// The first account and its key, made through the Worker's console API with a session of the local developer: the
// way that the web app takes.
import { randomBytes } from "node:crypto";
import { signToken } from "./jwt.mjs";
import { StepFailed } from "./steps.mjs";

/** Who the first account belongs to. */
const EMAIL = "developer@localhost";
// Of a developer who signs in at no project: fixed, for the secret that signs the session is the user's own.
const DEVELOPER_ID = "d0000000-0000-4000-8000-000000000001";

/**
 * Makes sure that `origin` has the developer's account, and a key that works: the one in `kept` (an earlier result),
 * or a new one. `settings` are the Worker's variables, `signIn` the stand-in, where it runs. Resolves to
 * `{ firstRun: {base_url, api_key, account_id, email?, password?}, balanceUsd, key: "kept"|"made"|"replaced" }`, or
 * to null where nobody here can sign in: at a project of the user's own, without its shared secret.
 */
export async function ensureAccount({ origin, settings, signIn, kept }) {
  const { session, login, problem } = await developer({ settings, signIn, kept });
  if (!session) {
    // The developer has another password by now, or signs in elsewhere; the key may be good all the same.
    if (kept && (await keyWorks(origin, kept.api_key))) return { firstRun: kept, balanceUsd: await balance(origin, kept.api_key), key: "kept" };
    if (problem) throw new StepFailed(`${EMAIL} cannot sign in (${problem}), and the key of an earlier start does not work: begin anew with --fresh.`);
    return null;
  }
  const account = await consoleCall(origin, session, "/console/api/account");
  const sameAccount = kept?.account_id === account.account_id;
  const works = sameAccount && (await keyWorks(origin, kept.api_key));
  const apiKey = works ? kept.api_key : (await consoleCall(origin, session, "/console/api/keys", { name: "first key" })).key;
  return {
    firstRun: { base_url: origin, api_key: apiKey, account_id: account.account_id, ...login },
    balanceUsd: account.balance_usd,
    key: works ? "kept" : kept ? "replaced" : "made",
  };
}

/** A session of the developer, and how to sign in as one; neither where that is not ours to know. */
async function developer({ settings, signIn, kept }) {
  if (signIn) return signedIn(signIn, kept);
  return settings.SUPABASE_JWT_SECRET ? { session: signSession(settings) } : {};
}

/** Signs the developer in at the stand-in: with the password of an earlier start, or with a new one by signing up. */
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

/** A session as Supabase signs it with a shared secret: a JWT under HS256. */
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

/** The balance as a key sees it; "?" where it may not. */
async function balance(origin, key) {
  const response = await fetch(`${origin}/console/api/account`, { headers: { authorization: `Bearer ${key}` } });
  return (await response.json()).balance_usd ?? "?";
}

async function keyWorks(origin, key) {
  const response = await fetch(`${origin}/v1/models`, { headers: { authorization: `Bearer ${key}` } });
  await response.body?.cancel();
  return response.status !== 401;
}
