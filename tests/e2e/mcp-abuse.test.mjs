// POST /mcp, abused: the exact status and code of each refusal. What needs no Worker is a table of its own
// in crates/mcp/tests/abuse.rs.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { completionChunks } from "./chat.mjs";
import { startGateway } from "./harness.mjs";
import { legacy, META, modern, MODERN, send, tool } from "./mcp.mjs";
import { events, eventStream } from "./upstream.mjs";

let gateway;
let account;

before(async () => {
  gateway = await startGateway();
  account = await gateway.account();
});
after(() => gateway.close());

const list = { jsonrpc: "2.0", id: 1, method: "tools/list", params: {} };

test("without a key nothing is read", async () => {
  for (const key of [undefined, "oi_1forged", "sk-other", "eyJhbGciOiJIUzI1NiJ9.e30.x"]) {
    for (const body of [list, "no JSON", ""]) {
      const { status, headers, body: told } = await send(gateway, key, body);
      assert.deepEqual(
        [status, headers.get("www-authenticate"), told.error.code],
        [401, "Bearer", "invalid_api_key"],
        `${key} ${JSON.stringify(told)}`,
      );
      // It says what to send, for most clients show it.
      assert.match(told.error.message, /header `Authorization: Bearer oi_…`.*`x-api-key: oi_…`.*session token/);
    }
  }
});

test("only POST", async () => {
  for (const method of ["GET", "DELETE", "PUT", "HEAD"]) {
    const response = await gateway.fetch("/mcp", { method, key: account.key });
    assert.deepEqual([response.status, response.headers.get("allow")], [405, "POST"], method);
    await response.arrayBuffer();
  }
});

test("pages of other origins are refused, before their key is looked at", async () => {
  for (const origin of ["https://evil.example", "http://evil.example", "null", "http://localhost:1"]) {
    const { status } = await send(gateway, undefined, list, { origin });
    assert.equal(status, 403, origin);
  }
  assert.equal((await send(gateway, account.key, list, { origin: gateway.url })).status, 200);
});

test("what is no request is refused by its code", async () => {
  const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
  for (const [body, status, code] of [
    ["", 400, -32700],
    ["{", 400, -32700],
    ["[]", 400, -32600],
    [[list], 400, -32600],
    [[list, list], 400, -32600],
    ["1", 400, -32600],
    // Nesting is bounded before a body is read as JSON-RPC, as its size is.
    [deep, 400, "invalid_request"],
    [`{"jsonrpc":"2.0","id":${deep},"method":"ping"}`, 400, "invalid_request"],
    [`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"x":${deep}}}`, 400, "invalid_request"],
    [{ ...list, jsonrpc: "1.0" }, 400, -32600],
    [{ ...list, id: null }, 400, -32600],
    [{ ...list, id: 1.5 }, 400, -32600],
    [{ ...list, id: true }, 400, -32600],
    [{ ...list, id: "x".repeat(300) }, 400, -32600],
    [{ ...list, method: "tools/call", params: { name: "get_balance", arguments: [] } }, 200, -32602],
    [{ ...list, params: [] }, 400, -32602],
    [{ ...list, method: "nothing" }, 200, -32601],
    [{ ...list, params: { cursor: "x" } }, 200, -32602],
  ]) {
    const answer = await send(gateway, account.key, body);
    assert.deepEqual([answer.status, answer.body.error?.code], [status, code], JSON.stringify(body).slice(0, 80));
  }
});

test("a body that is too large is 413", async () => {
  const { status, body } = await send(
    gateway,
    account.key,
    `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"${"x".repeat(33 << 20)}"}}`,
  );
  assert.deepEqual([status, body.error.code], [413, "invalid_request"]);
});

test("modern requests say what they are, in both places", async () => {
  const cases = [
    [{}, { "mcp-method": "tools/call" }, 400, -32020],
    [{}, { "mcp-method": "" }, 400, -32020],
    [{}, { "mcp-protocol-version": "2025-11-25" }, 400, -32020],
    [
      { _meta: { "io.modelcontextprotocol/protocolVersion": "2099-01-01" } },
      { "mcp-protocol-version": "2099-01-01" },
      400,
      -32022,
    ],
    [{ _meta: { "io.modelcontextprotocol/clientCapabilities": undefined } }, {}, 400, -32602],
  ];
  for (const [params, headers, status, code] of cases) {
    const answer = await modern(gateway, account.key, "tools/list", params, headers);
    assert.deepEqual(
      [answer.status, answer.body.error?.code, answer.body.id],
      [status, code, 1],
      JSON.stringify([params, headers]),
    );
  }
  for (const method of ["initialize", "ping", "logging/setLevel", "nothing"]) {
    const answer = await modern(gateway, account.key, method);
    assert.deepEqual([answer.status, answer.body.error.code], [404, -32601], method);
  }
  const bare = await send(gateway, account.key, { ...list, params: { _meta: META } }, { "mcp-method": "tools/list" });
  assert.deepEqual([bare.status, bare.body.error.code], [400, -32020]);
  const named = await modern(
    gateway,
    account.key,
    "tools/call",
    { name: "get_balance", arguments: {} },
    { "mcp-name": "get_usage" },
  );
  assert.deepEqual([named.status, named.body.error.code], [400, -32020]);
  const encoded = `=?base64?${Buffer.from("get_balance").toString("base64")}?=`;
  assert.equal(
    (await modern(gateway, account.key, "tools/call", { name: "get_balance", arguments: {} }, { "mcp-name": encoded }))
      .status,
    200,
  );
  const unknown = await modern(gateway, account.key, "tools/call", { name: "delete_everything", arguments: {} });
  assert.deepEqual([unknown.status, unknown.body.error.code], [400, -32602]);
});

test("an unknown version is refused with those that are known", async () => {
  const { status, body } = await legacy(
    gateway,
    account.key,
    "tools/list",
    {},
    { "mcp-protocol-version": "1999-01-01" },
  );
  assert.deepEqual(
    [status, body.error.code, body.error.data.requested, body.error.data.supported[0]],
    [400, -32022, "1999-01-01", MODERN],
  );
});

test("arguments that a call keeps take room, as every body does", async () => {
  let release;
  const held = new Promise((resolve) => (release = resolve));
  const answered = eventStream(events(completionChunks("chat")));
  let arrived;
  const asked = new Promise((resolve) => (arrived = resolve));
  gateway.upstream.answer("chat", async (response, seen) => {
    arrived();
    await held;
    await answered(response, seen);
  });
  const own = await gateway.account({ usd: "1000" });
  const large = {
    model: "chat",
    max_tokens: 1,
    messages: [{ role: "user", content: "x ".repeat(50_000) }],
    stop: "y".repeat(25 << 20),
  };
  const first = tool(gateway, own.key, "chat_completion", large);
  await Promise.race([asked, first.then((told) => assert.fail(JSON.stringify(told).slice(0, 500)))]);
  const second = await modern(gateway, own.key, "tools/call", { name: "chat_completion", arguments: large });
  assert.deepEqual([second.status, second.headers.get("retry-after")], [503, "1"]);
  assert.equal((await modern(gateway, own.key, "tools/list")).status, 200);
  release();
  assert.equal((await first).finish_reason, "stop");
  assert.equal((await tool(gateway, own.key, "chat_completion", large)).finish_reason, "stop");
});

test("calls at once do not mix, also under one id", async () => {
  const others = await Promise.all([1, 2, 3].map((usd) => gateway.account({ usd: String(usd) })));
  const asked = others.flatMap(({ key }) => [
    tool(gateway, key, "get_balance"),
    tool(gateway, key, "get_balance"),
    modern(gateway, key, "tools/list"),
  ]);
  const told = await Promise.all(asked);
  assert.deepEqual(
    told.map(({ balance_usd: usd }) => usd),
    ["1", "1", undefined, "2", "2", undefined, "3", "3", undefined],
  );
  gateway.upstream.answer("chat", eventStream(events(completionChunks("chat")), { sizes: [60], delayMs: 10 }));
  const own = await gateway.account();
  const hello = { model: "chat", messages: [{ role: "user", content: "Hello." }] };
  const params = (progressToken) => ({ name: "chat_completion", arguments: hello, _meta: { progressToken } });
  const answers = await Promise.all([1, 2].map((token) => modern(gateway, own.key, "tools/call", params(token))));
  for (const [at, { body, before }] of answers.entries()) {
    assert.deepEqual([body.id, body.result.structuredContent.text], [1, "hello"]);
    assert.ok(
      before.length > 0 && before.every((news) => news.params.progressToken === at + 1),
      JSON.stringify(before),
    );
  }
  const ids = answers.map(({ body }) => body.result.structuredContent.request_id);
  assert.equal(new Set(ids).size, 2);
  assert.deepEqual((await gateway.usageRows(own, 2)).map((row) => row.request_id).sort(), ids.sort());
});

test("a session sees its own account alone, and one without an account is told so", async () => {
  const [mine, other] = [await gateway.account(), await gateway.account({ usd: "3" })];
  const session = gateway.session(mine);
  const { keys } = await tool(gateway, gateway.session(other), "list_api_keys");
  assert.match((await tool(gateway, session, "revoke_api_key", { id: keys[0].id })).error, /no such key/);
  assert.deepEqual((await tool(gateway, session, "get_usage", { key_id: keys[0].id })).requests, []);
  assert.equal((await tool(gateway, session, "get_balance")).balance_usd, "10");
  assert.equal((await tool(gateway, other.key, "get_balance")).balance_usd, "3");
  const { status, body } = await send(
    gateway,
    gateway.session({ userId: "5c0b9c2e-0000-4000-8000-000000000000" }),
    list,
  );
  assert.ok([400, 404].includes(status) && /no account/.test(body.error.message), JSON.stringify(body));
});

test("arguments at their limits, and beyond", async () => {
  const own = await gateway.account();
  const named = { name: "n" };
  for (const [name, within, beyond, problem] of [
    ["list_models", { limit: 1 }, { limit: 0 }, /`limit` must be a whole number from 1 to 100/],
    ["list_models", { limit: 100 }, { limit: 4_294_967_296 }, /`limit` must be a whole number/],
    ["list_models", { query: "x".repeat(256) }, { query: "x".repeat(257) }, /`query` is wrong: it may have 256/],
    ["list_models", { cursor: "" }, { cursor: 1 }, /`cursor` must be a string/],
    ["list_api_keys", { include_revoked: true }, { include_revoked: "yes" }, /`include_revoked` must be true or false/],
    ["list_api_keys", { limit: 100 }, { limit: 1.5 }, /`limit` must be a whole number/],
    ["get_usage", { days: 90 }, { days: 91 }, /`days` must be a whole number from 1 to 90/],
    ["get_usage", { model: "x".repeat(256) }, { model: "x".repeat(1 << 20) }, /`model` is wrong: it may have 256/],
    ["get_usage", { cursor: "4294967295" }, { cursor: "4294967296" }, /cursor must be the next_cursor/],
    ["get_balance", {}, { x: 1 }, /there is no field `x`/],
    ["create_api_key", { name: "é".repeat(100) }, { name: "é".repeat(101) }, /1 to 100 characters/],
    [
      "create_api_key",
      { ...named, permissions: ["inference", "inference"] },
      { ...named, permissions: ["root"] },
      /`permissions\[0\]` must be one of `inference`/,
    ],
    [
      "create_api_key",
      { ...named, limits: { budget: { usd: "9007199.254740991", period: "total" } } },
      { ...named, limits: { budget: { usd: "9007199.254740992", period: "total" } } },
      /decimal number of USD/,
    ],
    [
      "create_api_key",
      { ...named, limits: { budget: { usd: "0.000000001", period: "daily" } } },
      { ...named, limits: { budget: { usd: 5, period: "daily" } } },
      /`limits\.budget\.usd` must be a string/,
    ],
    [
      "create_api_key",
      { ...named, limits: { max_running: 1 } },
      { ...named, limits: { max_running: 0 } },
      /whole number from 1 to/,
    ],
    [
      "create_api_key",
      { ...named, limits: { requests_per_minute: 4_294_967_295 } },
      { ...named, limits: { requests_per_minute: 4_294_967_296 } },
      /`limits\.requests_per_minute` must be a whole number/,
    ],
    [
      "create_api_key",
      { ...named, limits: { expires_at: "2999-01-01T00:00:00Z" } },
      { ...named, limits: { expires_at: "tomorrow" } },
      /RFC 3339/,
    ],
  ]) {
    const told = await tool(gateway, own.key, name, within);
    assert.equal(told.error, undefined, `${name} ${JSON.stringify(within).slice(0, 80)}: ${told.error}`);
    const { error } = await tool(gateway, own.key, name, beyond);
    assert.match(error ?? "taken", problem, `${name} ${JSON.stringify(beyond).slice(0, 80)}`);
    assert.ok(error.length < 400, error);
  }
  for (const [args, problem] of [
    [{ model: "chat" }, /messages/],
    [{ model: "chat", messages: [] }, /messages/],
    [{ messages: [{ role: "user", content: "x" }] }, /model/],
    [{ model: "chat", messages: [{ role: "user", content: "x" }], max_tokens: 0 }, /max_tokens/],
    [
      { model: "x".repeat(1 << 20), messages: [{ role: "user", content: "x" }] },
      /list_models shows those that are\. \(model_not_available\)/,
    ],
  ]) {
    const { error } = await tool(gateway, own.key, "chat_completion", args);
    assert.match(error ?? "taken", problem, JSON.stringify(args).slice(0, 80));
    assert.ok(error.length < 400, error.slice(0, 1_000));
  }
  assert.equal((await gateway.balance(own)).balance, 10_000_000_000n);
});

test("a key that is revoked while its answer streams: the answer ends well, the next call is 401", async () => {
  const own = await gateway.account();
  const { key, id } = await tool(gateway, own.key, "create_api_key", { name: "short-lived" });
  gateway.upstream.answer("chat", eventStream(events(completionChunks("chat")), { sizes: [60], delayMs: 100 }));
  const hello = { model: "chat", messages: [{ role: "user", content: "Hello." }] };
  const call = modern(gateway, key, "tools/call", {
    name: "chat_completion",
    arguments: hello,
    _meta: { progressToken: 1 },
  });
  while (gateway.upstream.seen("chat").length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  await tool(gateway, own.key, "revoke_api_key", { id });
  assert.equal((await call).body.result.structuredContent.text, "hello");
  const next = await modern(gateway, key, "tools/call", { name: "list_models", arguments: {} });
  assert.deepEqual([next.status, next.body.error.code], [401, "invalid_api_key"]);
});
