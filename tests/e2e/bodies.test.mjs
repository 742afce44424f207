// Bodies of requests: those that are packed, and how many of the large ones an instance holds at a time.
import assert from "node:assert/strict";
import http from "node:http";
import { after, before, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { chatBody, completion, completionChunks, errorBody } from "./chat.mjs";
import { startGateway } from "./harness.mjs";
import { events, json } from "./upstream.mjs";

const MB = 1 << 20;
const CHAT = "/v1/chat/completions";

let gateway;
let account;
before(async () => {
  gateway = await startGateway();
  account = await gateway.account({ usd: "1000" });
});
beforeEach(() => {
  gateway.upstream.forget();
  gateway.upstream.answer("chat", json(completion("chat")));
});
after(() => gateway.close());

const post = (body, encoding, path = CHAT) =>
  gateway.fetch(path, {
    method: "POST",
    key: account.key,
    body,
    headers: { "content-type": "application/json", ...(encoding && { "content-encoding": encoding }) },
  });
const refusal = (message) => errorBody("invalid_request", message);

/** A chat request whose body has exactly so many bytes. */
function bodyOf(bytes, more = {}) {
  const body = Buffer.from(chatBody("chat", { ...more, user: "" }));
  return Buffer.concat([body.subarray(0, -2), Buffer.alloc(bytes - body.length, "x"), body.subarray(-2)]);
}

test("a packed body is unpacked, and the upstream gets it plain", async () => {
  const body = bodyOf(200_000);
  for (const [encoding, packed] of [
    ["gzip", gzipSync(body)],
    ["x-gzip", gzipSync(body)],
    ["GZIP", gzipSync(body)],
    ["deflate", deflateSync(body)],
    ["identity", body],
  ]) {
    const response = await post(packed, encoding);
    assert.deepEqual([response.status, await response.json()], [200, completion("chat")], encoding);
    const seen = gateway.upstream.requests.at(-1);
    assert.ok(seen.body.equals(body), encoding);
    assert.equal(seen.headers["content-encoding"], undefined);
  }
  const create = await gateway.fetch("/console/api/keys", {
    method: "POST",
    key: account.key,
    body: gzipSync('{"name":"packed"}'),
    headers: { "content-encoding": "gzip" },
  });
  const { name, key } = await create.json();
  assert.deepEqual([name, key?.slice(0, 3)], ["packed", "oi_"]);
});

test("another packing is 415, a broken one 400, and one that is too large when unpacked 413", async () => {
  const body = Buffer.from(chatBody("chat"));
  const packed = gzipSync(body);
  const unknown = refusal("The content-encoding of a request may be gzip or deflate, or none.");
  const broken = refusal("The request body is not what its content-encoding says.");
  for (const [encoding, bytes, status, expected] of [
    ["br", brotliCompressSync(body), 415, unknown],
    ["zstd", body, 415, unknown],
    ["gzip, gzip", gzipSync(packed), 415, unknown],
    ["gzip", body, 400, broken],
    ["deflate", packed, 400, broken],
    ["gzip", packed.subarray(0, -9), 400, broken],
    ["gzip", Buffer.concat([packed, body]), 400, broken],
    ["gzip", Buffer.alloc(0), 400, broken],
    ["gzip", gzipSync(bodyOf(32 * MB + 1)), 413, refusal("The request body is larger than 32 MB.")],
    ["gzip", gzipSync(Buffer.alloc(200 * MB)), 413, refusal("The request body is larger than 32 MB.")],
  ]) {
    const response = await post(bytes, encoding);
    assert.deepEqual([response.status, await response.json()], [status, expected], `${encoding} ${bytes.length}`);
  }
  assert.deepEqual(gateway.upstream.requests, []);
  const largest = bodyOf(32 * MB);
  assert.equal((await post(gzipSync(largest), "gzip")).status, 200);
  assert.ok(gateway.upstream.requests[0].body.equals(largest));
});

const BUSY = "The gateway has no room for this request right now.";

/** Checks that an answer says in its envelope that there was no room. */
async function assertBusy(response, body) {
  const header = (name) => response.headers.get(name);
  assert.deepEqual([response.status, header("retry-after"), header("x-should-retry")], [503, "1", "true"]);
  assert.deepEqual(await response.json(), body(header("x-request-id")));
}
const busyChat = () => errorBody("rate_limit_exceeded", BUSY);
const busyMessages = (id) => ({
  type: "error",
  error: { type: "overloaded_error", message: BUSY, code: "rate_limit_exceeded" },
  request_id: id,
});

test("large bodies wait for one another, small ones for none, and a stream that runs holds none", async () => {
  let answer;
  const answered = new Promise((resolve) => (answer = resolve));
  let end;
  const ended = new Promise((resolve) => (end = resolve));
  const [first, ...rest] = completionChunks("chat");
  gateway.upstream.answerOnce("chat", async (response) => {
    await answered;
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(`data: ${JSON.stringify(first)}\n\n`);
    await ended;
    response.end(events(rest));
  });
  const asked = post(bodyOf(32 * MB, { stream: true }));
  while (gateway.upstream.requests.length === 0) await sleep(20);
  // 32 of the 34 MB for large bodies are taken until the upstream has answered.
  const second = bodyOf(9 * MB);
  await assertBusy(await post(second), busyChat);
  await assertBusy(await post(second, undefined, "/v1/messages"), busyMessages);
  await assertBusy(await post(gzipSync(second), "gzip"), busyChat);
  assert.equal((await sendChunked(second)).status, 503);
  assert.equal((await post(bodyOf(MB))).status, 200);
  const other = await gateway.account({ usd: "1000" });
  const otherPost = (bytes) => gateway.fetch(CHAT, { method: "POST", key: other.key, body: bodyOf(bytes) });
  assert.deepEqual([(await otherPost(MB)).status, (await otherPost(3 * MB)).status], [200, 503]);
  answer();
  const stream = await asked;
  assert.equal(stream.status, 200);
  assert.equal((await post(bodyOf(32 * MB))).status, 200, "the stream still runs");
  end();
  assert.match(await stream.text(), /data: \[DONE\]\n\n$/);
  // What was refused is free as well: nothing is left of any of them.
  assert.equal((await post(bodyOf(32 * MB))).status, 200);
});

test("a client that leaves while it sends frees its room", async () => {
  for (let n = 0; n < 3; n += 1) {
    const request = http.request(`${gateway.url}${CHAT}`, {
      method: "POST",
      agent: false,
      headers: { authorization: `Bearer ${account.key}`, "content-length": 32 * MB },
    });
    request.on("error", () => {}); // its own destruction
    await new Promise((resolve) => request.write(Buffer.alloc(MB, "x"), resolve));
    await sleep(100);
    request.destroy();
    await sleep(100);
  }
  assert.equal((await post(bodyOf(32 * MB))).status, 200);
});

test("10 requests of 32 MB beside 500 streams: no stream is lost", async () => {
  const streams = 500;
  const [first, ...rest] = completionChunks("chat");
  let begun = 0;
  let end;
  const ended = new Promise((resolve) => (end = resolve));
  gateway.upstream.answer("chat", async (response, seen) => {
    if (!seen.json.stream) return json(completion("chat"))(response);
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(`data: ${JSON.stringify(first)}\n\n`);
    begun += 1;
    await ended;
    response.end(events(rest));
  });
  const whole = Array.from({ length: streams }, async (_, n) => {
    await sleep(n * 8); // an account admits 300 in a second
    const response = await post(chatBody("chat", { stream: true, max_tokens: 10 }));
    return [response.status, await response.text()];
  });
  while (begun < streams) await sleep(20);
  const large = bodyOf(32 * MB);
  let refused = 0;
  const sent = Array.from({ length: 10 }, async () => {
    // Each waits longer each time, as the SDKs do.
    for (let waits = 1; ; waits *= 2) {
      const response = await post(large);
      await response.text();
      if (response.status !== 503) return response.status;
      refused += 1;
      await sleep(1_000 * Number(response.headers.get("retry-after")) * waits * (0.5 + Math.random()));
    }
  });
  assert.deepEqual(await Promise.all(sent), Array(10).fill(200));
  assert.ok(refused > 0, "all ten at once had room");
  end();
  const expected = eventsOf(events([first, ...rest.slice(0, 1)]));
  for (const [status, text] of await Promise.all(whole)) assert.deepEqual([status, eventsOf(text)], [200, expected]);
});

const eventsOf = (text) => text.replaceAll(": keep-alive\n\n", "");

function sendChunked(body) {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${account.key}`, "transfer-encoding": "chunked" };
    const request = http.request(`${gateway.url}${CHAT}`, { method: "POST", headers }, (response) => {
      response.resume();
      response.once("end", () => resolve({ status: response.statusCode }));
    });
    request.once("error", reject);
    request.end(body);
  });
}

test("a body above 12 MB passes in its own dialect, and is 413 where it must be translated", async () => {
  const text = "x".repeat(12 * MB);
  const body = JSON.stringify({ model: "chat", max_tokens: 20, messages: [{ role: "user", content: text }] });
  const passed = await post(body);
  assert.deepEqual([passed.status, await passed.json()], [200, completion("chat")]);
  assert.equal(gateway.upstream.requests.length, 1);
  const translated = await post(body, undefined, "/v1/messages");
  const { error } = await translated.json();
  assert.deepEqual([translated.status, error.code], [413, "invalid_request"]);
  assert.match(error.message, /larger than 12 MB/);
  assert.equal(gateway.upstream.requests.length, 1, "no provider was asked");
});
