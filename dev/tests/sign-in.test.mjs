// The sign-in stand-in, spoken to by the client that the web app has.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { createClient } from "@supabase/supabase-js";
import { startSignIn } from "../sign-in/server.mjs";

const APP = "http://app.localhost:8787";
const PASSWORD = "correct horse battery staple";

let folder, file, server;
before(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), "sign-in-"));
  file = path.join(folder, "sign-in.json");
  server = await startSignIn({ app: [APP], file });
});
after(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

/** A client with a storage of its own, as a browser has one. */
function client(flowType = "implicit") {
  const kept = new Map();
  const storage = {
    getItem: (name) => kept.get(name) ?? null,
    setItem: (name, value) => void kept.set(name, value),
    removeItem: (name) => void kept.delete(name),
  };
  const auth = { flowType, storage, persistSession: true, autoRefreshToken: false, detectSessionInUrl: false };
  return createClient(server.url, server.anonKey, { auth }).auth;
}

const address = (name) => `${name}@example.com`;
const signedUp = async (name) => {
  const auth = client();
  const { data, error } = await auth.signUp({ email: address(name), password: PASSWORD });
  assert.equal(error, null);
  return { auth, ...data };
};
const claimsOf = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString());
/** Where a page leads that a browser would follow. */
const leads = async (url, init) => {
  const response = await fetch(url, { ...init, redirect: "manual" });
  assert.equal(response.status, 303, await response.text());
  return new URL(response.headers.get("location"));
};

test("a user who signs up is signed in, and can sign in again", async () => {
  const { session, user } = await signedUp("ada");
  assert.equal(user.email, address("ada"));
  assert.deepEqual([session.token_type, session.expires_in], ["bearer", 3600]);
  const { iss, sub, aud, role, is_anonymous: anonymous, exp, iat, amr } = claimsOf(session.access_token);
  assert.deepEqual(
    [iss, sub, aud, role, anonymous],
    [`${server.url}/auth/v1`, user.id, "authenticated", "authenticated", false],
  );
  assert.equal(exp - iat, 3600);
  assert.equal(amr[0].method, "password");

  const other = client();
  const { data, error } = await other.signInWithPassword({ email: "ADA@example.com", password: PASSWORD });
  assert.equal(error, null);
  assert.equal(data.user.id, user.id);
  // The library checks the signature by the published key.
  const { data: checked } = await other.getClaims();
  assert.deepEqual([checked.claims.sub, checked.header.alg], [user.id, "ES256"]);
  assert.equal((await other.getUser()).data.user.id, user.id);
});

test("refusals have Supabase's error codes", async () => {
  const { user } = await signedUp("bob");
  const refused = async (call, code, status) => {
    const { error } = await call(client());
    assert.deepEqual([error?.code, error?.status], [code, status]);
  };
  await refused((auth) => auth.signUp({ email: user.email, password: PASSWORD }), "user_already_exists", 422);
  await refused((auth) => auth.signUp({ email: address("short"), password: "short" }), "weak_password", 422);
  await refused((auth) => auth.signUp({ email: "nobody", password: PASSWORD }), "validation_failed", 400);
  await refused((auth) => auth.signInAnonymously(), "anonymous_provider_disabled", 422);
  await refused(
    (auth) => auth.signInWithPassword({ email: user.email, password: "wrong" }),
    "invalid_credentials",
    400,
  );
  await refused(
    (auth) => auth.signInWithPassword({ email: address("nobody"), password: PASSWORD }),
    "invalid_credentials",
    400,
  );
  await refused(
    (auth) => auth.signInWithOtp({ email: address("nobody"), options: { shouldCreateUser: false } }),
    "otp_disabled",
    422,
  );
  await refused((auth) => auth.verifyOtp({ email: user.email, token: "000000", type: "email" }), "otp_expired", 403);
  const withoutKey = await fetch(`${server.url}/auth/v1/signup`, { method: "POST", body: "{}" });
  assert.equal(withoutKey.status, 401);
});

test("a refresh token works once, and again only for a moment", async () => {
  const { auth, session } = await signedUp("carol");
  const { data: first } = await auth.refreshSession();
  assert.notEqual(first.session.refresh_token, session.refresh_token);
  // Sent twice, as two tabs do.
  const again = await client().refreshSession({ refresh_token: session.refresh_token });
  assert.equal(again.data.session.refresh_token, first.session.refresh_token);
  const { data: second } = await auth.refreshSession();
  // One before the last was taken from somebody: everybody who has the session is signed out.
  const stolen = await client().refreshSession({ refresh_token: session.refresh_token });
  assert.equal(stolen.error.code, "refresh_token_already_used");
  const after = await client().refreshSession({ refresh_token: second.session.refresh_token });
  assert.equal(after.error.code, "refresh_token_not_found");
});

test("a link by mail, or its code, signs in once", async () => {
  const auth = client();
  assert.equal(
    (await auth.signInWithOtp({ email: address("dora"), options: { emailRedirectTo: `${APP}/auth/callback` } })).error,
    null,
  );
  const inbox = await (await fetch(`${server.url}/inbox`)).text();
  assert.match(inbox, /dora@example\.com/);
  const [mail] = server.mails();
  const { data, error } = await auth.verifyOtp({ email: address("dora"), token: mail.code, type: "email" });
  assert.equal(error, null);
  assert.equal(data.user.email, address("dora"));
  assert.equal(
    (await auth.verifyOtp({ email: address("dora"), token: mail.code, type: "email" })).error.code,
    "otp_expired",
  );

  await auth.signInWithOtp({ email: address("dora"), options: { emailRedirectTo: `${APP}/auth/callback` } });
  const link = (await (await fetch(`${server.url}/inbox`)).text()).match(/href="([^"]+)"/)[1].replaceAll("&#38;", "&");
  const reached = await leads(link);
  assert.equal(`${reached.origin}${reached.pathname}`, `${APP}/auth/callback`);
  const session = new URLSearchParams(reached.hash.slice(1));
  assert.equal((await client().getUser(session.get("access_token"))).data.user.id, data.user.id);
  assert.match((await leads(link)).hash, /error_code=otp_expired/);
});

test("a link that was requested with a challenge gives a code that only this client can use", async () => {
  const auth = client("pkce");
  await auth.signInWithOtp({ email: address("erin"), options: { emailRedirectTo: `${APP}/auth/callback` } });
  const [mail] = server.mails();
  assert.match(mail.hash, /^pkce_/);
  const reached = await leads(
    `${server.url}/auth/v1/verify?${new URLSearchParams({ token: mail.hash, type: mail.type, redirect_to: mail.redirect })}`,
  );
  const { data, error } = await auth.exchangeCodeForSession(reached.searchParams.get("code"));
  assert.equal(error, null);
  assert.equal(data.user.email, address("erin"));
});

test("sign-in by another provider gives a code that only the same client can exchange, once", async () => {
  const begin = async (auth) => {
    const { data } = await auth.signInWithOAuth({
      provider: "google",
      options: { redirectTo: `${APP}/auth/callback`, skipBrowserRedirect: true },
    });
    const page = await (await fetch(data.url)).text();
    const hidden = [...page.split("</form>")[0].matchAll(/name="(\w+)" value="([^"]*)"/g)].map(([, name, value]) => [
      name,
      value,
    ]);
    return Object.fromEntries(hidden.filter(([name]) => name !== "email"));
  };
  const choose = async (form) =>
    leads(`${server.url}/auth/v1/authorize`, { method: "POST", body: new URLSearchParams(form) });
  const auth = client("pkce");
  const form = await begin(auth);
  const reached = await choose({ ...form, email: address("frank") });
  assert.equal(`${reached.origin}${reached.pathname}`, `${APP}/auth/callback`);
  const code = reached.searchParams.get("code");
  const { data, error } = await auth.exchangeCodeForSession(code);
  assert.equal(error, null);
  assert.deepEqual([data.user.email, data.user.app_metadata.provider], [address("frank"), "google"]);

  const thief = client("pkce");
  await begin(thief);
  const second = await choose({ ...(await begin(auth)), email: address("frank") });
  assert.equal((await thief.exchangeCodeForSession(second.searchParams.get("code"))).error.code, "bad_code_verifier");
  assert.equal(
    (await auth.exchangeCodeForSession(second.searchParams.get("code"))).error.code,
    "flow_state_not_found",
    "it was used",
  );

  const cancelled = await choose({ ...(await begin(auth)), cancel: "1" });
  assert.equal(cancelled.searchParams.get("error"), "access_denied");
  const foreign = await choose({
    ...(await begin(auth)),
    redirect_to: "https://evil.example/",
    email: address("frank"),
  });
  assert.equal(foreign.origin, APP, "nobody is sent elsewhere");
  const unknown = await fetch(`${server.url}/auth/v1/authorize?provider=nobody`);
  assert.equal(unknown.status, 400);
});

test("signing out ends this session, the others, or all", async () => {
  const { auth, session } = await signedUp("gail");
  const second = client();
  await second.signInWithPassword({ email: address("gail"), password: PASSWORD });
  const third = client();
  const { data: kept } = await third.signInWithPassword({ email: address("gail"), password: PASSWORD });
  assert.equal((await auth.signOut({ scope: "local" })).error, null);
  assert.equal(
    (await client().refreshSession({ refresh_token: session.refresh_token })).error.code,
    "refresh_token_not_found",
  );
  assert.equal((await third.signOut({ scope: "others" })).error, null);
  assert.notEqual((await second.refreshSession()).error, null);
  assert.equal((await third.refreshSession()).error, null);
  assert.equal((await third.signOut({ scope: "global" })).error, null);
  const { error } = await client().getUser(kept.session.access_token);
  assert.equal(error.name, "AuthSessionMissingError");
});

test("a user changes password and name", async () => {
  const { auth, user } = await signedUp("hugo");
  const { data, error } = await auth.updateUser({ password: "another long one", data: { name: "Hugo" } });
  assert.equal(error, null);
  assert.equal(data.user.user_metadata.name, "Hugo");
  assert.equal(
    (await client().signInWithPassword({ email: user.email, password: PASSWORD })).error.code,
    "invalid_credentials",
  );
  assert.equal((await client().signInWithPassword({ email: user.email, password: "another long one" })).error, null);
  await client().resetPasswordForEmail(user.email, { redirectTo: `${APP}/settings` });
  const [mail] = server.mails();
  assert.deepEqual([mail.to, mail.type], [user.email, "recovery"]);
  assert.equal((await client().verifyOtp({ token_hash: mail.hash, type: "recovery" })).data.user.id, user.id);
});

test("only pages of the app may call the server, and only by its own host name", async () => {
  const asked = async (origin) => {
    const headers = { origin, "access-control-request-headers": "apikey,x-client-info" };
    const response = await fetch(`${server.url}/auth/v1/token`, { method: "OPTIONS", headers });
    return [
      response.status,
      response.headers.get("access-control-allow-origin"),
      response.headers.get("access-control-allow-headers"),
    ];
  };
  assert.deepEqual(await asked(APP), [204, APP, "apikey,x-client-info"]);
  assert.deepEqual(await asked("https://evil.example"), [204, null, null]);
  const [response] = await once(http.get(`${server.url}/inbox`, { headers: { host: "evil.example" } }), "response");
  response.resume();
  assert.equal(response.statusCode, 403);
});

test("the state survives a restart, and only its owner can read the file", async () => {
  const { session, user } = await signedUp("ivan");
  await server.close();
  server = await startSignIn({ app: [APP], file });
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const { data, error } = await client().refreshSession({ refresh_token: session.refresh_token });
  assert.equal(error, null);
  assert.equal(data.user.id, user.id);
  assert.equal((await client().signInWithPassword({ email: user.email, password: PASSWORD })).error, null);
});
