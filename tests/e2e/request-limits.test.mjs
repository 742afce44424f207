// Bodies that are small and cost much: very many parts, deep nesting, long names. They are refused while they are
// read, in the dialect of their route, for accounts with and without credit, and others are served beside them.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { deflateSync, gzipSync } from "node:zlib";
import { ISOLATE_MB, MEASURED, meterOf } from "../memory/isolate.mjs";
import { chatBody, completion } from "./chat.mjs";
import { startGateway } from "./harness.mjs";
import { json } from "./upstream.mjs";

const MB = 1 << 20;
const MILLION = 1_000_000;

let gateway;
let meter;
let customer;
let poor;
before(async () => {
  gateway = await startGateway(MEASURED);
  meter = await meterOf(gateway);
  customer = await gateway.account({ usd: "1000" });
  poor = await gateway.account({ usd: "0" });
});
beforeEach(() => {
  gateway.upstream.forget();
  gateway.upstream.answer("chat", json(completion("chat")));
});
after(async () => {
  meter?.close();
  await gateway?.close();
});

const many = (one, count) => Array(count).fill(one).join(",");
const TEXT = '{"type":"text","text":"a"}';

/** Sends a body packed, as attackers do; resolves to `[status, code, message]`. */
async function send(path, body, { key = customer.key, pack = gzipSync, encoding = "gzip" } = {}) {
  const headers = {
    "content-type": "application/json",
    "content-encoding": encoding,
    accept: "application/json, text/event-stream",
  };
  const response = await gateway.fetch(path, { method: "POST", key, headers, body: pack(body) });
  const text = await response.text();
  const { error } = JSON.parse(text);
  return [response.status, error?.code, error?.message];
}

/** Sends `attacks` at once, several times each, with requests of a customer beside them. */
async function beside(what, attacks) {
  const { most, result } = await meter.mostDuring(async () => {
    const attacked = Promise.all(Array.from({ length: 8 }, () => attacks()).flat());
    const served = [];
    for (let n = 0; n < 20; n += 1) {
      const response = await gateway.fetch("/v1/chat/completions", {
        method: "POST",
        key: customer.key,
        body: chatBody("chat"),
      });
      await response.text();
      served.push(response.status);
    }
    assert.deepEqual(served, Array(20).fill(200), what);
    return attacked;
  });
  console.log(`${what}: at most ${most.wasm.toFixed(1)} MB of WebAssembly and ${most.heap.toFixed(1)} MB of heap`);
  assert.ok(most.sum < ISOLATE_MB, `${what}: ${JSON.stringify(most)}`);
  return result;
}

test("a million tiny parts are 413 on every route and in every place, for accounts with and without credit", async () => {
  const bodies = {
    "/v1/chat/completions": [
      `{"model":"chat","messages":[{"role":"user","content":[${many(TEXT, MILLION)}]}]}`,
      `{"model":"chat","messages":[${many('{"role":"user","content":"a"}', MILLION)}]}`,
      `{"model":"chat","messages":[{"role":"user","content":"a"}],"tools":[${many("{}", MILLION)}]}`,
      `{"model":"chat","messages":[{"role":"user","content":[${many('{"type":"image_url","image_url":{"url":"https://a"}}', 400_000)}]}]}`,
    ],
    "/v1/responses": [`{"model":"chat","input":[${many('{"role":"user","content":"a"}', MILLION)}]}`],
    "/v1/messages": [`{"model":"chat","max_tokens":9,"messages":[{"role":"user","content":[${many(TEXT, MILLION)}]}]}`],
    "/v1/messages/count_tokens": [`{"model":"chat","messages":[{"role":"user","content":[${many(TEXT, MILLION)}]}]}`],
    "/v1/embeddings": [
      `{"model":"embed","input":[${many("[1]", MILLION)}]}`,
      `{"model":"embed","input":[${many('"a"', MILLION)}]}`,
      `{"model":"embed","input":[${many("1", MILLION)}]}`,
    ],
    "/v1/quote": [`{"model":"chat","messages":[{"role":"user","content":[${many(TEXT, MILLION)}]}]}`],
    "/mcp": [
      `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"chat_completion","arguments":{"model":"chat","messages":[${many('{"role":"user","content":"a"}', MILLION)}]}}}`,
    ],
    "/v1/completions": [`{"model":"chat",${Array.from({ length: 300_000 }, (_, n) => `"a${n}":1`).join(",")}}`],
  };
  for (const [path, list] of Object.entries(bodies)) {
    for (const body of list) {
      const answers = await beside(`${path} with ${body.slice(0, 60)}…`, () => [
        send(path, body),
        send(path, body, { key: poor.key }),
      ]);
      for (const [status, code, message] of answers) {
        // The account without credit is asked first where the body is large by then; what finds no room comes again.
        assert.ok(
          (status === 413 && code === "invalid_request" && / more than \d+ /.test(message)) ||
            (status === 402 && code === "insufficient_credit") ||
            status === 503,
          `${path}: ${status} ${message}`,
        );
      }
      assert.ok(
        answers.some(([status]) => status === 413),
        path,
      );
    }
  }
  assert.deepEqual(
    gateway.upstream.requests.filter(({ body }) => body.length > 1_000),
    [],
  );
});

test("depth and long names are 400", async () => {
  const nested = (open, close, depth) => `{"model":"chat","messages":${open.repeat(depth)}1${close.repeat(depth)}}`;
  for (const [name, body, message] of [
    ["arrays", nested("[", "]", MILLION), /nested more than 100 levels deep/],
    ["objects", nested('{"a":', "}", MILLION), /nested more than 100 levels deep/],
    ["one level too many", nested("[", "]", 100), /nested more than 100 levels deep/],
    ["a name of 8 MB", `{"${"a".repeat(8 * MB)}":1}`, /name is longer than 4096 bytes/],
  ]) {
    const answers = await beside(name, () => [
      send("/v1/chat/completions", body),
      send("/mcp", body),
      send("/v1/messages", body, { key: poor.key }),
    ]);
    for (const [status, code, said] of answers) {
      assert.deepEqual([status, code], [400, "invalid_request"], said);
      assert.match(said, message);
    }
  }
});

test("an account without credit is told so before a large body is read, and with it the largest bodies are served", async () => {
  const body = (bytes) => chatBody("chat", { user: "x".repeat(bytes) });
  const items = `{"model":"chat","messages":[${many('{"role":"user","content":"a"}', 5_000)}]}`;
  for (const [text, options] of [
    [body(2 * MB), {}],
    [body(30 * MB), {}],
    [body(30 * MB), { pack: deflateSync, encoding: "deflate" }],
    [body(2 * MB), { pack: Buffer.from, encoding: "identity" }],
    [items, {}],
  ]) {
    const answers = await beside(`${text.length} bytes of an account without credit`, () => [
      send("/v1/chat/completions", text, { ...options, key: poor.key }),
    ]);
    // Those that find no room are told to come again.
    for (const [status, code] of answers) assert.ok([402, 503].includes(status), `${status} ${code}`);
    assert.ok(answers.some(([status]) => status === 402));
  }
  // The longest that is taken.
  const longest = `{"model":"chat","messages":[{"role":"user","content":[${many(TEXT, 19_998)}]}]}`;
  assert.equal((await send("/v1/chat/completions", longest))[0], 200);
});

test("bombs of nested gzip, of deflate and of white space stay within the isolate", async () => {
  const zeros = Buffer.alloc(300 * MB, " ");
  for (const [name, options, expected] of [
    ["300 MB of white space by gzip", {}, [413]],
    ["300 MB of white space by deflate", { pack: deflateSync, encoding: "deflate" }, [413]],
    ["gzip in gzip", { pack: (bytes) => gzipSync(gzipSync(bytes)) }, [400]],
  ]) {
    const answers = await beside(name, () => [send("/v1/chat/completions", zeros, options)]);
    for (const [status, , message] of answers) assert.ok([...expected, 503].includes(status), `${status} ${message}`);
  }
});
