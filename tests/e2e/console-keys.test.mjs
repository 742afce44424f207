// Allow-lists of keys, rotation, and when a key was last used.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { chatBody, completion, errorBody } from "./chat.mjs";
import { startGateway } from "./harness.mjs";
import { modern } from "./mcp.mjs";
import { json } from "./upstream.mjs";

let gateway;
before(async () => {
  gateway = await startGateway();
  gateway.upstream.answer("chat", json(completion("chat")));
});
after(() => gateway.close());

const chat = async (key, { model = "chat", from, more } = {}) => {
  const headers = from ? { "cf-connecting-ip": from } : {};
  const response = await gateway.fetch("/v1/chat/completions", {
    method: "POST",
    key,
    headers,
    body: chatBody(model, more),
  });
  return { status: response.status, body: await response.json() };
};

/** A new key with `limits`, made by the owner, or by the key `by`. */
async function made(account, limits, by) {
  const { status, body } = await gateway.keys(account, "POST", "", { name: "limited", limits }, by);
  assert.equal(status, 201, JSON.stringify(body));
  return body;
}

const NO_MODEL = errorBody("invalid_api_key", "This API key may not ask for this model.", "model");
const NO_ADDRESS = errorBody("invalid_api_key", "This API key may not be used from this address.");

test("a key asks for the models of its list alone, and sees no others", async () => {
  const account = await gateway.account();
  const parent = await made(account, { models: ["chat", "vendor/*"] });
  const child = await made(account, {}, parent.key);
  const asked = gateway.upstream.requests.length;
  for (const { key } of [parent, child]) {
    assert.deepEqual(await chat(key, { model: "caching" }), { status: 403, body: NO_MODEL });
    assert.equal((await chat(key)).status, 200);
    const { data } = await (await gateway.fetch("/v1/models", { key })).json();
    assert.deepEqual(data.map(({ id }) => id).sort(), ["chat", "vendor/embed", "vendor/renamed"]);
    assert.equal((await gateway.fetch("/v1/models/chat", { key })).status, 200);
    const hidden = await gateway.fetch("/v1/models/caching", { key });
    assert.deepEqual([hidden.status, await hidden.json()], [403, NO_MODEL]);
    const counted = await gateway.fetch("/v1/messages/count_tokens", {
      method: "POST",
      key,
      body: chatBody("caching"),
    });
    assert.deepEqual([counted.status, (await counted.json()).error.code], [403, "invalid_api_key"]);
    const headers = {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": "2025-11-25",
    };
    const call = {
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: { name: "chat_completion", arguments: JSON.parse(chatBody("caching")) },
    };
    const mcp = await (
      await gateway.fetch("/mcp", { method: "POST", key, headers, body: JSON.stringify(call) })
    ).json();
    assert.equal(mcp.result.isError, true);
    assert.match(mcp.result.content[0].text, /may not ask for this model/);
  }
  assert.equal(gateway.upstream.requests.length, asked + 2, "what is refused reaches nobody");

  const wider = await gateway.keys(account, "POST", "", { name: "x", limits: { models: ["*"] } }, parent.key);
  assert.equal(wider.status, 403);
  assert.equal(
    (await gateway.keys(account, "PATCH", `/${parent.id}`, { limits: { models: ["caching"] } })).status,
    200,
  );
  assert.deepEqual(
    await chat(child.key),
    { status: 403, body: NO_MODEL },
    "at once, and for those that descend from it",
  );
});

test("a key is used from the addresses of its list alone, on every route", async () => {
  const account = await gateway.account();
  const { id, key } = await made(account, { addresses: ["203.0.113.0/24", "2001:db8::/32"] });
  for (const from of ["203.0.113.9", "2001:db8:1::9", "::ffff:203.0.113.9"])
    assert.equal((await chat(key, { from })).status, 200, from);
  const elsewhere = ["203.0.114.1", "2001:db9::1"];
  for (const from of elsewhere) assert.deepEqual(await chat(key, { from }), { status: 403, body: NO_ADDRESS }, from);
  for (const path of [
    "/v1/models",
    "/v1/key",
    "/v1/credits",
    "/v1/activity",
    "/console/api/keys",
    "/console/api/usage",
    "/console/api/balance",
    "/console/api/topups",
  ]) {
    const answer = async (from) => {
      const response = await gateway.fetch(path, { key, headers: { "cf-connecting-ip": from } });
      return [response.status, await response.json()];
    };
    assert.deepEqual(await answer(elsewhere[0]), [403, NO_ADDRESS], path);
    assert.equal((await answer("203.0.113.9"))[0], 200, path);
  }
  for (const [from, status] of [
    [elsewhere[0], 403],
    ["203.0.113.9", 404],
  ]) {
    assert.equal(
      (await gateway.fetch("/v1/generation?id=req_1", { key, headers: { "cf-connecting-ip": from } })).status,
      status,
      from,
    );
  }
  const kept = JSON.stringify([await gateway.rows(account, "SELECT * FROM holds"), await gateway.journal(account)]);
  assert.ok(!kept.includes("203.0.113.9") && !kept.includes("2001:db8:1::9"), "where people are is not kept");
  const listed = (await gateway.keys(account, "GET")).body.data.find((one) => one.id === id);
  assert.deepEqual(listed.limits, { addresses: ["203.0.113.0/24", "2001:db8::/32"] });
  for (const addresses of [["203.0.113.9/24"], ["nowhere"], []]) {
    const { status, body } = await gateway.keys(account, "PATCH", `/${id}`, { limits: { addresses } });
    assert.deepEqual([status, body.error.param], [400, "limits.addresses"], JSON.stringify(addresses));
  }
});

test("a rotated key goes on for its grace, in one budget with the new one", async () => {
  const account = await gateway.account();
  const old = await made(account, { budget: { usd: "0.01", period: "total" } });
  const child = await made(account, {}, old.key);
  assert.equal((await chat(old.key)).status, 200);
  const rotated = await gateway.keys(account, "POST", `/${old.id}/rotate`, { grace_seconds: 2 });
  const ends = performance.now() + 2_000;
  assert.equal(rotated.status, 201, JSON.stringify(rotated.body));
  const { id, key, start, replaces, old_key_ends_at: endsAt, ...rest } = rotated.body;
  assert.deepEqual(rest, { name: "limited", permissions: old.permissions, limits: old.limits });
  assert.equal(replaces, old.id);
  assert.ok(key.startsWith(start) && start.length === 24 && key !== old.key);
  assert.ok(Math.abs(Date.parse(endsAt) - Date.now() - 2_000) < 2_000, endsAt);
  for (const one of [old.key, key, child.key]) assert.equal((await chat(one)).status, 200);
  const again = await gateway.keys(account, "POST", `/${old.id}/rotate`, { grace_seconds: 0 });
  assert.deepEqual([again.status, again.body.error.code], [409, "invalid_request"]);
  assert.equal((await gateway.keys(account, "PATCH", `/${old.id}`, { limits: {} })).status, 409, "its end stands");

  await gateway.evict(account);
  const listed = new Map((await gateway.keys(account, "GET")).body.data.map((one) => [one.id, one]));
  // Four requests of 70,000 nano-USD, one before the rotation.
  assert.equal(listed.get(id).spent_usd, "0.00028");
  assert.deepEqual(
    [listed.get(old.id).replaced_by, listed.get(old.id).parent_id, listed.get(child.id).parent_id],
    [id, id, id],
  );
  assert.equal(listed.get(id).parent_id, null);

  await sleep(Math.max(0, ends - performance.now()) + 50);
  assert.equal((await chat(old.key)).status, 401);
  for (const one of [key, child.key]) assert.equal((await chat(one)).status, 200);
  const shut = await gateway.keys(account, "POST", `/${id}/rotate`);
  assert.equal(shut.status, 201, JSON.stringify(shut.body));
  assert.equal((await chat(key)).status, 401, "without a grace at once");
  assert.equal((await gateway.keys(account, "DELETE", `/${shut.body.id}`)).status, 200);
  assert.equal((await chat(child.key)).status, 401, "and with the newest all of them end");

  for (const [grace, status] of [
    [604_801, 400],
    [-1, 400],
    ["soon", 400],
  ]) {
    assert.equal(
      (await gateway.keys(account, "POST", `/${id}/rotate`, { grace_seconds: grace })).status,
      status,
      String(grace),
    );
  }
  const [first] = (await gateway.keys(account, "GET")).body.data;
  assert.equal((await gateway.keys(account, "POST", `/${first.id}x/rotate`, {})).status, 404);
});

test("the list says when a key was last used, and how it begins", async () => {
  const account = await gateway.account();
  const { id, key } = await made(account, {});
  const listed = async () => (await gateway.keys(account, "GET")).body.data.find((one) => one.id === id);
  assert.equal((await listed()).last_used_at, null);
  assert.ok(key.startsWith((await listed()).start));
  const before = Date.now();
  assert.equal((await chat(key)).status, 200);
  const { last_used_at: at } = await listed();
  assert.ok(Date.parse(at) >= before - 5 && Date.parse(at) <= Date.now(), at);
  await gateway.evict(account);
  assert.equal((await listed()).last_used_at, at, "after a sleep as well");
});

test("issue 13: a rotated key runs requests and reads itself, and nothing else, on every route", async () => {
  const account = await gateway.account();
  const { status: made, body: old } = await gateway.keys(account, "POST", "", {
    name: "all",
    permissions: ["inference", "account:read", "keys:write"],
  });
  assert.equal(made, 201, JSON.stringify(old));
  const child = (await gateway.keys(account, "POST", "", { name: "child" }, old.key)).body;
  // As a thief who has it as well would: the owner rotates it, with a grace.
  const fresh = (await gateway.keys(account, "POST", `/${old.id}/rotate`, { grace_seconds: 600 }, old.key)).body;
  const before = (await gateway.keys(account, "GET")).body.data.map(({ id, name, parent_id: parent }) => [
    id,
    name,
    parent,
  ]);

  const ask = async (method, path, body) => {
    const response = await gateway.fetch(path, { method, key: old.key, ...(body && { body: JSON.stringify(body) }) });
    const text = await response.text();
    return { status: response.status, text };
  };
  const keys = "/console/api/keys";
  for (const [method, path, body, expected] of [
    ["POST", "/v1/chat/completions", JSON.parse(chatBody("chat")), 200],
    ["GET", "/v1/models", null, 200],
    ["GET", "/v1/key", null, 200],
    ["GET", "/v1/credits", null, 403],
    ["GET", "/console/api/balance", null, 403],
    ["GET", "/console/api/account", null, 403],
    ["GET", "/console/api/journal", null, 403],
    ["GET", "/console/api/usage", null, 403],
    ["GET", "/console/api/topups", null, 403],
    ["GET", "/console/api/topups/auto", null, 403],
    ["GET", keys, null, 403],
    ["POST", keys, { name: "stolen" }, 403],
    ...[old.id, fresh.id, child.id].flatMap((id) => [
      ["PATCH", `${keys}/${id}`, { name: "stolen" }, 403],
      ["POST", `${keys}/${id}/rotate`, {}, 403],
      ["DELETE", `${keys}/${id}`, null, 403],
    ]),
  ]) {
    const { status, text } = await ask(method, path, body);
    assert.equal(status, expected, `${method} ${path}: ${text}`);
    if (expected === 403) assert.match(text, /was rotated/, `${method} ${path}`);
  }
  const tools = ({ body }) => body.result.tools.map(({ name }) => name).filter((name) => name.includes("key"));
  const [mine, theirs] = [
    await modern(gateway, fresh.key, "tools/list"),
    await modern(gateway, old.key, "tools/list"),
  ].map(tools);
  assert.ok(mine.length > 0, "the new key has them");
  assert.deepEqual(theirs, []);
  for (const name of mine) {
    const { body } = await modern(
      gateway,
      old.key,
      "tools/call",
      { name, arguments: { id: fresh.id, key_id: fresh.id, name: "stolen" } },
      { "mcp-name": name },
    );
    assert.ok(body.error || body.result.isError, `${name}: ${JSON.stringify(body)}`);
  }
  assert.deepEqual(
    (await gateway.keys(account, "GET")).body.data.map(({ id, name, parent_id: parent }) => [id, name, parent]),
    before,
  );
});
