// Sessions: how a session begins, how it is refreshed (each time with a new refresh token), and how it ends. Also the
// codes of PKCE (RFC 7636), which a redirect carries instead of a session.
import { createHash, randomBytes, randomUUID } from "node:crypto";
import { AuthError, invalid } from "./errors.mjs";
import { readAccessToken, signAccessToken } from "./tokens.mjs";
import { appMetadata, userView } from "./users.mjs";

// If a refresh token was replaced within this time, a second use counts as a request that was sent twice.
const REUSE_MS = 10_000;
const CODE_MS = 300_000;

const now = () => Math.floor(Date.now() / 1000);

/** Begins a session of a user who signed in by `method`. Returns the API's answer. */
export function begin(context, user, method) {
  const session = {
    id: randomUUID(),
    user_id: user.id,
    amr: [{ method, timestamp: now() }],
    refresh: [{ token: newRefreshToken(), used_at: null }],
  };
  user.last_sign_in_at = new Date().toISOString();
  context.store.sessions.push(session);
  context.store.save();
  return answer(context, user, session);
}

/** Refreshes the session of a refresh token. Returns the API's answer with a new refresh token. */
export function refresh(context, token) {
  const { store } = context;
  if (typeof token !== "string" || token === "") throw invalid("refresh_token is not valid");
  const session = store.sessions.find(({ refresh }) => refresh.some((one) => one.token === token));
  if (!session) throw new AuthError(400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found");
  const last = session.refresh.at(-1);
  const given = session.refresh.find((one) => one.token === token);
  if (given !== last) {
    const isParent = given === session.refresh.at(-2);
    if (!isParent || Date.now() - given.used_at > REUSE_MS) {
      // The old token may be stolen, so the session ends for every holder of one of its tokens.
      store.sessions = store.sessions.filter((other) => other !== session);
      store.save();
      throw new AuthError(400, "refresh_token_already_used", "Invalid Refresh Token: Already Used");
    }
  } else {
    given.used_at = Date.now();
    session.refresh.push({ token: newRefreshToken(), used_at: null });
    store.save();
  }
  return answer(context, userOf(store, session), session);
}

/** Returns `{ user, session }` for the access token of a request. Throws if there is no valid token. */
export function current({ store }, request) {
  const [scheme, token = ""] = (request.headers.authorization ?? "").split(" ");
  if (scheme.toLowerCase() !== "bearer" || token === "") {
    throw new AuthError(401, "no_authorization", "This endpoint requires a valid Bearer token");
  }
  const claims = readAccessToken(token, store.signingKey);
  if (!claims)
    throw new AuthError(403, "bad_jwt", "invalid JWT: unable to parse or verify signature, or it has expired");
  const session = store.sessions.find(({ id }) => id === claims.session_id);
  if (!session) throw new AuthError(403, "session_not_found", "Session from session_id claim in JWT does not exist");
  return { user: userOf(store, session), session };
}

/** Ends sessions of a user: this session (`local`), all other sessions (`others`), or all (`global`). */
export function end({ store }, { user, session }, scope) {
  const ends = {
    global: ({ user_id }) => user_id === user.id,
    local: (one) => one === session,
    others: (one) => one.user_id === user.id && one !== session,
  }[scope];
  if (!ends) throw invalid(`Unsupported logout scope "${scope}"`);
  store.sessions = store.sessions.filter((one) => !ends(one));
  store.save();
}

/**
 * Returns the address to which a browser goes after `user` has signed in by `method`: `redirectTo` with a code if the
 * client sent a PKCE challenge, otherwise `redirectTo` with the session after the #.
 */
export function redirectTo(context, user, method, { redirectTo, challenge, challengeMethod, type }) {
  const url = new URL(redirectTo);
  if (challenge) {
    const code = randomUUID();
    context.store.codes.push({ code, user_id: user.id, method, challenge, challengeMethod, at: Date.now() });
    context.store.save();
    url.searchParams.set("code", code);
  } else {
    const { user: _, weak_password, ...session } = begin(context, user, method);
    url.hash = new URLSearchParams({ ...session, ...(type && { type }) }).toString();
  }
  return url.href;
}

/** Exchanges a code for a session. A code works once, and only for the client that sent the challenge. */
export function exchange(context, { auth_code: given, code_verifier: verifier }) {
  const { store } = context;
  if (typeof given !== "string" || typeof verifier !== "string")
    throw invalid("both auth code and code verifier should be non-empty");
  const found = store.codes.find(({ code, at }) => code === given && Date.now() - at < CODE_MS);
  store.codes = store.codes.filter(({ code, at }) => code !== given && Date.now() - at < CODE_MS);
  store.save();
  if (!found) throw new AuthError(404, "flow_state_not_found", "invalid flow state, no valid flow state found");
  const is256 = found.challengeMethod?.toLowerCase() === "s256";
  const challenge = is256 ? createHash("sha256").update(verifier).digest("base64url") : verifier;
  if (challenge !== found.challenge)
    throw new AuthError(400, "bad_code_verifier", "code challenge does not match previously saved code verifier");
  return begin(
    context,
    store.users.find(({ id }) => id === found.user_id),
    found.method,
  );
}

function answer({ url, lifetimeS, store }, user, session) {
  const iat = now();
  const claims = {
    iss: `${url}/auth/v1`,
    sub: user.id,
    aud: "authenticated",
    exp: iat + lifetimeS,
    iat,
    email: user.email,
    phone: "",
    app_metadata: appMetadata(user),
    user_metadata: user.user_metadata,
    role: "authenticated",
    aal: "aal1",
    amr: session.amr,
    session_id: session.id,
    is_anonymous: false,
  };
  return {
    access_token: signAccessToken(claims, store.signingKey),
    token_type: "bearer",
    expires_in: lifetimeS,
    expires_at: claims.exp,
    refresh_token: session.refresh.at(-1).token,
    user: userView(user),
  };
}

function userOf(store, session) {
  return store.users.find(({ id }) => id === session.user_id);
}

function newRefreshToken() {
  return randomBytes(9).toString("base64url");
}
