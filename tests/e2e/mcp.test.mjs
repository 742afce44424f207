// POST /mcp: both eras, the seven tools, who may call them, and what a call costs.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { completionChunks } from "./chat.mjs";
import { nanoUsd, startGateway } from "./harness.mjs";
import { legacy, META, modern, MODERN, send, tool } from "./mcp.mjs";
import { events, eventStream, json } from "./upstream.mjs";

const TOOLS = [
  "chat_completion",
  "get_balance",
  "list_models",
  "list_api_keys",
  "create_api_key",
  "revoke_api_key",
  "get_usage",
];
// The model is always asked for a stream.
const answered = () => eventStream(events(completionChunks("chat")));
const HELLO = { model: "chat", messages: [{ role: "user", content: "Hello." }] };

let gateway;
let account;

before(async () => {
  gateway = await startGateway();
  account = await gateway.account();
});
after(() => gateway.close());

test("a modern client discovers, lists and calls", async () => {
  const discovered = await modern(gateway, account.key, "server/discover");
  assert.equal(discovered.status, 200);
  const { result } = discovered.body;
  assert.deepEqual(result.supportedVersions, [MODERN, "2025-11-25", "2025-06-18", "2025-03-26"]);
  assert.deepEqual([result.resultType, result.cacheScope, result.ttlMs > 0], ["complete", "private", true]);
  assert.equal(result._meta["io.modelcontextprotocol/serverInfo"].name, "oneinterface");
  const { body } = await modern(gateway, account.key, "tools/list");
  assert.deepEqual(
    body.result.tools.map(({ name }) => name),
    TOOLS,
  );
  assert.deepEqual(await tool(gateway, account.key, "get_balance"), {
    available_usd: "10",
    balance_usd: "10",
    held_usd: "0",
  });
});

test("a legacy client initialises, lists and calls, and has no session", async () => {
  const hello = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "test", version: "1" } };
  const begun = await send(gateway, account.key, { jsonrpc: "2.0", id: "a", method: "initialize", params: hello });
  assert.deepEqual([begun.status, begun.body.id, begun.body.result.protocolVersion], [200, "a", "2025-06-18"]);
  assert.equal(begun.body.result.serverInfo.name, "oneinterface");
  assert.equal(begun.headers.get("mcp-session-id"), null);
  const ready = await send(gateway, account.key, { jsonrpc: "2.0", method: "notifications/initialized" });
  assert.deepEqual([ready.status, ready.body], [202, null]);
  const { body: listed } = await legacy(gateway, account.key, "tools/list");
  assert.deepEqual(
    listed.result.tools.map(({ name }) => name),
    TOOLS,
  );
  assert.equal(listed.result.resultType, undefined);
  const { body: called } = await legacy(gateway, account.key, "tools/call", { name: "get_balance", arguments: {} });
  assert.equal(called.result.structuredContent.balance_usd, "10");
  assert.deepEqual((await legacy(gateway, account.key, "ping")).body, { jsonrpc: "2.0", id: 1, result: {} });
});

test("a model is asked with a hold, charged, and its answer told", async () => {
  const own = await gateway.account();
  gateway.upstream.answer("chat", answered());
  const before = await gateway.balance(own);
  const told = await tool(gateway, own.key, "chat_completion", HELLO);
  assert.equal(typeof told.text, "string");
  assert.equal(told.finish_reason, "stop");
  const { balance, held } = await gateway.balance(own);
  assert.equal(before.balance - balance, nanoUsd(told.cost_usd));
  assert.deepEqual([balance, held], [nanoUsd(told.balance_usd), 0n]);
  const [row] = await gateway.usageRows(own, 1);
  assert.deepEqual(
    [row.endpoint, row.model, row.status, row.request_id],
    ["/mcp", "chat", "completed", told.request_id],
  );
});

test("progress is told as the model speaks, then the result", async () => {
  const own = await gateway.account();
  const chunk = (delta, finish = null) => ({
    id: "c",
    object: "chat.completion.chunk",
    created: 1,
    model: "chat",
    choices: [{ index: 0, delta, finish_reason: finish }],
  });
  const usage = {
    id: "c",
    object: "chat.completion.chunk",
    created: 1,
    model: "chat",
    choices: [],
    usage: { prompt_tokens: 10, completion_tokens: 4, total_tokens: 14 },
  };
  const said = [
    chunk({ role: "assistant", content: "" }),
    chunk({ content: "One " }),
    chunk({ content: "two" }),
    chunk({}, "stop"),
    usage,
  ];
  gateway.upstream.answer("chat", eventStream(events(said), { sizes: [400], delayMs: 20 }));
  for (const era of ["modern", "legacy"]) {
    const params = { name: "chat_completion", arguments: HELLO, _meta: { progressToken: 7 } };
    const {
      status,
      headers,
      body: last,
      before: messages,
    } = era === "modern"
      ? await modern(gateway, own.key, "tools/call", params)
      : await legacy(gateway, own.key, "tools/call", params);
    assert.equal(status, 200);
    assert.match(headers.get("content-type"), /^text\/event-stream/);
    const progress = messages.map(({ method, params: { progress: reached, progressToken } }) => [
      method,
      progressToken,
      reached,
    ]);
    assert.ok(
      progress.length >= 1 && progress.every(([method, token]) => method === "notifications/progress" && token === 7),
      JSON.stringify(progress),
    );
    assert.ok(
      progress.every(([, , reached], index) => index === 0 || reached > progress[index - 1][2]),
      JSON.stringify(progress),
    );
    assert.equal(messages.map(({ params: { message } }) => message).join(""), "One two");
    const { structuredContent: told } = last.result;
    assert.deepEqual([told.text, told.finish_reason, told.usage.output_tokens, last.id], ["One two", "stop", 4, 1]);
    assert.equal((await gateway.balance(own)).balance, nanoUsd(told.balance_usd));
    assert.ok(nanoUsd(told.cost_usd) > 0n);
  }
});

test("a client that leaves its progress is charged by what was produced until then", async () => {
  const own = await gateway.account();
  const chunk = (choices, usage) => ({
    id: "c",
    object: "chat.completion.chunk",
    created: 1,
    model: "chat",
    choices,
    ...usage,
  });
  const words = Array.from({ length: 40 }, () =>
    chunk([{ index: 0, delta: { content: "word " }, finish_reason: null }]),
  );
  const end = [
    chunk([{ index: 0, delta: {}, finish_reason: "stop" }]),
    chunk([], { usage: { prompt_tokens: 10, completion_tokens: 40, total_tokens: 50 } }),
  ];
  gateway.upstream.answer("chat", eventStream(events([...words, ...end]), { sizes: [150], delayMs: 50 }));
  const leave = new AbortController();
  const params = { name: "chat_completion", arguments: HELLO, _meta: { ...META, progressToken: "p" } };
  const headers = {
    accept: "text/event-stream",
    "mcp-protocol-version": MODERN,
    "mcp-method": "tools/call",
    "mcp-name": "chat_completion",
  };
  const response = await gateway.fetch("/mcp", {
    method: "POST",
    key: own.key,
    headers,
    signal: leave.signal,
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params }),
  });
  await response.body.getReader().read();
  leave.abort();
  const [row] = await gateway.usageRows(own, 1);
  assert.deepEqual([row.status, row.settled_by], ["client_gone", "estimate"]);
  assert.ok(row.output_tokens >= 1 && row.output_tokens < 40, String(row.output_tokens));
  assert.equal((await gateway.balance(own)).held, 0n);
});

test("what a model did not do is a result that says why", async () => {
  const poor = await gateway.account({ usd: "0" });
  const error = async (key, args) => (await tool(gateway, key, "chat_completion", args)).error;
  assert.match(await error(poor.key, HELLO), /^Your credit balance is too low.* \(insufficient_credit\)$/);
  assert.match(await error(account.key, { ...HELLO, model: "nobody" }), /not available.*model_not_available/);
  assert.match(await error(account.key, { ...HELLO, n: 3 }), /no argument n\. It takes model, messages/);
  assert.match(await error(account.key, { ...HELLO, messages: "hi" }), /invalid_request/);
  gateway.upstream.answer("chat", json({ error: { message: "secret words" } }, { status: 500 }));
  const failed = await error(account.key, HELLO);
  assert.ok(failed.includes("upstream_unavailable") && !failed.includes("secret words"), failed);
});

test("keys are made, listed and ended", async () => {
  const own = await gateway.account();
  const made = await tool(gateway, own.key, "create_api_key", {
    name: "child",
    permissions: ["inference"],
    limits: { budget: { usd: "1", period: "daily" } },
  });
  assert.match(made.key, /^oi_1/);
  assert.deepEqual(
    [made.name, made.permissions, made.limits],
    ["child", ["inference"], { budget: { usd: "1", period: "daily" } }],
  );
  assert.equal((await gateway.fetch("/v1/models", { key: made.key })).status, 200);
  const { keys } = await tool(gateway, own.key, "list_api_keys");
  assert.deepEqual(keys.map(({ name }) => name).sort(), ["child", "test"]);
  assert.ok(!JSON.stringify(keys).includes(made.key));
  const first = await tool(gateway, own.key, "list_api_keys", { limit: 1 });
  const second = await tool(gateway, own.key, "list_api_keys", { limit: 1, cursor: first.next_cursor });
  assert.deepEqual([...first.keys, ...second.keys], keys);
  assert.equal(second.next_cursor, undefined);
  // The child may not make keys, and is told so; it cannot give what it has not.
  assert.match((await tool(gateway, made.key, "create_api_key", { name: "x" })).error, /permission keys:write/);
  const maker = await tool(gateway, own.key, "create_api_key", { name: "maker", permissions: ["keys:write"] });
  assert.match(
    (await tool(gateway, maker.key, "create_api_key", { name: "x", permissions: ["inference"] })).error,
    /may do more than itself\. Name fewer permissions/,
  );
  const limited = await tool(gateway, own.key, "create_api_key", { name: "limited", limits: { max_running: 1 } });
  assert.match(
    (await tool(gateway, limited.key, "revoke_api_key", { id: made.id })).error,
    /A key may end those that it made\. \(invalid_api_key\)/,
  );
  assert.deepEqual(await tool(gateway, own.key, "revoke_api_key", { id: limited.id }), { revoked: [limited.id] });
  await tool(gateway, own.key, "revoke_api_key", { id: maker.id });
  assert.match((await tool(gateway, own.key, "create_api_key", { name: "" })).error, /the field `name` is required/);
  assert.match(
    (await tool(gateway, own.key, "create_api_key", { colour: 1 })).error,
    /there is no field `colour`; there are `name`/,
  );
  assert.match((await tool(gateway, own.key, "revoke_api_key", { id: made.key })).error, /not the key itself/);
  assert.match((await tool(gateway, own.key, "revoke_api_key", { id: "key_none" })).error, /no such key/);
  assert.deepEqual(await tool(gateway, own.key, "revoke_api_key", { id: made.id }), { revoked: [made.id] });
  assert.deepEqual(await tool(gateway, own.key, "revoke_api_key", { id: made.id }), { revoked: [] });
  const { status, headers } = await modern(gateway, made.key, "tools/list");
  assert.deepEqual([status, headers.get("www-authenticate")], [401, "Bearer"]);
  const all = await tool(gateway, own.key, "list_api_keys", { include_revoked: true });
  assert.deepEqual(
    all.keys
      .filter(({ revoked_at: at }) => at !== null)
      .map(({ id }) => id)
      .sort(),
    [made.id, limited.id, maker.id].sort(),
  );
});

test("models are listed by pages, and by a word", async () => {
  const { data } = await (await gateway.fetch("/v1/models", { key: account.key })).json();
  const ids = [];
  let cursor;
  do {
    const page = await tool(gateway, account.key, "list_models", { limit: 7, ...(cursor && { cursor }) });
    assert.ok(page.models.length <= 7);
    ids.push(...page.models.map(({ id }) => id));
    cursor = page.next_cursor;
  } while (cursor);
  assert.deepEqual(
    ids,
    data.map(({ id }) => id),
  );
  const { models } = await tool(gateway, account.key, "list_models", { query: "EMBED" });
  assert.ok(
    models.length > 0 && models.every(({ id, display_name: name }) => `${id}${name}`.toLowerCase().includes("embed")),
  );
  assert.match((await tool(gateway, account.key, "list_models", { limit: 101 })).error, /1 to 100/);
});

test("keys are made with lists of models and addresses, and told of no other models", async () => {
  const own = await gateway.account();
  const create = (limits) => tool(gateway, own.key, "create_api_key", { name: "narrow", limits });
  const lists = { models: ["embed", "cha*"], addresses: ["203.0.113.0/24", "2001:db8::1"] };
  const made = await create({ models: lists.models });
  const placed = await create(lists);
  assert.deepEqual([made.limits, placed.limits], [{ models: lists.models }, lists]);
  const from = async (address) =>
    (await modern(gateway, placed.key, "tools/list", {}, { "cf-connecting-ip": address })).status;
  assert.deepEqual([await from("203.0.113.9"), await from("2001:db8::1"), await from("198.51.100.1")], [200, 200, 403]);
  const { data } = await (await gateway.fetch("/v1/models", { key: made.key })).json();
  const allowed = data.map(({ id }) => id);
  assert.ok(
    allowed.includes("chat") &&
      allowed.includes("embed") &&
      allowed.every((id) => id === "embed" || id.startsWith("cha")),
    allowed.join(),
  );
  assert.deepEqual(
    (await tool(gateway, made.key, "list_models", { limit: 100 })).models.map(({ id }) => id),
    allowed,
  );
  const read = async (uri) => (await modern(gateway, made.key, "resources/read", { uri })).body;
  assert.deepEqual(
    JSON.parse((await read("oneinterface://models")).result.contents[0].text).models.map(({ id }) => id),
    allowed,
  );
  assert.equal((await read("oneinterface://models/vendor%2Frenamed")).error.code, -32602);
  const refused = await tool(gateway, made.key, "chat_completion", { ...HELLO, model: "vendor/renamed" });
  assert.match(refused.error, /may not ask for this model/);
  for (const wrong of [{ models: [] }, { models: ["a*b"] }, { addresses: ["203.0.113.7/24"] }]) {
    assert.match((await create(wrong)).error, /cannot be taken/);
  }
});

test("usage is told up to the moment, by model and by request, with filters and pages", async () => {
  const own = await gateway.account();
  const other = await tool(gateway, own.key, "create_api_key", { name: "other" });
  gateway.upstream.answer("chat", answered());
  const told = [];
  for (const key of [own.key, other.key, own.key]) told.push(await tool(gateway, key, "chat_completion", HELLO));
  const used = await tool(gateway, own.key, "get_usage");
  assert.deepEqual(
    used.requests.map(({ request_id: id }) => id),
    told.map(({ request_id: id }) => id).reverse(),
  );
  assert.deepEqual(
    used.requests.map(({ kind, model, endpoint, status }) => [kind, model, endpoint, status]),
    Array(3).fill(["usage", "chat", "/mcp", "completed"]),
  );
  const [{ cost_usd: cost, ...sum }, ...rest] = used.by_model;
  const tokens = told.map(({ usage }) => [usage.input_tokens, usage.output_tokens]);
  assert.deepEqual(
    [sum, rest],
    [{ model: "chat", requests: 3, input_tokens: 3 * tokens[0][0], output_tokens: 3 * tokens[0][1] }, []],
  );
  assert.equal(
    nanoUsd(cost),
    told.reduce((all, { cost_usd: one }) => all + nanoUsd(one), 0n),
  );
  assert.ok(Math.abs(Date.parse(used.as_of) - Date.now()) < 60_000, used.as_of);
  const first = await tool(gateway, own.key, "get_usage", { limit: 2 });
  const second = await tool(gateway, own.key, "get_usage", { limit: 2, cursor: first.next_cursor });
  assert.deepEqual([...first.requests, ...second.requests], used.requests);
  assert.deepEqual([second.next_cursor, second.by_model], [undefined, undefined]);
  const asked = async (key, args) => {
    const { requests, by_model: models } = await tool(gateway, key, "get_usage", args);
    return [requests.length, models.reduce((all, { requests: one }) => all + one, 0)];
  };
  const found = {
    "a key": { key_id: other.id },
    "no key": { key_id: "key_other" },
    "a model": { model: "chat" },
    "no model": { model: "none" },
  };
  const counts = await Promise.all(Object.values(found).map((args) => asked(own.key, args)));
  assert.deepEqual(
    counts,
    [
      [1, 1],
      [0, 0],
      [3, 3],
      [0, 0],
    ],
    Object.keys(found).join(),
  );
  assert.deepEqual(await asked(account.key, { key_id: other.id }), [0, 0], "another account's usage is nobody's");
  assert.match((await tool(gateway, own.key, "get_usage", { days: 91 })).error, /1 to 90/);
  // Days are those of UTC, today included: what one key did was yesterday.
  await gateway.usageRows(own, 3);
  await gateway.db
    .prepare("UPDATE journal SET created_at_ms = created_at_ms - 86400000 WHERE key_id = ?")
    .bind(other.id)
    .run();
  await gateway.db.prepare("UPDATE usage_daily SET day = day - 1 WHERE key_id = ?").bind(other.id).run();
  assert.deepEqual(
    [await asked(own.key, { days: 1 }), await asked(own.key, { days: 2 })],
    [
      [2, 2],
      [3, 3],
    ],
  );
});

test("a key is told of what it may call, and refused what it may not", async () => {
  const listed = async (key, method, field) =>
    (await modern(gateway, key, method)).body.result[field].map(({ name }) => name);
  for (const [permission, tools, resources, prompts] of [
    ["inference", ["chat_completion", "list_models"], ["models"], ["choose_model"]],
    ["account:read", ["get_balance", "list_api_keys", "get_usage"], ["usage"], ["explain_spend"]],
    ["keys:write", ["create_api_key", "revoke_api_key"], [], []],
  ]) {
    const key = await gateway.key(account, [permission]);
    assert.deepEqual(await listed(key, "tools/list", "tools"), tools);
    assert.deepEqual(await listed(key, "resources/list", "resources"), resources);
    assert.deepEqual(await listed(key, "prompts/list", "prompts"), prompts);
    for (const name of TOOLS.filter((one) => !tools.includes(one))) {
      assert.match(
        (await tool(gateway, key, name, {})).error,
        /^This API key does not have the permission /,
        `${permission} ${name}`,
      );
    }
  }
});

test("the owner's session is a caller too, and asks models without a key", async () => {
  const own = await gateway.account();
  const session = gateway.session(own);
  const { body } = await modern(gateway, session, "tools/list");
  assert.deepEqual(
    body.result.tools.map(({ name }) => name),
    TOOLS,
  );
  assert.equal((await tool(gateway, session, "get_balance")).balance_usd, "10");
  const { key } = await tool(gateway, session, "create_api_key", { name: "by session" });
  assert.equal((await tool(gateway, key, "get_balance")).balance_usd, "10");
  gateway.upstream.answer("chat", answered());
  const told = await tool(gateway, session, "chat_completion", HELLO);
  assert.deepEqual([told.text, told.finish_reason], ["hello", "stop"]);
  assert.deepEqual(await gateway.balance(own), { balance: nanoUsd(told.balance_usd), held: 0n });
  assert.equal(10_000_000_000n - nanoUsd(told.balance_usd), nanoUsd(told.cost_usd));
  const [row] = await gateway.usageRows(own, 1);
  assert.deepEqual([row.key_id, row.request_id, row.status], [null, told.request_id, "completed"]);
  const { requests } = await tool(gateway, session, "get_usage");
  assert.deepEqual([requests.length, requests[0].request_id, requests[0].key_id], [1, told.request_id, undefined]);
  // What an object that slept reads of it.
  await gateway.evict(own);
  assert.equal((await tool(gateway, session, "get_balance")).balance_usd, told.balance_usd);
  // The API itself takes keys alone.
  const api = await gateway.fetch("/v1/chat/completions", {
    method: "POST",
    key: session,
    body: JSON.stringify(HELLO),
  });
  assert.equal(api.status, 401);
});

test("no limit of a key binds the owner, and the balance does", async () => {
  const own = await gateway.account({ usd: "0" });
  const session = gateway.session(own);
  for (const turn of [1, 2]) {
    assert.match(
      (await tool(gateway, session, "chat_completion", HELLO)).error,
      /balance is too low.*\(insufficient_credit\)$/,
      turn,
    );
  }
  await gateway.grant(own, "1");
  gateway.upstream.answer("chat", answered());
  await gateway.keys(own, "POST", "", { name: "tight", limits: { requests_per_minute: 1, max_running: 1 } });
  const asked = Array.from({ length: 4 }, () =>
    tool(gateway, session, "chat_completion", { ...HELLO, max_tokens: 100 }),
  );
  assert.deepEqual(
    (await Promise.all(asked)).map(({ text }) => text),
    Array(4).fill("hello"),
  );
});

test("resources, templates, prompts and completions", async () => {
  const read = (uri, era = modern) => era(gateway, account.key, "resources/read", { uri });
  const { body: models } = await read("oneinterface://models");
  const [content] = models.result.contents;
  assert.deepEqual([content.uri, content.mimeType], ["oneinterface://models", "application/json"]);
  const [{ id }] = JSON.parse(content.text).models;
  assert.equal(
    JSON.parse((await read(`oneinterface://models/${encodeURIComponent(id)}`)).body.result.contents[0].text).id,
    id,
  );
  assert.ok(JSON.parse((await read("oneinterface://usage/30")).body.result.contents[0].text).by_model);
  for (const uri of ["oneinterface://models/nobody", "oneinterface://usage/0", "file:///etc/passwd"]) {
    const [now, then] = [await read(uri), await read(uri, legacy)];
    assert.deepEqual([now.status, now.body.error.code, now.body.error.data], [400, -32602, { uri }]);
    assert.deepEqual([then.status, then.body.error.code], [200, -32002]);
  }
  const { body: templates } = await modern(gateway, account.key, "resources/templates/list");
  assert.deepEqual(
    templates.result.resourceTemplates.map(({ uriTemplate }) => uriTemplate),
    ["oneinterface://models/{id}", "oneinterface://usage/{days}"],
  );
  const prompt = await modern(gateway, account.key, "prompts/get", {
    name: "choose_model",
    arguments: { task: "haiku" },
  });
  assert.match(prompt.body.result.messages[0].content.text, /task: haiku/);
  const complete = async (argument, ref) =>
    (await modern(gateway, account.key, "completion/complete", { ref, argument })).body.result.completion;
  const found = await complete(
    { name: "id", value: "cha" },
    { type: "ref/resource", uri: "oneinterface://models/{id}" },
  );
  assert.ok(
    found.values.includes("chat") && found.values.every((value) => value.startsWith("cha")),
    JSON.stringify(found),
  );
  assert.ok(
    (await complete({ name: "like", value: "cha" }, { type: "ref/prompt", name: "choose_model" })).values.includes(
      "chat",
    ),
  );
  assert.deepEqual(
    (await complete({ name: "task", value: "x" }, { type: "ref/prompt", name: "choose_model" })).values,
    [],
  );
});

test("a key that is revoked during a call: the call ends well, the next is 401", async () => {
  const own = await gateway.account();
  const { key, id } = await tool(gateway, own.key, "create_api_key", { name: "short-lived" });
  let arrived;
  const asked = new Promise((resolve) => (arrived = resolve));
  let release;
  const held = new Promise((resolve) => (release = resolve));
  gateway.upstream.answerOnce("chat", async (response, seen) => {
    arrived();
    await held;
    await answered()(response, seen);
  });
  const call = tool(gateway, key, "chat_completion", HELLO);
  await asked;
  await tool(gateway, own.key, "revoke_api_key", { id });
  release();
  assert.equal((await call).finish_reason, "stop");
  const next = await modern(gateway, key, "tools/call", { name: "chat_completion", arguments: HELLO });
  assert.deepEqual(
    [next.status, next.headers.get("www-authenticate"), next.body.error.code],
    [401, "Bearer", "invalid_api_key"],
  );
});
