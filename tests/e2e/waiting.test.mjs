// Upstreams that answer with a success and bring nothing yet: their client gets its headers and keep-alives, and
// the next upstream can still answer in their place. Time goes 20 times as fast where a test waits for it.
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import path from "node:path";
import { after, afterEach, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { chatBody, completionChunks, errorBody } from "./chat.mjs";
import { startGateway } from "./harness.mjs";
import { events, eventStream, json } from "./upstream.mjs";

const SPEED = 20;
const KEEP_ALIVE_MS = 8_000 / SPEED;
const FIRST_TOKEN_MS = 20_000 / SPEED;
// What the machine may take, in milliseconds of this process.
const SLACK_MS = 250;

const SETTLE_LIMIT_MS = 5_000;

const COMMENT = ": keep-alive\n\n";
const CUT = errorBody("upstream_unavailable", "The upstream provider ended the stream before the answer was complete.");
const BALANCE = 10_000_000_000n;
// 10 × $1 + 5 × $4, each a million tokens.
const COST_NANO_USD = 30_000n;

let gateway;
before(async () => (gateway = await startGateway({ entry: path.join(import.meta.dirname, "hurrying-entry.mjs") })));
after(() => gateway.close());
afterEach(async () => {
  gateway.upstream.forget();
  await hurry(1);
});

async function hurry(speed) {
  const answer = await gateway.fetch("/test/time", { method: "POST", body: JSON.stringify({ speed }) });
  assert.equal(answer.status, 204);
}

const ask = (account, model) =>
  gateway.fetch("/v1/chat/completions", { method: "POST", key: account.key, body: chatBody(model, { stream: true }) });

/** Answers with headers at once, and with `text` after so long; resolves `answered` to when that began. */
function late(ms, text) {
  const { promise: answered, resolve } = Promise.withResolvers();
  const answer = async (response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.flushHeaders();
    resolve(performance.now());
    await sleep(ms);
    if (!response.destroyed) response.end(text);
  };
  return { answer, answered };
}

const good = (model) => events(completionChunks(model));
/** What a client of "patient" reads of it that did not ask for the usage. */
const told = (model) =>
  good(model)
    .replace(/data: [^\n]*"usage"[^\n]*\n\n/, "")
    .replaceAll(model, "patient");

/** The text of a stream, and when its headers and each piece of it came. */
async function readTimed(response) {
  const pieces = [];
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) pieces.push([performance.now(), piece]);
  return { text: pieces.map(([, piece]) => piece).join(""), pieces };
}

/** What became of an account's one request, as its object keeps it: alarms, and with them D1, keep the real time. */
async function settled(account) {
  const deadline = performance.now() + SETTLE_LIMIT_MS;
  for (;;) {
    const [, row] = await gateway.journal(account);
    if (row) return [row.usage.upstream, row.usage.outcome, row.usage.billing_status];
    assert.ok(performance.now() < deadline, "nothing was settled");
    await sleep(20);
  }
}

for (const [name, model, first] of [
  ["without a deadline for the first event", "chat", "chat"],
  ["with a deadline for it", "patient", "patient-first"],
]) {
  test(`${name} the first keep-alive comes 8 s after the upstream's answer, and the next 8 s later`, async () => {
    const account = await gateway.account();
    await hurry(SPEED);
    const { answer, answered } = late(FIRST_TOKEN_MS - 100, good(first));
    gateway.upstream.answer(first, answer);
    const response = await ask(account, model);
    assert.equal(response.status, 200);
    assert.match(response.headers.get("content-type"), /^text\/event-stream/);
    assert.match(response.headers.get("x-request-id"), /^req_/);
    assert.equal(response.headers.get("access-control-allow-origin"), "*");
    const { text, pieces } = await readTimed(response);
    const comments = pieces.filter(([, piece]) => piece === COMMENT).map(([ms]) => ms);
    assert.equal(comments.length, 2, text);
    for (const [at, ms] of comments.entries()) {
      const late = ms - (await answered) - (at + 1) * KEEP_ALIVE_MS;
      assert.ok(late > -50 && late < SLACK_MS, `keep-alive ${at} came ${late} ms late`);
    }
    assert.match(text, /hello.*\[DONE\]/s);
  });
}

test("keep-alives are no answer: the next upstream gives it", async () => {
  const account = await gateway.account();
  await hurry(SPEED);
  gateway.upstream.answer("patient-first", eventStream("", { end: "stall" }));
  gateway.upstream.answer("patient-second", eventStream(good("patient-second")));
  const { text } = await readTimed(await ask(account, "patient"));
  const count = text.split(COMMENT).length - 1;
  assert.ok(count === 2, `${count} keep-alives`);
  assert.equal(text.replaceAll(COMMENT, ""), told("patient-second"));
  assert.deepEqual(
    gateway.upstream.requests.map(({ upstream }) => upstream),
    ["patient", "backup"],
  );
  assert.equal(await gateway.upstream.seen("patient-first")[0].closed, "cut");
  assert.deepEqual(await settled(account), ["backup", "completed", "settled"]);
  assert.deepEqual(await gateway.balance(account), { balance: BALANCE - COST_NANO_USD, held: 0n });
});

test("when no upstream gives one, the stream that has begun ends with the error event, and is free", async () => {
  const account = await gateway.account();
  await hurry(SPEED);
  gateway.upstream.answer("patient-first", eventStream(": their words\n\n", { end: "stall" }));
  gateway.upstream.answer("patient-second", json({ error: { message: "their words" } }, { status: 500 }));
  const response = await ask(account, "patient");
  assert.equal(response.status, 200);
  const { text } = await readTimed(response);
  assert.equal(text.replaceAll(COMMENT, ""), `data: ${JSON.stringify(CUT)}\n\n`);
  assert.deepEqual(await settled(account), ["backup", "upstream_failed", "released"]);
  assert.deepEqual(await gateway.balance(account), { balance: BALANCE, held: 0n });
});

test("for a client that leaves meanwhile nobody else is asked", async () => {
  const account = await gateway.account();
  await hurry(SPEED);
  gateway.upstream.answer("patient-first", eventStream("", { end: "stall" }));
  gateway.upstream.answer("patient-second", eventStream(good("patient-second")));
  const headers = { authorization: `Bearer ${account.key}`, "content-type": "application/json" };
  const sent = http.request(`${gateway.url}/v1/chat/completions`, { method: "POST", headers, agent: false });
  sent.on("error", () => {}); // its own destruction
  sent.end(chatBody("patient", { stream: true }));
  const [response] = await once(sent, "response");
  await once(response, "data");
  sent.destroy();
  assert.equal(await gateway.upstream.seen("patient-first")[0].closed, "cut");
  assert.deepEqual(await settled(account), ["patient", "client_gone", "settled"]);
  assert.deepEqual(
    gateway.upstream.requests.map((seen) => seen.upstream),
    ["patient"],
  );
});
