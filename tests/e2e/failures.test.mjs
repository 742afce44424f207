// Upstreams that fail: what the client is told, who is asked next, what it costs, and that nothing of
// the provider's own words gets out.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { chatBody, completion, completionChunks, errorBody } from "./chat.mjs";
import { startGateway } from "./harness.mjs";
import { bytes, events, eventStream, hangUp, json, silence } from "./upstream.mjs";

// Stands wherever a provider could put a secret of its own.
const MARKER = "provider-said-this";

let gateway;

// Upstreams that fail are remembered by model: each case has a model of its own.
const copies = { chat: 40, failover: 20 };
const taken = {};
const fresh = (model) => `${model}-${(taken[model] = (taken[model] ?? 0) + 1)}`;

before(async () => (gateway = await startGateway({ copies })));
beforeEach(() => gateway.upstream.forget());
after(() => gateway.close());

const REJECTED = errorBody(
  "invalid_request",
  "The provider of this model rejected the request. Check its parameters against the model's capabilities.",
);
const TOO_LARGE = errorBody("invalid_request", "The request is too large for the provider of this model.");
const BUSY = errorBody("rate_limit_exceeded", "The provider of this model is busy. Retry after a short delay.");
const UNAVAILABLE = errorBody("upstream_unavailable", "All providers of this model are temporarily unavailable.");

/** Sends a chat request on a new account; resolves to everything that the client and the books saw. */
async function ask(model, more = {}) {
  const account = await gateway.account();
  const response = await gateway.fetch("/v1/chat/completions", {
    method: "POST",
    key: account.key,
    body: chatBody(model, more),
  });
  const text = await response.text();
  assert.ok(!JSON.stringify([...response.headers]).includes(MARKER), JSON.stringify([...response.headers]));
  assert.ok(!text.includes(MARKER), text);
  const [row] = await gateway.usageRows(account, 1);
  assert.equal(row.request_id, response.headers.get("x-request-id"));
  const { balance, held } = await gateway.balance(account);
  assert.equal(held, 0n);
  assert.equal(balance, 10_000_000_000n - BigInt(row.cost_nano_usd));
  return { status: response.status, headers: response.headers, text, row };
}

const released = ({ row }) => [row.billing_status, row.cost_nano_usd, row.input_tokens, row.output_tokens];
const NOTHING = ["released", 0, 0, 0];

const failure = (status, headers = {}) =>
  json(
    { error: { message: MARKER, type: MARKER, code: MARKER, param: MARKER } },
    { status, headers: { "x-marker": MARKER, "www-authenticate": MARKER, "set-cookie": `a=${MARKER}`, ...headers } },
  );

test("a refusal becomes ours, without a word of the provider's", async () => {
  for (const [status, expected, body] of [
    [400, 400, REJECTED],
    [402, 503, UNAVAILABLE],
    [413, 413, TOO_LARGE],
    [422, 400, REJECTED],
    [429, 429, BUSY],
    [401, 503, UNAVAILABLE],
    [403, 503, UNAVAILABLE],
    [404, 503, UNAVAILABLE],
    [408, 503, UNAVAILABLE],
    [500, 503, UNAVAILABLE],
    [503, 503, UNAVAILABLE],
    [529, 503, UNAVAILABLE],
  ]) {
    for (const stream of [false, true]) {
      const model = fresh("chat");
      gateway.upstream.answer(model, failure(status));
      const answer = await ask(model, { stream });
      assert.deepEqual([answer.status, JSON.parse(answer.text)], [expected, body], `${status}, stream ${stream}`);
      assert.deepEqual(released(answer), NOTHING);
      assert.equal(answer.row.upstream, "main");
      assert.equal(answer.row.status, body === REJECTED || body === TOO_LARGE ? "rejected" : "upstream_failed");
      assert.equal(answer.headers.get("x-should-retry"), expected < 429 ? "false" : null);
      assert.equal(answer.headers.get("retry-after"), expected === 429 ? "1" : null);
    }
  }
  assert.equal(gateway.upstream.requests.length, 24);
});

test("headers of a success stay behind too", async () => {
  const headers = {
    "x-marker": MARKER,
    "set-cookie": `a=${MARKER}`,
    "x-request-id": MARKER,
    "openai-organization": MARKER,
    server: MARKER,
  };
  gateway.upstream.answerOnce("chat", json(completion("chat"), { headers }));
  gateway.upstream.answerOnce("chat", eventStream(events(completionChunks("chat")), { headers }));
  assert.deepEqual(JSON.parse((await ask("chat")).text), completion("chat"));
  assert.match((await ask("chat", { stream: true })).text, /hello/);
});

test("200 with something that is no answer is 503", async () => {
  const html = bytes(`<html>${MARKER}</html>`, { headers: { "content-type": "text/html" } });
  for (const [stream, answer] of [
    [false, json({ error: { message: MARKER } })],
    [false, html],
    [false, bytes("", { headers: { "content-type": "application/json" } })],
    [false, bytes('{"choices":[', { headers: { "content-type": "application/json" } })],
    [false, json({ object: "list", data: [MARKER] })],
    [true, json({ error: { message: MARKER } })],
    [true, html],
  ]) {
    const model = fresh("chat");
    gateway.upstream.answer(model, answer);
    const got = await ask(model, { stream });
    assert.deepEqual([got.status, JSON.parse(got.text)], [503, UNAVAILABLE]);
    assert.deepEqual(released(got), NOTHING);
  }
});

test("an error in a stream ends it with ours", async () => {
  const [first] = completionChunks("chat");
  const chunk = `data: ${JSON.stringify(first)}\n\n`;
  for (const error of [
    `data: ${JSON.stringify({ error: { message: MARKER, code: 500 } })}\n\n`,
    `event: error\ndata: ${JSON.stringify({ message: MARKER })}\n\n`,
    `data: ${JSON.stringify({ choices: [], error: { message: MARKER } })}\n\n`,
    `data: <html>${MARKER}</html>\n\n`,
  ]) {
    gateway.upstream.answer("chat", eventStream(`${chunk}${error}data: [DONE]\n\n`));
    const { status, text, row } = await ask("chat", { stream: true });
    assert.equal(status, 200);
    assert.equal(
      text,
      `${chunk}data: ${JSON.stringify(errorBody("upstream_unavailable", "The upstream provider ended the stream before the answer was complete."))}\n\n`,
    );
    // "hello" was delivered, so it is paid for, by our own count.
    assert.deepEqual([row.status, row.billing_status, row.settled_by], ["truncated", "settled", "estimate"]);
    assert.ok(row.output_tokens >= 1);
  }
});

test("a redirect is not followed", async () => {
  for (const status of [301, 302, 307, 308]) {
    gateway.upstream.answer(
      "chat",
      bytes(MARKER, { status, headers: { location: `${gateway.upstream.url}/elsewhere` } }),
    );
    const answer = await ask("chat");
    assert.deepEqual([answer.status, JSON.parse(answer.text)], [503, UNAVAILABLE]);
    assert.deepEqual(released(answer), NOTHING);
  }
  assert.deepEqual(
    gateway.upstream.requests.map(({ path }) => path),
    Array(4).fill("/v1/chat/completions"),
  );
});

test("the next route is asked, in the order of priority", async () => {
  for (const [stream, first] of [
    ...[401, 403, 404, 408, 425, 429, 500, 502, 503, 529].map((status) => [false, failure(status)]),
    [false, hangUp()],
    [false, json({ error: { message: MARKER } })],
    [true, failure(500)],
    [true, failure(429)],
    [true, hangUp()],
    [true, json({ error: { message: MARKER } })],
  ]) {
    gateway.upstream.forget();
    const model = fresh("failover");
    const [one, two] = [model.replace("-", "-first-"), model.replace("-", "-second-")];
    gateway.upstream.answer(one, first);
    gateway.upstream.answer(two, stream ? eventStream(events(completionChunks(two))) : json(completion(two)));
    const { status, text, row } = await ask(model, { stream });
    assert.equal(status, 200, text);
    assert.match(text, new RegExp(`"model":"${model}"`));
    assert.deepEqual(
      gateway.upstream.requests.map(({ upstream }) => upstream),
      ["main", "backup"],
    );
    assert.deepEqual([row.upstream, row.model, row.status, row.cost_nano_usd], ["backup", model, "completed", 30_000]);
  }
});

test("trap_24 a request that several upstreams may serve holds once, and the most of it", async () => {
  const account = await gateway.account();
  const held = [];
  const noted = (answer) => async (response, seen) => {
    held.push((await gateway.balance(account)).held);
    await answer(response, seen);
  };
  gateway.upstream.answer("failover-first", noted(failure(500)));
  gateway.upstream.answer("failover-second", noted(json(completion("failover-second"))));
  const body = chatBody("failover", { max_tokens: 1_000 });
  const response = await gateway.fetch("/v1/chat/completions", { method: "POST", key: account.key, body });
  assert.equal(response.status, 200, await response.text());
  const [first, second] = held;
  // 1,000 tokens of output at $4 a million, and a few of input: the same for either upstream.
  assert.ok(first >= 4_000_000n && first < 4_100_000n, `${first}`);
  assert.deepEqual([held.length, second], [2, first]);
  assert.equal((await gateway.rows(account, "SELECT * FROM holds")).length, 1);
});

test("a request that the first upstream rejects is not sent to the next", async () => {
  for (const status of [400, 413, 422]) {
    gateway.upstream.forget();
    gateway.upstream.answer("failover-first", failure(status));
    const answer = await ask("failover");
    assert.equal(answer.status, status === 413 ? 413 : 400);
    assert.deepEqual(
      gateway.upstream.requests.map(({ upstream }) => upstream),
      ["main"],
    );
  }
});

test("when every route fails, the last failure counts, and nothing is charged", async () => {
  gateway.upstream.answer("failover-first", failure(500));
  gateway.upstream.answer("failover-second", failure(429, { "retry-after": "9" }));
  const answer = await ask("failover");
  assert.deepEqual([answer.status, answer.headers.get("retry-after")], [429, "9"]);
  assert.deepEqual([answer.row.upstream, ...released(answer)], ["backup", ...NOTHING]);
});

test("an upstream that does not answer the phone is passed over", async () => {
  gateway.upstream.answer("half-dead", json(completion("half-dead")));
  const { status, row } = await ask("half-dead");
  assert.deepEqual([status, row.upstream], [200, "backup"]);
});

test("deadlines pass: headers, silence, the whole", async () => {
  // Headers of a stream, in 400 ms.
  gateway.upstream.answer("impatient", silence());
  const noHeaders = await ask("impatient", { stream: true });
  assert.deepEqual([noHeaders.status, JSON.parse(noHeaders.text)], [503, UNAVAILABLE]);
  assert.deepEqual(released(noHeaders), NOTHING);
  assert.equal(await gateway.upstream.requests.at(-1).closed, "cut");

  // A whole answer, in 2 s: it was perhaps made, so nobody else is asked.
  const whole = await ask("impatient");
  assert.deepEqual([whole.status, JSON.parse(whole.text)], [503, UNAVAILABLE]);
  assert.equal(await gateway.upstream.requests.at(-1).closed, "cut");

  // Silence in a stream, in 400 ms.
  const [first] = completionChunks("impatient");
  const chunk = `data: ${JSON.stringify(first)}\n\n`;
  gateway.upstream.answer("impatient", eventStream(chunk, { end: "stall" }));
  const stalled = await ask("impatient", { stream: true });
  assert.ok(stalled.text.startsWith(`${chunk}data: {"error":{`), stalled.text);
  assert.deepEqual([stalled.row.status, stalled.row.billing_status], ["truncated", "settled"]);
  assert.equal(await gateway.upstream.requests.at(-1).closed, "cut");
});
