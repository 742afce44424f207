// API keys: where they may stand, and which ones open nothing.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { chatBody, completion, errorBody } from "./chat.mjs";
import { startGateway, UPSTREAM_KEYS } from "./harness.mjs";
import { json } from "./upstream.mjs";

let gateway;
let account;

before(async () => {
  gateway = await startGateway();
  account = await gateway.account();
  gateway.upstream.answer("chat", json(completion("chat")));
});
after(() => gateway.close());

const INVALID = errorBody("invalid_api_key", "The API key is missing, revoked or invalid. Make one in Console.");

const ROUTES = [
  ["POST", "/v1/chat/completions", chatBody("chat")],
  ["POST", "/v1/embeddings", JSON.stringify({ model: "embed", input: "hi" })],
  ["GET", "/v1/models"],
  ["GET", "/v1/models/chat"],
];

test("a key may stand in either header, on every route", async () => {
  gateway.upstream.answer(
    "embed",
    json({ object: "list", data: [{ object: "embedding", index: 0, embedding: [1] }], usage: { prompt_tokens: 1 } }),
  );
  const wrong = `${account.key.slice(0, -1)}${account.key.endsWith("0") ? "1" : "0"}`;
  for (const [method, path, body] of ROUTES) {
    for (const headers of [
      { authorization: `Bearer ${account.key}` },
      { authorization: `bearer  ${account.key}` },
      { "x-api-key": account.key },
      // Clients that send both mean one of them for us.
      { authorization: `Bearer ${account.key}`, "x-api-key": "sk-other" },
      { authorization: "Bearer sk-other", "x-api-key": account.key },
      { authorization: `Bearer ${wrong}`, "x-api-key": account.key },
    ]) {
      const response = await gateway.fetch(path, { method, body, headers });
      assert.equal(response.status, 200, `${path} ${Object.keys(headers)}: ${await response.text()}`);
    }
  }
});

test("no key, and what is none, is 401 on every route, before the body is read", async () => {
  const { key } = account;
  const flipped = (at) => `${key.slice(0, at)}${key[at] === "0" ? "1" : "0"}${key.slice(at + 1)}`;
  const asked = gateway.upstream.requests.length;
  for (const headers of [
    {},
    { authorization: "" },
    { authorization: "Bearer" },
    { authorization: key },
    { authorization: `Basic ${Buffer.from(`user:${key}`).toString("base64")}` },
    { authorization: "Bearer garbage" },
    { "x-api-key": "garbage" },
    { authorization: `Bearer ${key}0` },
    { authorization: `Bearer ${key.toUpperCase()}` },
    { authorization: `Bearer ${flipped(3)}` }, // the version of the pepper
    { authorization: `Bearer ${flipped(4)}` }, // the account
    { authorization: `Bearer ${flipped(30)}` }, // the secret
    { authorization: `Bearer ${flipped(key.length - 2)}` }, // the tag
    { authorization: `Bearer ${UPSTREAM_KEYS.MAIN_KEY}` },
  ]) {
    for (const [method, path, body] of ROUTES) {
      const response = await gateway.fetch(path, { method, headers, body: body && "not even JSON" });
      assert.equal(response.status, 401, `${path} ${JSON.stringify(headers)}`);
      assert.equal(response.headers.get("x-should-retry"), "false");
      assert.match(response.headers.get("x-request-id"), /^req_/);
      assert.deepEqual(await response.json(), INVALID);
    }
  }
  assert.equal(gateway.upstream.requests.length, asked);
});

test("another gateway's key is none here", async () => {
  const other = await startGateway();
  try {
    const { key } = await other.account();
    const response = await gateway.fetch("/v1/models", { key });
    assert.deepEqual([response.status, await response.json()], [401, INVALID]);
  } finally {
    await other.close();
  }
});

test("a key without the permission to infer is 403", async () => {
  const reader = await gateway.key(account, ["account:read"]);
  const asked = gateway.upstream.requests.length;
  const journal = await gateway.journal(account);
  for (const [method, path, body] of ROUTES) {
    const response = await gateway.fetch(path, { method, body, key: reader });
    const expected = errorBody("invalid_api_key", "This API key does not have the permission for this request.");
    assert.deepEqual([response.status, await response.json()], [403, expected], path);
  }
  assert.equal(gateway.upstream.requests.length, asked);
  assert.deepEqual(await gateway.journal(account), journal);
});

test("one account cannot spend another's money", async () => {
  const [rich, poor] = [await gateway.account({ usd: "5" }), await gateway.account({ usd: "0" })];
  const body = chatBody("chat");
  const served = await gateway.fetch("/v1/chat/completions", { method: "POST", key: rich.key, body });
  const refused = await gateway.fetch("/v1/chat/completions", { method: "POST", key: poor.key, body });
  assert.deepEqual([served.status, refused.status], [200, 402]);
  const [row] = await gateway.usageRows(rich, 1);
  assert.equal(row.request_id, served.headers.get("x-request-id"));
  assert.deepEqual(await gateway.journal(poor), []);
});

test("a console session is no API key, and an API key is no session", async () => {
  const signIn = await gateway.fetch("/console/api/account", { method: "POST", key: account.key, body: "{}" });
  assert.deepEqual(
    [signIn.status, await signIn.json()],
    [401, errorBody("invalid_api_key", "Sign in to use the console.")],
  );
  const entry = { account_id: account.accountId, id: "x", kind: "grant", amount_usd: "1" };
  const response = await gateway.fetch("/operator/entries", {
    method: "POST",
    key: account.key,
    body: JSON.stringify(entry),
  });
  assert.deepEqual(
    [response.status, await response.json()],
    [401, errorBody("invalid_api_key", "This route needs an operator's token.")],
  );
});
