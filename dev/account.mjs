// The first account and its key, made through the Worker's console API with a session of the local
// developer: the way that the console takes.
import { signToken } from "./jwt.mjs";
import { StepFailed } from "./steps.mjs";

/**
 * Makes sure that `origin` has the developer's account, and a key that works: the one in `kept` (an
 * earlier result), or a new one. `settings` are the Worker's variables, `developerId` the user's UUID.
 * Resolves to `{ firstRun: {base_url, api_key, account_id}, balanceUsd, key: "kept"|"made"|"replaced" }`.
 */
export async function ensureAccount({ origin, settings, developerId, kept }) {
  const session = signSession(settings, developerId);
  const account = await consoleCall(origin, session, "/console/api/account");
  const sameAccount = kept?.account_id === account.account_id;
  const works = sameAccount && (await keyWorks(origin, kept.api_key));
  const apiKey = works ? kept.api_key : (await consoleCall(origin, session, "/console/api/keys", { name: "first key" })).key;
  return {
    firstRun: { base_url: origin, api_key: apiKey, account_id: account.account_id },
    balanceUsd: account.balance_usd,
    key: works ? "kept" : kept ? "replaced" : "made",
  };
}

/** A session as Supabase signs it: a JWT under HS256. */
function signSession({ SUPABASE_URL, SUPABASE_JWT_SECRET }, developerId) {
  const claims = {
    iss: `${SUPABASE_URL}/auth/v1`,
    sub: developerId,
    aud: "authenticated",
    role: "authenticated",
    email: "developer@localhost",
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

async function keyWorks(origin, key) {
  const response = await fetch(`${origin}/v1/models`, { headers: { authorization: `Bearer ${key}` } });
  await response.body?.cancel();
  return response.status !== 401;
}
