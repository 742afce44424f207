// What happens before the first byte: which failures are answered by the next upstream, who is asked how
// often, what it costs, and that an upstream that is down is left alone for a while.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { chatBody, completion, completionChunks, errorBody } from "./chat.mjs";
import { startGateway } from "./harness.mjs";
import { bytes, events, eventStream, hangUp, json, silence } from "./upstream.mjs";

const MARKER = "provider-said-this";
const UNAVAILABLE = errorBody("upstream_unavailable", "All providers of this model are temporarily unavailable.");
const BUSY = errorBody("rate_limit_exceeded", "The provider of this model is busy. Retry after a short delay.");
const BALANCE = 10_000_000_000n;
// 10 × $1 + 5 × $4, each a million tokens.
const COST_NANO_USD = 30_000;

// An upstream opens after so many failures in a row, for 5 s and up to a quarter more.
const IN_A_ROW = 5;
const MOST_FIRST_OPEN_S = 7;
// Or when more than half of so many in a minute have failed.
const IN_A_MINUTE = 20;

// Upstreams are remembered by model: each case has models of its own.
const copies = { chat: 12, failover: 70, prompt: 2 };
const taken = {};
const fresh = (model) => `${model}-${(taken[model] = (taken[model] ?? 0) + 1)}`;

let gateway;
before(async () => (gateway = await startGateway({ copies })));
beforeEach(() => gateway.upstream.forget());
after(() => gateway.close());

const send = (account, model, more = {}) =>
  gateway.fetch("/v1/chat/completions", { method: "POST", key: account.key, body: chatBody(model, more) });
const good = (model, stream) => (stream ? eventStream(events(completionChunks(model))) : json(completion(model)));

/** A model with two upstreams, and its ids there. */
function pair(base = "failover") {
  const model = fresh(base);
  return [model, model.replace("-", "-first-"), model.replace("-", "-second-")];
}

const said = { error: { message: MARKER, type: MARKER, code: MARKER } };
const status = (code, headers) => json(said, { status: code, headers });
const html = bytes(`<html>${MARKER}</html>`, { headers: { "content-type": "text/html" } });
const errorEvent = `event: error\ndata: ${JSON.stringify(said)}\n\n`;
const half = bytes('{"choices":[{"mess', { headers: { "content-length": "1000" }, end: "cut" });

// [name, answer, fails over: [whole, streamed]; null: not sent that way, the status when nobody is left]
const FAILURES = [
  ...[401, 402, 403, 404, 408, 425, 500, 502, 503, 504, 529].map((code) => [
    `status ${code}`,
    status(code),
    [true, true],
    503,
  ]),
  ["status 429", status(429), [true, true], 429],
  ...[400, 405, 422].map((code) => [`status ${code}`, status(code), [false, false], 400]),
  ["status 413", status(413), [false, false], 413],
  ["status 307", bytes("", { status: 307, headers: { location: "/elsewhere" } }), [false, false], 503],
  ["the connection breaks", hangUp(), [true, true], 503],
  ["a page", html, [true, true], 503],
  ["JSON of an error, with 200", json(said), [true, true], 503],
  ["half an answer", half, [true, null], 503],
  ["a stream that is empty", eventStream(""), [null, true], 503],
  ["a stream that breaks at once", eventStream("", { end: "cut" }), [null, true], 503],
  ["an error as the first event", eventStream(errorEvent), [null, true], 503],
  [
    "an error behind comments",
    eventStream(`: ${MARKER}\n\n: ${MARKER}\n\n${errorEvent}`, { sizes: [25], delayMs: 20 }),
    [null, true],
    503,
  ],
  [
    "an error in the first chunk",
    eventStream(`data: ${JSON.stringify({ choices: [], ...said })}\n\n`),
    [null, true],
    503,
  ],
];

for (const [name, answer, overs, last] of FAILURES) {
  for (const stream of [false, true]) {
    const over = overs[Number(stream)];
    if (over === null) continue;
    test(`${name}, ${stream ? "streamed" : "whole"}: ${over ? "the next upstream answers" : "nobody else is asked"}`, async () => {
      const account = await gateway.account();
      const [model, first, second] = pair();
      gateway.upstream.answer(first, answer);
      gateway.upstream.answer(second, good(second, stream));
      const response = await send(account, model, { stream });
      const text = await response.text();
      assert.equal(response.status, over ? 200 : last, text);
      assert.ok(!text.includes(MARKER), text);
      assert.deepEqual(
        gateway.upstream.requests.map(({ upstream }) => upstream),
        over ? ["main", "backup"] : ["main"],
      );
      const [row] = await gateway.usageRows(account, 1);
      assert.deepEqual([row.upstream, row.cost_nano_usd], over ? ["backup", COST_NANO_USD] : ["main", 0]);
      assert.deepEqual(await gateway.balance(account), { balance: BALANCE - BigInt(row.cost_nano_usd), held: 0n });
      if (!over) return;

      // And when the next one fails in the same way.
      gateway.upstream.forget();
      gateway.upstream.answer(first, answer);
      gateway.upstream.answer(second, answer);
      const failed = await send(account, model, { stream });
      assert.deepEqual([failed.status, await failed.json()], [last, last === 429 ? BUSY : UNAVAILABLE]);
      assert.deepEqual(
        gateway.upstream.requests.map(({ upstream }) => upstream),
        ["main", "backup"],
      );
      const rows = await gateway.usageRows(account, 2);
      const free = rows.find(({ request_id: id }) => id === failed.headers.get("x-request-id"));
      assert.deepEqual([free.upstream, free.billing_status, free.cost_nano_usd], ["backup", "released", 0]);
    });
  }
}

test("what the request is to blame for is said, also with 200", async () => {
  const tooLong = {
    error: {
      message: `This model's maximum context length is 8192 tokens. ${MARKER}`,
      code: "context_length_exceeded",
    },
  };
  for (const [stream, answer] of [
    [true, eventStream(`event: error\ndata: ${JSON.stringify(tooLong)}\n\n`)],
    [true, json(tooLong)],
    [false, json(tooLong)],
  ]) {
    gateway.upstream.forget();
    const account = await gateway.account();
    const [model, first] = pair();
    gateway.upstream.answer(first, answer);
    const response = await send(account, model, { stream });
    const { error } = await response.json();
    assert.deepEqual([response.status, error.code], [400, "invalid_request"]);
    assert.match(error.message, /prompt is too long/);
    assert.ok(!error.message.includes(MARKER));
    assert.deepEqual(
      gateway.upstream.requests.map(({ upstream }) => upstream),
      ["main"],
    );
  }
});

test("the first event is waited for as long as its upstream may take, then the next one is asked", async () => {
  const account = await gateway.account();
  const [model, first, second] = pair("prompt");
  for (const answer of [eventStream("", { end: "stall" }), eventStream(": wait\n\n", { end: "stall" }), silence()]) {
    gateway.upstream.forget();
    gateway.upstream.answer(first, answer);
    gateway.upstream.answer(second, good(second, true));
    const response = await send(account, model, { stream: true });
    assert.equal(response.status, 200);
    assert.match(await response.text(), /hello.*\[DONE\]/s);
    assert.deepEqual(
      gateway.upstream.requests.map(({ upstream }) => upstream),
      ["prompt", "backup"],
    );
    assert.equal(await gateway.upstream.seen(first)[0].closed, "cut");
  }
});

test("a whole answer that takes too long is not asked for twice", async () => {
  const account = await gateway.account();
  const [model, first] = pair("prompt");
  gateway.upstream.answer(first, silence());
  const response = await send(account, model);
  assert.deepEqual([response.status, await response.json()], [503, UNAVAILABLE]);
  assert.deepEqual(
    gateway.upstream.requests.map(({ upstream }) => upstream),
    ["prompt"],
  );
});

test("a model that thinks before its first event loses nothing of it", async () => {
  const account = await gateway.account();
  const [model, first] = pair();
  const wire = events(completionChunks(first));
  gateway.upstream.answer(first, async (response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(wire.slice(0, 20));
    // Longer than the gateway waits before its own headers.
    await sleep(6_000);
    response.end(wire.slice(20));
  });
  const begun = performance.now();
  const response = await send(account, model, { stream: true });
  assert.equal(response.status, 200);
  assert.ok(performance.now() - begun < 5_900, "the headers came with the first event");
  const text = await response.text();
  // Whatever keeps it alive meanwhile; the usage was not asked for.
  const [usageOnly] = wire.match(/data: [^\n]*"usage"[^\n]*\n\n/);
  assert.equal(text.replace(/^:.*\n\n/gm, ""), wire.replace(usageOnly, "").replaceAll(first, model));
});

test("an upstream that is down costs one attempt a period, and the next one answers meanwhile", async () => {
  const account = await gateway.account();
  const [model, first, second] = pair();
  gateway.upstream.answer(first, status(500));
  gateway.upstream.answer(second, good(second, false));
  for (let n = 0; n < 3 * IN_A_ROW; n += 1) assert.equal((await send(account, model)).status, 200);
  assert.deepEqual(
    [gateway.upstream.seen(first).length, gateway.upstream.seen(second).length],
    [IN_A_ROW, 3 * IN_A_ROW],
  );
  await sleep(MOST_FIRST_OPEN_S * 1_000);
  // One probe, however many come at once.
  gateway.upstream.answer(first, async (response, seen) => {
    await sleep(500);
    await status(500)(response, seen);
  });
  const statuses = await Promise.all(Array.from({ length: 10 }, async () => (await send(account, model)).status));
  assert.deepEqual(statuses, Array(10).fill(200));
  assert.equal(gateway.upstream.seen(first).length, IN_A_ROW + 1);
});

test("an upstream whose streams break off behind their first event is left alone after twenty of them", async () => {
  const account = await gateway.account();
  const [model, first, second] = pair();
  const [hello] = completionChunks(first);
  gateway.upstream.answer(first, eventStream(`data: ${JSON.stringify(hello)}\n\n`, { end: "cut" }));
  gateway.upstream.answer(second, good(second, true));
  for (let n = 0; n < IN_A_MINUTE; n += 1)
    assert.match(await (await send(account, model, { stream: true })).text(), /"code":"upstream_unavailable"/);
  const response = await send(account, model, { stream: true });
  assert.match(await response.text(), /\[DONE\]/);
  assert.deepEqual([gateway.upstream.seen(first).length, gateway.upstream.seen(second).length], [IN_A_MINUTE, 1]);
  const [view] = (await gateway.upstreams())
    .find(({ id }) => id === "main")
    .models.filter((seen) => seen.model === first);
  // They were one account's, so it alone does not ask any more.
  assert.deepEqual(
    [view.state, view.accounts_waiting, view.failures, view.failures_in_a_row],
    ["closed", 1, { broke_off: IN_A_MINUTE }, 0],
  );
});

test("when every upstream is down, nobody is asked, nothing is held, and the client knows when to come back", async () => {
  const account = await gateway.account();
  const model = fresh("chat");
  gateway.upstream.answer(model, status(500));
  for (let n = 0; n < IN_A_ROW; n += 1) await send(account, model);
  const refused = await send(account, model);
  assert.deepEqual([refused.status, await refused.json()], [503, UNAVAILABLE]);
  const waitS = Number(refused.headers.get("retry-after"));
  assert.ok(waitS >= 4 && waitS <= MOST_FIRST_OPEN_S, String(waitS));
  assert.equal(refused.headers.get("x-should-retry"), null);
  assert.equal(gateway.upstream.seen(model).length, IN_A_ROW);
  assert.equal((await gateway.usageRows(account, IN_A_ROW)).length, IN_A_ROW);
  assert.deepEqual(await gateway.balance(account), { balance: BALANCE, held: 0n });
  const [view] = (await gateway.upstreams())
    .find(({ id }) => id === "main")
    .models.filter((seen) => seen.model === model);
  // They were one account's, so it alone does not ask any more.
  assert.deepEqual(
    [view.state, view.accounts_waiting, view.failures, view.last_failure],
    ["closed", 1, { server_error: IN_A_ROW }, "server_error"],
  );

  // Its time over, the next request finds it well.
  gateway.upstream.answer(model, good(model, false));
  await sleep(waitS * 1_000);
  for (let n = 0; n < 2; n += 1) assert.equal((await send(account, model)).status, 200);
  const { models } = (await gateway.upstreams()).find(({ id }) => id === "main");
  const recovered = models.find((seen) => seen.model === model);
  assert.deepEqual([recovered.state, recovered.accounts_waiting], ["closed", 0]);
});

test("an upstream is not asked before the time that it named, and its client is told", async () => {
  for (const [code, body, headers] of [
    [429, BUSY, { "retry-after": "2" }],
    [429, BUSY, { "retry-after-ms": "1900" }],
    [503, UNAVAILABLE, { "retry-after": "2" }],
  ]) {
    const account = await gateway.account();
    const model = fresh("chat");
    gateway.upstream.answer(model, status(code, headers));
    for (const seen of [1, 1]) {
      const response = await send(account, model);
      assert.deepEqual([response.status, await response.json()], [code, body]);
      assert.equal(response.headers.get("retry-after"), "2");
      assert.equal(gateway.upstream.seen(model).length, seen);
    }
    gateway.upstream.answer(model, good(model, false));
    await sleep(2_000);
    assert.equal((await send(account, model)).status, 200);
  }
});

test("requests that are wrong do not close an upstream to others", async () => {
  const account = await gateway.account();
  const model = fresh("chat");
  for (const code of [400, 403, 404, 413, 422]) {
    gateway.upstream.answer(model, status(code));
    for (let n = 0; n < IN_A_ROW; n += 1) await send(account, model);
  }
  gateway.upstream.answer(model, good(model, false));
  assert.equal((await send(account, model)).status, 200);
});

test("an operator sees how the upstreams fare, and nobody else does", async () => {
  const account = await gateway.account();
  const model = fresh("chat");
  gateway.upstream.answer(model, status(401));
  await send(account, model);
  const upstreams = await gateway.upstreams();
  assert.deepEqual(
    upstreams.filter(({ usable }) => !usable).map(({ id }) => id),
    ["unbound", "unset"],
  );
  const view = upstreams.find(({ id }) => id === "main").models.find((seen) => seen.model === model);
  const { last_failure_at_ms: at, ...rest } = view;
  assert.ok(Math.abs(Date.now() - at) < 60_000);
  assert.deepEqual(rest, {
    model,
    state: "closed",
    wait_ms: 0,
    failures_in_a_row: 1,
    recent_attempts: 1,
    recent_failures: 1,
    failures: { credentials: 1 },
    last_failure: "credentials",
    accounts_waiting: 0,
  });
  assert.ok(!JSON.stringify(upstreams).includes(MARKER));
  for (const key of [undefined, account.key]) {
    const refused = await gateway.fetch("/operator/upstreams", { key });
    assert.deepEqual([refused.status, (await refused.json()).error.code], [401, "invalid_api_key"]);
  }
  const health = await gateway.fetch("/health");
  assert.deepEqual([health.status, await health.text()], [200, "ok"]);
});
