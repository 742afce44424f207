// POST /mcp, abused: the exact status and code of each refusal. What needs no Worker is a table of its own
// in crates/mcp/tests/abuse.rs.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startGateway } from "./harness.mjs";
import { legacy, META, modern, MODERN, send } from "./mcp.mjs";

let gateway;
let account;

before(async () => {
  gateway = await startGateway();
  account = await gateway.account();
});
after(() => gateway.close());

const list = { jsonrpc: "2.0", id: 1, method: "tools/list", params: {} };

test("without a key nothing is read", async () => {
  for (const key of [undefined, "oi_1forged", "sk-other"]) {
    for (const body of [list, "no JSON", ""]) {
      const { status, headers, body: told } = await send(gateway, key, body);
      assert.deepEqual([status, headers.get("www-authenticate")], [401, "Bearer"], `${key} ${JSON.stringify(told)}`);
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
    [deep, 400, -32600],
    [`{"jsonrpc":"2.0","id":${deep},"method":"ping"}`, 400, -32600],
    [`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"x":${deep}}}`, 200, undefined],
    [{ ...list, jsonrpc: "1.0" }, 400, -32600],
    [{ ...list, id: null }, 400, -32600],
    [{ ...list, id: 1.5 }, 400, -32600],
    [{ ...list, id: true }, 400, -32600],
    [{ ...list, params: [] }, 400, -32602],
    [{ ...list, method: "nothing" }, 200, -32601],
    [{ ...list, params: { cursor: "x" } }, 200, -32602],
  ]) {
    const answer = await send(gateway, account.key, body);
    assert.deepEqual([answer.status, answer.body.error?.code], [status, code], JSON.stringify(body).slice(0, 80));
  }
});

test("a body that is too large is 413", async () => {
  const { status, body } = await send(gateway, account.key, `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"${"x".repeat(33 << 20)}"}}`);
  assert.deepEqual([status, body.error.code], [413, "invalid_request"]);
});

test("modern requests say what they are, in both places", async () => {
  const cases = [
    [{}, { "mcp-method": "tools/call" }, 400, -32020],
    [{}, { "mcp-method": "" }, 400, -32020],
    [{}, { "mcp-protocol-version": "2025-11-25" }, 400, -32020],
    [{ _meta: { "io.modelcontextprotocol/protocolVersion": "2099-01-01" } }, { "mcp-protocol-version": "2099-01-01" }, 400, -32022],
    [{ _meta: { "io.modelcontextprotocol/clientCapabilities": undefined } }, {}, 400, -32602],
  ];
  for (const [params, headers, status, code] of cases) {
    const answer = await modern(gateway, account.key, "tools/list", params, headers);
    assert.deepEqual([answer.status, answer.body.error?.code, answer.body.id], [status, code, 1], JSON.stringify([params, headers]));
  }
  for (const method of ["initialize", "ping", "logging/setLevel", "nothing"]) {
    const answer = await modern(gateway, account.key, method);
    assert.deepEqual([answer.status, answer.body.error.code], [404, -32601], method);
  }
  const bare = await send(gateway, account.key, { ...list, params: { _meta: META } }, { "mcp-method": "tools/list" });
  assert.deepEqual([bare.status, bare.body.error.code], [400, -32020]);
  const named = await modern(gateway, account.key, "tools/call", { name: "get_balance", arguments: {} }, { "mcp-name": "get_usage" });
  assert.deepEqual([named.status, named.body.error.code], [400, -32020]);
  const encoded = `=?base64?${Buffer.from("get_balance").toString("base64")}?=`;
  assert.equal((await modern(gateway, account.key, "tools/call", { name: "get_balance", arguments: {} }, { "mcp-name": encoded })).status, 200);
  const unknown = await modern(gateway, account.key, "tools/call", { name: "delete_everything", arguments: {} });
  assert.deepEqual([unknown.status, unknown.body.error.code], [400, -32602]);
});

test("an unknown version is refused with those that are known", async () => {
  const { status, body } = await legacy(gateway, account.key, "tools/list", {}, { "mcp-protocol-version": "1999-01-01" });
  assert.deepEqual([status, body.error.code, body.error.data.requested, body.error.data.supported[0]], [400, -32022, "1999-01-01", MODERN]);
});
