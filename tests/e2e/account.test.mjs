// The account of a user: made once, shown, and signed out of everywhere.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { errorBody } from "./chat.mjs";
import { freshSecrets, startGateway } from "./harness.mjs";
import { signTexts } from "./tokens.mjs";

const PROJECT = "http://127.0.0.1:54321";
const ANON_KEY = "sb_publishable_test";
const SIGN_IN = errorBody("invalid_api_key", "Sign in to use the console.");

const secrets = freshSecrets();
let gateway;
before(async () => {
  const vars = {
    SUPABASE_URL: PROJECT,
    WELCOME_CREDIT_USD: "2.5",
    SUPABASE_ANON_KEY: ANON_KEY,
    OAUTH_PROVIDERS: "google, github",
  };
  gateway = await startGateway({ secrets, vars });
});
after(() => gateway.close());

/** A session of a user; `inS` seconds from now. */
function session(userId, { inS = 0 } = {}) {
  const iat = Math.floor(Date.now() / 1000) + inS;
  const own = {
    iss: `${PROJECT}/auth/v1`,
    sub: userId,
    aud: "authenticated",
    role: "authenticated",
    email: "a@example.com",
  };
  return signTexts('{"alg":"HS256"}', JSON.stringify({ ...own, iat, exp: iat + 600 }), secrets.SUPABASE_JWT_SECRET);
}

async function call(method, path, key, body) {
  const response = await gateway.fetch(path, { method, key, ...(body && { body: JSON.stringify(body) }) });
  const text = await response.text();
  return { status: response.status, body: text === "" ? null : JSON.parse(text) };
}

test("the first sign-in makes the account, with its welcome, however often it comes at once", async () => {
  const userId = randomUUID();
  const token = session(userId);
  const missing = await call("GET", "/console/api/account", token);
  assert.deepEqual([missing.status, missing.body.error.code], [404, "invalid_request"]);
  const made = await Promise.all(
    Array.from({ length: 20 }, () => call("POST", "/console/api/account", session(userId))),
  );
  for (const { status, body } of made) {
    assert.equal(status, 200);
    assert.equal(body.account_id, made[0].body.account_id);
  }
  const { status, body } = await call("GET", "/console/api/account", token);
  assert.equal(status, 200);
  const { account_id: accountId, created_at: created, ...rest } = body;
  assert.match(accountId, /^acct_[0-9a-v]{16}$/);
  assert.match(created, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.deepEqual(rest, {
    user: { id: userId, email: "a@example.com" },
    balance_usd: "2.5",
    held_usd: "0",
    available_usd: "2.5",
    uncollected_usd: "0",
  });
  const journal = await gateway.journal({ accountId });
  assert.deepEqual(
    journal.map(({ id, kind, amount_nano: amount }) => [id, kind, amount]),
    [["welcome", "grant", 2_500_000_000]],
  );
  const spelled = await call("POST", "/console/api/account", session(userId.toUpperCase()));
  assert.equal(spelled.body.account_id, accountId, "a UUID is the same in capitals");
});

test("a key sees the account that it belongs to, if it may, and nobody's name", async () => {
  const account = await gateway.account({ usd: "0" });
  const shown = await call("GET", "/console/api/account", account.key);
  assert.deepEqual(
    [shown.status, shown.body.account_id, shown.body.user, shown.body.balance_usd],
    [200, account.accountId, null, "2.5"],
  );
  const inference = await gateway.key(account, ["inference"]);
  assert.equal((await call("GET", "/console/api/account", inference)).status, 403);
  for (const [method, path] of [
    ["POST", "/console/api/account"],
    ["DELETE", "/console/api/sessions"],
  ]) {
    assert.deepEqual(await call(method, path, account.key), { status: 401, body: SIGN_IN }, path);
    assert.deepEqual(await call(method, path), { status: 401, body: SIGN_IN }, path);
  }
});

test("signing out everywhere ends every session from before, at once, and no key", async () => {
  const account = await gateway.account();
  const other = await gateway.account();
  const [old, later] = [session(account.userId), session(account.userId, { inS: 2 })];
  assert.equal((await call("GET", "/console/api/account", old)).status, 200);
  assert.deepEqual(await call("DELETE", "/console/api/sessions", old), { status: 204, body: null });
  const initialize = { jsonrpc: "2.0", id: 1, method: "tools/list", params: {} };
  for (const [method, path, body] of [
    ["GET", "/console/api/account"],
    ["POST", "/console/api/account"],
    ["DELETE", "/console/api/sessions"],
    ["GET", "/console/api/keys"],
    ["POST", "/console/api/keys", { name: "x" }],
    ["PATCH", "/console/api/keys/key_x", { name: "x" }],
    ["DELETE", "/console/api/keys/key_x"],
  ]) {
    assert.deepEqual(await call(method, path, old, body), { status: 401, body: SIGN_IN }, `${method} ${path}`);
  }
  const mcp = await call("POST", "/mcp", old, initialize);
  assert.deepEqual([mcp.status, mcp.body.error.code], [401, "invalid_api_key"]);
  assert.equal((await call("GET", "/console/api/account", later)).status, 200, "a new sign-in");
  assert.equal((await call("GET", "/console/api/account", account.key)).status, 200, "a key is no session");
  assert.equal(
    (await call("GET", "/console/api/account", gateway.session(other))).status,
    200,
    "nobody else is signed out",
  );
  await gateway.evict(account);
  assert.equal((await call("GET", "/console/api/account", old)).status, 401, "it is written down");
  assert.equal((await call("GET", "/console/api/account", later)).status, 200);
  assert.equal(
    (await call("DELETE", "/console/api/sessions", session(randomUUID()))).status,
    404,
    "who has no account",
  );
});

test("the web app is told what it must know, and no secret", async () => {
  assert.deepEqual(await call("GET", "/console/api/config"), {
    status: 200,
    body: {
      supabase_url: PROJECT,
      supabase_anon_key: ANON_KEY,
      oauth_providers: ["google", "github"],
      base_url: gateway.url,
      payments: false,
    },
  });
});
