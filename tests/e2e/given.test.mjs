// What counts as given, in the JSON API and in MCP's tools alike: nulls, empty strings, whole floats, names, expiries.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { chatBody, completion, completionChunks } from "./chat.mjs";
import { startGateway } from "./harness.mjs";
import { legacy, send, tool } from "./mcp.mjs";
import { events, eventStream, json } from "./upstream.mjs";

let gateway;
let account;
before(async () => {
  gateway = await startGateway();
  gateway.upstream.answer("chat", json(completion("chat")));
  account = await gateway.account();
  assert.equal(
    (await gateway.fetch("/v1/chat/completions", { method: "POST", key: account.key, body: chatBody("chat") })).status,
    200,
  );
});
after(() => gateway.close());

const make = (body) => gateway.keys(account, "POST", "", body);
const listed = async (id) => (await gateway.keys(account, "GET")).body.data.find((key) => key.id === id);

test("issue 13: money-3 and money-4, every tool takes whole floats as integers, and nulls and empty strings as absent", async () => {
  const usage = (args) => tool(gateway, account.key, "get_usage", args);
  const plain = await usage({ days: 7 });
  assert.equal(plain.by_model.length, 1);
  const { as_of: _, ...shown } = plain;
  for (const args of [
    { days: 7, model: "", key_id: "" },
    { days: 7, cursor: "" },
    { days: null, limit: null, model: null },
    { days: "" },
  ]) {
    const { as_of: _, ...got } = await usage(args);
    assert.deepEqual(got, shown, JSON.stringify(args));
  }
  // As text, for JavaScript writes 7.0 as 7.
  const call = async (name, args) => {
    const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"${name}","arguments":${args}}}`;
    return (await send(gateway, account.key, body, { "mcp-protocol-version": "2025-11-25" })).body.result;
  };
  gateway.upstream.answer("chat", eventStream(events(completionChunks("chat"))));
  for (const [name, args] of [
    ["get_usage", '{"days":7.0,"limit":2e0}'],
    ["list_models", '{"limit":7.0,"query":"","cursor":""}'],
    ["list_api_keys", '{"limit":7.0,"cursor":"","include_revoked":null}'],
    [
      "create_api_key",
      '{"name":"floats","limits":{"requests_per_minute":7.0,"max_running":2.0,"expires_at":"","models":null}}',
    ],
    [
      "chat_completion",
      '{"model":"chat","messages":[{"role":"user","content":"hi"}],"max_tokens":7.0,"seed":5.0,"reasoning_effort":""}',
    ],
  ]) {
    const result = await call(name, args);
    assert.equal(result.isError, false, `${name}: ${JSON.stringify(result.content)}`);
    if (name === "create_api_key")
      assert.deepEqual(result.structuredContent.limits, { requests_per_minute: 7, max_running: 2 });
  }
  assert.match(String(gateway.upstream.requests.at(-1).body), /"max_(completion_)?tokens": ?7[,}]/);
  gateway.upstream.answer("chat", json(completion("chat")));
  for (const [args, told] of [
    ['{"days":91}', "`days` must be a whole number from 1 to 90"],
    ['{"days":7.5}', "from 1 to 90"],
    ['{"limit":0}', "from 1 to 100"],
  ]) {
    const result = await call("get_usage", args);
    assert.ok(result.isError && result.content[0].text.includes(told), `${args}: ${result.content[0].text}`);
  }
  for (const days of ["", "7.0", "7"]) {
    const { body } = await legacy(gateway, account.key, "prompts/get", { name: "explain_spend", arguments: { days } });
    assert.match(body.result.messages[0].content.text, /with days 7,/, days);
  }
  for (const uri of ["oneinterface://usage/", "oneinterface://usage/7.0"]) {
    const { body } = await legacy(gateway, account.key, "resources/read", { uri });
    assert.equal(JSON.parse(body.result.contents[0].text).by_model.length, 1, uri);
  }
});

test("issue 13: initialize negotiates whatever its header says", async () => {
  const params = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "t", version: "1" } };
  for (const version of ["2024-11-05", "2026-07-28", "nonsense"]) {
    const { status, body } = await legacy(gateway, account.key, "initialize", params, {
      "mcp-protocol-version": version,
    });
    assert.deepEqual([status, body.result.protocolVersion], [200, "2025-06-18"], version);
  }
});

test("issue 13: null and the empty string are absent on every JSON route, and 7.0 is 7", async () => {
  const nothing = {
    permissions: null,
    limits: { budget: null, requests_per_minute: "", models: null, expires_at: "" },
  };
  const { status, body } = await make({ name: "nulls", ...nothing });
  assert.deepEqual([status, body.limits, body.permissions.length], [201, {}, 3]);
  const text = async (method, path, sent) => {
    const response = await gateway.fetch(`/console/api/${path}`, { method, key: account.key, body: sent });
    return { status: response.status, body: await response.json() };
  };
  const made = await text("POST", "keys", '{"name":"float","limits":{"requests_per_minute":60.0,"max_running":2e0}}');
  assert.deepEqual([made.status, made.body.limits], [201, { requests_per_minute: 60, max_running: 2 }]);
  const changed = await text(
    "PATCH",
    `keys/${made.body.id}`,
    '{"name":"","limits":{"max_running":3.0,"expires_at":""}}',
  );
  assert.deepEqual(
    [changed.status, changed.body.name, changed.body.limits],
    [200, "float", { requests_per_minute: 60, max_running: 3 }],
  );
  for (const grace of ["null", '""', "60.0"]) {
    const { body: one } = await make({ name: "rotated" });
    assert.equal((await text("POST", `keys/${one.id}/rotate`, `{"grace_seconds":${grace}}`)).status, 201, grace);
  }
  for (const [sent, told] of [
    ['{"name":null}', "The field `name` is required."],
    ['{"name":""}', "The field `name` is required."],
  ]) {
    const { status, body } = await text("POST", "keys", sent);
    assert.deepEqual([status, body.error.param, body.error.message], [400, "name", told]);
  }
  for (const query of [
    "usage?limit=7.0&model=&cursor=",
    "journal?limit=7.0&kind=&cursor=",
    "topups?limit=7.0&cursor=",
    "usage/daily?model=&key_id=",
  ]) {
    assert.equal((await gateway.fetch(`/console/api/${query}`, { key: account.key })).status, 200, query);
  }
});

test("issue 13: money-8, an expiry in the past is refused, and the key lives on", async () => {
  const past = { limits: { expires_at: "2020-01-01T00:00:00Z" } };
  const made = await make({ name: "old", ...past });
  assert.deepEqual([made.status, made.body.error.param], [400, "limits.expires_at"]);
  assert.match(
    (await tool(gateway, account.key, "create_api_key", { name: "old", ...past })).error,
    /expiry must lie in the future/,
  );
  const { body: key } = await make({ name: "living" });
  const changed = await gateway.keys(account, "PATCH", `/${key.id}`, past);
  assert.deepEqual([changed.status, changed.body.error.param], [400, "limits.expires_at"]);
  assert.equal((await gateway.fetch("/v1/models", { key: key.key })).status, 200);
});

test("issue 13: names are trimmed, and free of characters that hide or turn text", async () => {
  const { body: key } = await make({ name: " \tCI\u00a0 " });
  assert.equal(key.name, "CI");
  assert.equal((await gateway.keys(account, "PATCH", `/${key.id}`, { name: "  Deploy " })).body.name, "Deploy");
  assert.equal((await tool(gateway, account.key, "create_api_key", { name: " by MCP " })).name, "by MCP");
  for (const name of ["a\u202eb", "a\u200bb", "a\u0007b", "a\nb", "   "]) {
    for (const refused of [await make({ name }), await gateway.keys(account, "PATCH", `/${key.id}`, { name })]) {
      assert.deepEqual([refused.status, refused.body.error.param], [400, "name"], JSON.stringify(name));
    }
    assert.match(
      (await tool(gateway, account.key, "create_api_key", { name })).error,
      /^The name must/,
      JSON.stringify(name),
    );
  }
  assert.equal((await listed(key.id)).name, "Deploy");
});

test("issue 13: a change merges limit by limit, null lifts one, and the answer is the key", async () => {
  const limits = {
    requests_per_minute: 60,
    budget: { usd: "5", period: "monthly" },
    expires_at: "2099-01-01T00:00:00.000Z",
    models: ["chat"],
  };
  const { body: key } = await make({ name: "k", limits });
  const change = (body) => gateway.keys(account, "PATCH", `/${key.id}`, body);
  const faster = await change({ limits: { requests_per_minute: 120 } });
  assert.deepEqual([faster.status, faster.body], [200, await listed(key.id)]);
  assert.deepEqual(faster.body.limits, { ...limits, requests_per_minute: 120 }, "the budget stays");
  for (const same of [{}, { limits: {} }, { limits: null }, { name: null }])
    assert.deepEqual((await change(same)).body, faster.body, JSON.stringify(same));
  const { budget: _, ...rest } = faster.body.limits;
  assert.deepEqual((await change({ limits: { budget: null } })).body.limits, rest);
  const all = {
    requests_per_minute: null,
    max_running: null,
    budget: null,
    expires_at: null,
    models: null,
    addresses: null,
  };
  assert.deepEqual((await change({ limits: all })).body.limits, {});
  assert.deepEqual((await change({ limits: { budget: { usd: "1" } } })).body.error.param, "limits.budget.period");
});

test("issue 13: a 402 of a budget in all speaks of no next period", async () => {
  for (const [period, waits] of [
    ["daily", true],
    ["total", false],
  ]) {
    const { body: key } = await make({ name: "short", limits: { budget: { usd: "0.000001", period } } });
    const response = await gateway.fetch("/v1/chat/completions", {
      method: "POST",
      key: key.key,
      body: chatBody("chat"),
    });
    const { error } = await response.json();
    assert.deepEqual([response.status, error.reason], [402, "key_budget"]);
    assert.equal(/renews|period/.test(error.message), waits, error.message);
  }
});
