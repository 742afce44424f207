// Upstreams that fall silent in the middle of a stream: its client is kept by the keep-alives of its
// dialect, and one that left is found. Time goes 20 times as fast where a test waits for it.
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import path from "node:path";
import { after, afterEach, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startDialects, UPSTREAMS } from "../agent/gateway.mjs";
import { eventsIn, read } from "./plain.mjs";
import { json } from "./upstream.mjs";

const SPEED = 20;
/** Twice the time between two keep-alives, and some more, in milliseconds of this process. */
const SILENCE_MS = 20_000 / SPEED;
/** The longest that a connection to an upstream may stay open once a write has found its client gone. */
const CLOSE_LIMIT_MS = 2_000;
const SETTLE_LIMIT_MS = 5_000;

const COMMENT = ": keep-alive\n\n";
const PING = 'event: ping\ndata: {"type":"ping"}\n\n';

const chunk = (choices, more) =>
  `data: ${JSON.stringify({ id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: "m", choices, ...more })}\n\n`;
const said = (content) => chunk([{ index: 0, delta: { content }, finish_reason: null }]);
const event = (data) => `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
const delta = (text) => event({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text } });
const MESSAGE = {
  id: "msg_1",
  type: "message",
  role: "assistant",
  model: "m",
  content: [],
  stop_reason: null,
  stop_sequence: null,
  usage: { input_tokens: 100, output_tokens: 1 },
};
const ITEM = { id: "msg_1", type: "message", role: "assistant", status: "in_progress", content: [] };
const PART = { type: "output_text", text: "", annotations: [], logprobs: [] };
const at = { item_id: "msg_1", output_index: 0, content_index: 0 };
const response = (more) => ({
  id: "resp_1",
  object: "response",
  created_at: 1,
  model: "m",
  status: "in_progress",
  output: [],
  ...more,
});
const numbered = (...events) => events.map((data, sequence_number) => event({ ...data, sequence_number }));
const DONE_PART = { ...PART, text: "one two" };
const DONE_ITEM = { ...ITEM, status: "completed", content: [DONE_PART] };

/** A stream of each dialect as its beginning, its middle and its end. */
const STREAMS = {
  chat: [
    said("one "),
    said("two"),
    chunk([{ index: 0, delta: {}, finish_reason: "stop" }]) +
      chunk([], { usage: { prompt_tokens: 100, completion_tokens: 2, total_tokens: 102 } }) +
      "data: [DONE]\n\n",
  ],
  messages: [
    event({ type: "message_start", message: MESSAGE }) +
      event({ type: "content_block_start", index: 0, content_block: { type: "text", text: "" } }) +
      delta("one "),
    delta("two"),
    event({ type: "content_block_stop", index: 0 }) +
      event({
        type: "message_delta",
        delta: { stop_reason: "end_turn", stop_sequence: null },
        usage: { output_tokens: 2 },
      }) +
      event({ type: "message_stop" }),
  ],
  responses: (([first, item, part, one, two, ...rest]) => [first + item + part + one, two, rest.join("")])(
    numbered(
      { type: "response.created", response: response() },
      { type: "response.output_item.added", output_index: 0, item: ITEM },
      { type: "response.content_part.added", ...at, part: PART },
      { type: "response.output_text.delta", ...at, delta: "one ", logprobs: [] },
      { type: "response.output_text.delta", ...at, delta: "two", logprobs: [] },
      { type: "response.output_text.done", ...at, text: "one two", logprobs: [] },
      { type: "response.content_part.done", ...at, part: DONE_PART },
      { type: "response.output_item.done", output_index: 0, item: DONE_ITEM },
      {
        type: "response.completed",
        response: response({
          status: "completed",
          output: [DONE_ITEM],
          usage: { input_tokens: 100, output_tokens: 2, total_tokens: 102 },
        }),
      },
    ),
  ),
};

const words = [{ role: "user", content: "Say hello." }];
const CLIENTS = {
  chat: { path: "/v1/chat/completions", body: { messages: words } },
  messages: { path: "/v1/messages", body: { messages: words, max_tokens: 100 } },
  responses: { path: "/v1/responses", body: { input: "Say hello." } },
};

let gateway;
let account;
before(async () => {
  gateway = await startDialects({ entry: path.join(import.meta.dirname, "hurrying-entry.mjs") });
  account = await gateway.account();
});
after(() => gateway.close());
afterEach(async () => {
  gateway.upstream.forget();
  await hurry(1);
});

/** Has the Worker's time go so many times as fast. */
async function hurry(speed) {
  const answer = await gateway.fetch("/test/time", { method: "POST", body: JSON.stringify({ speed }) });
  assert.equal(answer.status, 204);
}

/** Answers with steps: texts are written and flushed, anything else is awaited. */
function script(...steps) {
  return async (answer) => {
    answer.writeHead(200, { "content-type": "text/event-stream" });
    answer.flushHeaders();
    for (const step of steps) {
      if (typeof step === "function") await step();
      else if (answer.destroyed) return;
      else await new Promise((resolve) => answer.write(step, resolve));
    }
    answer.end();
  };
}

const silent = () => sleep(SILENCE_MS);
const forever = () => new Promise(() => {});

function ask(client, upstream, more = {}) {
  const { path, body } = CLIENTS[client];
  return gateway.fetch(path, {
    method: "POST",
    key: account.key,
    body: JSON.stringify({ model: `agent-${upstream}`, stream: true, ...body }),
    ...more,
  });
}

for (const upstream of UPSTREAMS) {
  for (const client of UPSTREAMS) {
    test(`${client} of ${upstream}: a silence is filled between two events, and changes nothing else`, async () => {
      const [beginning, middle, end] = STREAMS[upstream];
      gateway.upstream.answer(`agent-${upstream}`, script(beginning, middle, end));
      const plain = await (await ask(client, upstream)).text();
      await hurry(SPEED);
      // The silence begins in the middle of an event.
      gateway.upstream.answer(
        `agent-${upstream}`,
        script(beginning + middle.slice(0, 20), silent, middle.slice(20), end),
      );
      const kept = await (await ask(client, upstream)).text();
      const keepAlive = client === "messages" ? PING : COMMENT;
      const count = kept.split(keepAlive).length - 1;
      assert.ok(count >= 2 && count <= 3, `${count} keep-alives in ${kept}`);
      assert.ok(!plain.includes(keepAlive), plain);
      const without = kept.replaceAll(keepAlive, "");
      if (client === upstream) assert.equal(without, plain);
      const reading = read(client, eventsIn(without));
      assert.deepEqual(reading, read(client, eventsIn(plain)));
      assert.deepEqual([reading.text, reading.stop, reading.failed], ["one two", "end", false]);
    });
  }
}

test("before message_start a silence is filled with comments", async () => {
  await hurry(SPEED);
  for (const upstream of ["messages", "chat"]) {
    gateway.upstream.answer(`agent-${upstream}`, script(silent, ...STREAMS[upstream]));
    const text = await (await ask("messages", upstream)).text();
    // The first comes after the time in which the gateway itself waits for an event.
    assert.ok(text.startsWith(COMMENT), text);
    assert.ok(!text.includes("event: ping"), text);
    assert.equal(read("messages", eventsIn(text)).text, "one two");
  }
});

test("nothing is sent before an upstream has answered", async () => {
  await hurry(SPEED);
  gateway.upstream.answer("agent-chat", async (answer) => {
    await silent();
    await json({ error: {} }, { status: 500 })(answer);
  });
  assert.equal((await ask("chat", "chat")).status, 503);
});

test("keep-alives are no answer: what nothing else was said in is free", async () => {
  await hurry(SPEED);
  const poor = await gateway.account({ usd: "1" });
  gateway.upstream.answer("agent-chat", script(silent));
  const text = await (await ask("chat", "chat", { key: poor.key })).text();
  assert.ok(text.startsWith(COMMENT) && text.includes("upstream_unavailable"), text);
  const { outcome, billing_status: status, amount } = await settled(poor);
  assert.deepEqual([outcome, status, amount], ["upstream_failed", "released", 0]);
});

/** What an account's one request was charged, as its object keeps it: alarms, and with them D1, keep the real time. */
async function settled(account) {
  const deadline = performance.now() + SETTLE_LIMIT_MS;
  for (;;) {
    const [, row] = await gateway.journal(account);
    if (row) return { ...row.usage, amount: row.amount_nano };
    assert.ok(performance.now() < deadline, "nothing was settled");
    await sleep(20);
  }
}

/** Asks over a connection of its own and leaves once `last` was read. */
async function leave(key, client, upstream, last, more = {}) {
  const { path, body } = CLIENTS[client];
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const sent = http.request(`${gateway.url}${path}`, { method: "POST", headers, agent: false });
  sent.on("error", () => {}); // its own destruction
  sent.end(JSON.stringify({ model: `agent-${upstream}`, stream: true, ...body, ...more }));
  const [answer] = await once(sent, "response");
  let seen = "";
  for await (const part of answer) if ((seen += part).includes(last)) break;
  sent.destroy();
}

/** Resolves to how the upstream's connection ended, and to how long that took. */
async function closing(model) {
  const from = performance.now();
  const how = await Promise.race([gateway.upstream.seen(model)[0].closed, sleep(10_000, "open")]);
  return [how, performance.now() - from];
}

for (const client of UPSTREAMS) {
  for (const upstream of UPSTREAMS) {
    test(`a ${client} client that left is found by the first write, and its ${upstream} upstream is ended at once`, async () => {
      const own = await gateway.account({ usd: "1" });
      let goOn;
      const gone = new Promise((resolve) => (goOn = resolve));
      const [beginning, middle] = STREAMS[upstream];
      gateway.upstream.answer(
        `agent-${upstream}`,
        script(beginning, () => gone, middle, forever),
      );
      await leave(own.key, client, upstream, "one");
      await sleep(50);
      goOn();
      const [how, ms] = await closing(`agent-${upstream}`);
      assert.equal(how, "cut");
      assert.ok(ms < CLOSE_LIMIT_MS, `${ms} ms`);
      // Of its output the two words were seen; its input is what it told, or else an estimate.
      const { outcome, settled_by: by, usage } = await settled(own);
      assert.deepEqual([outcome, by], ["client_gone", "estimate"]);
      assert.ok(usage.output >= 2 && usage.output <= 4, `${usage.output}`);
      if (upstream === "messages") assert.equal(usage.input, 100);
      else assert.ok(usage.input > 0 && usage.input < 50, `${usage.input}`);
    });
  }
}

test("a client that leaves in a silence is found by a keep-alive", async () => {
  await hurry(SPEED);
  gateway.upstream.answer("agent-messages", script(STREAMS.messages[0], forever));
  await leave(account.key, "messages", "messages", "one");
  const [how, ms] = await closing("agent-messages");
  assert.equal(how, "cut");
  // The upstream's own silence would have been waited for three times as long.
  assert.ok(ms < 8_000 / SPEED + CLOSE_LIMIT_MS - 500, `${ms} ms`);
});

test("an upstream that may reason out of sight is read for 10 s more", async () => {
  await hurry(SPEED);
  const own = await gateway.account({ usd: "1" });
  const talk = async (answer) => {
    answer.writeHead(200, { "content-type": "text/event-stream" });
    while (!answer.destroyed) {
      answer.write(said("one "));
      await sleep(20);
    }
  };
  gateway.upstream.answer("agent-chat", talk);
  await leave(own.key, "chat", "chat", "one", { include_reasoning: false });
  const [how, ms] = await closing("agent-chat");
  assert.equal(how, "cut");
  const drainMs = 10_000 / SPEED;
  assert.ok(ms > drainMs * 0.9 && ms < drainMs + CLOSE_LIMIT_MS, `${ms} ms`);
  const { outcome, settled_by: by, usage } = await settled(own);
  assert.deepEqual([outcome, by], ["client_gone", "estimate"]);
  assert.ok(usage.output > 10, `${usage.output}`);
});
