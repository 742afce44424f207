// Clients that leave and upstreams that break off, on the Worker as it ships: whatever happens to
// either side, the request is settled once, by what was produced.
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { after, afterEach, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startGateway } from "./harness.mjs";
import { bytes, eventStream, hangUp, json } from "./upstream.mjs";

const chunk = (choices, more = {}) =>
  `data: ${JSON.stringify({ id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: "chat", choices, ...more })}\n\n`;
const text = (content) => chunk([{ index: 0, delta: { content }, finish_reason: null }]);
const tool = (name, text = "") =>
  chunk([
    {
      index: 0,
      delta: {
        tool_calls: [
          { index: 0, ...(name && { id: "call_1", type: "function" }), function: { name, arguments: text } },
        ],
      },
      finish_reason: null,
    },
  ]);
const FINISH = chunk([{ index: 0, delta: {}, finish_reason: "stop" }]);
const USAGE = { prompt_tokens: 1000, completion_tokens: 100, total_tokens: 1100 };
const END = [FINISH, chunk([], { usage: USAGE }), "data: [DONE]\n\n"];
// 1,000 × $2 + 100 × $10, each a million tokens.
const COST_NANO_USD = 3_000_000;

const PROVIDER_TEXT = "secret words of the provider";
const ERROR_EVENT = `event: error\ndata: {"error":{"message":"${PROVIDER_TEXT}"}}\n\n`;

// Upstreams that fail before anything was produced. They are remembered by model, so each has its own.
const failed = { error: { message: PROVIDER_TEXT } };
const html = bytes(`<html>${PROVIDER_TEXT}</html>`, { headers: { "content-type": "text/html" } });
const FAILURES = [
  ["status 500, streamed", json(failed, { status: 500 }), true, 503, "upstream_failed"],
  ["status 500, whole", json(failed, { status: 500 }), false, 503, "upstream_failed"],
  ["status 400", json(failed, { status: 400 }), false, 400, "rejected"],
  ["no answer, streamed", hangUp(), true, 503, "upstream_failed"],
  ["no answer, whole", hangUp(), false, 503, "upstream_failed"],
  ["a page instead of a stream", html, true, 503, "upstream_failed"],
  ["a page instead of an answer", html, false, 503, "upstream_failed"],
  ["an error instead of an answer", json(failed), false, 503, "upstream_failed"],
  [
    "half an answer",
    bytes('{"choices":[{"mess', { headers: { "content-length": "1000" }, end: "cut" }),
    false,
    503,
    "upstream_failed",
  ],
  ["an empty stream", eventStream(""), true, 503, "upstream_failed"],
  ["a stream that breaks at once", eventStream(": nothing yet\n\n", { end: "cut" }), true, 503, "upstream_failed"],
  ["an error as the first event", eventStream(ERROR_EVENT), true, 503, "upstream_failed"],
];

// Between two writes of the upstream once the client has left: the platform notices a client's
// leaving when it writes to it for the second time.
const PACE_MS = 20;

let gateway;

before(async () => {
  gateway = await startGateway({ copies: { chat: FAILURES.length } });
});
after(() => gateway.close());
afterEach(() => gateway.upstream.forget());

/** A promise with the function that resolves it. */
function gate() {
  let open;
  const opened = new Promise((resolve) => (open = resolve));
  return { open, opened };
}

/** Answers as a stream of steps: texts are written one by one, anything else is awaited. */
function script(...steps) {
  return async (response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.flushHeaders();
    for (const step of steps) {
      if (typeof step !== "string") await step;
      else if (response.destroyed) return;
      else await new Promise((resolve) => response.write(step, resolve));
      await sleep(PACE_MS);
    }
    response.end();
  };
}

/** A chat request over a connection of its own, which the test may destroy. */
function request(key, model, body) {
  const url = `${gateway.url}/v1/chat/completions`;
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const sent = http.request(url, { method: "POST", headers, agent: false });
  sent.on("error", () => {}); // its own destruction
  sent.end(JSON.stringify({ model, messages: [{ role: "user", content: "Say hello." }], ...body }));
  return sent;
}

/** Reads a stream until `last` is in it, and leaves. */
async function leaveAfter(sent, last) {
  const [response] = await once(sent, "response");
  assert.equal(response.statusCode, 200);
  let seen = "";
  for await (const part of response) {
    seen += part;
    if (seen.includes(last)) break;
  }
  assert.ok(seen.includes(last), seen);
  sent.destroy();
}

/**
 * Checks that the account has one usage row, that it has what `expected` says, and that the row, the
 * balance and the object's own journal agree. Resolves to the row.
 */
async function settledOnce(account, funded, expected) {
  const [row] = await gateway.usageRows(account, 1);
  assert.deepEqual(Object.fromEntries(Object.keys(expected).map((name) => [name, row[name]])), expected);
  assert.deepEqual(await gateway.balance(account), { balance: funded - BigInt(row.cost_nano_usd), held: 0n });
  const journal = await gateway.journal(account);
  assert.deepEqual(
    journal.map(({ kind }) => kind),
    ["grant", "usage"],
  );
  return row;
}

async function funded() {
  const account = await gateway.account({ usd: "1" });
  return [account, (await gateway.balance(account)).balance];
}

const byUpstream = (status) => ({
  status,
  billing_status: "settled",
  settled_by: "upstream",
  cost_nano_usd: COST_NANO_USD,
});

// A model may reason out of sight then, so that what was seen is not all.
const HIDES = { include_reasoning: false };

test("trap_07 a client that leaves a model that may reason out of sight pays what the upstream counted", async (t) => {
  const cases = [
    { name: "before the upstream has answered", left: (sent, asked) => asked.then(() => sent.destroy()), before: null },
    { name: "before the first token", left: (sent) => once(sent, "response").then(() => sent.destroy()), before: [] },
    { name: "after a comment", left: (sent) => leaveAfter(sent, "keep-alive"), before: [": processing\n\n"] },
    { name: "after two tokens", left: (sent) => leaveAfter(sent, "two"), before: [text("one"), text("two")] },
    {
      name: "inside tool arguments",
      left: (sent) => leaveAfter(sent, "Par"),
      before: [tool("weather"), tool(undefined, '{"city":"Par')],
    },
    {
      name: "between the finish and the usage",
      left: (sent) => leaveAfter(sent, '"stop"'),
      before: [text("one"), FINISH],
    },
  ];
  for (const { name, left, before } of cases) {
    await t.test(name, async () => {
      const [account, balance] = await funded();
      const [asked, gone] = [gate(), gate()];
      // The last words of each stream come when nobody listens any more; some servers comment on theirs.
      const rest = ["three", "four", "five"].map((word) => (before?.includes(FINISH) ? `: ${word}\n\n` : text(word)));
      gateway.upstream.answer("chat", async (response) => {
        asked.open();
        if (before === null) await gone.opened; // no headers before that
        await script(...(before ?? []), gone.opened, ...rest, ...END)(response);
      });
      const sent = request(account.key, "chat", { stream: true, ...HIDES });
      await left(sent, asked.opened);
      await sleep(PACE_MS);
      gone.open();
      await settledOnce(account, balance, byUpstream("client_gone"));
    });
  }
});

test("trap_07 a client that leaves a chat stream stops its upstream at once and pays what was produced", async (t) => {
  const call = [tool("weather"), tool(undefined, '{"city":"Par')];
  for (const { name, last, before, more, tokens } of [
    { name: "after a comment", last: "keep-alive", before: [": processing\n\n"], more: text(" word"), tokens: [0, 1] },
    { name: "after two tokens", last: "two", before: [text("one"), text(" two")], more: text(" word"), tokens: [2, 1] },
    { name: "inside tool arguments", last: "Par", before: call, more: tool(undefined, " word"), tokens: [3, 1] },
  ]) {
    await t.test(name, async () => {
      const [account, balance] = await funded();
      const gone = gate();
      let written = 0;
      gateway.upstream.answer("chat", async (response) => {
        response.writeHead(200, { "content-type": "text/event-stream" });
        for (const step of before) {
          response.write(step);
          await sleep(PACE_MS);
        }
        await gone.opened;
        for (; !response.destroyed && written < 500; written += 1) {
          response.write(more);
          await sleep(PACE_MS);
        }
        response.end();
      });
      const sent = request(account.key, "chat", { stream: true });
      await leaveAfter(sent, last);
      await sleep(PACE_MS);
      gone.open();
      assert.equal(await gateway.upstream.seen("chat")[0].closed, "cut");
      const row = await settledOnce(account, balance, {
        status: "client_gone",
        billing_status: "settled",
        settled_by: "estimate",
      });
      const [shown, each] = tokens;
      assert.ok(
        row.output_tokens >= shown && row.output_tokens <= 3 * (shown + each * (written + 1)),
        `${row.output_tokens} of ${shown} and ${written}`,
      );
      assert.ok(written < 50 && row.input_tokens > 0 && row.input_tokens < 50, `${written} ${row.input_tokens}`);
      assert.equal(row.cost_nano_usd, row.input_tokens * 2_000 + row.output_tokens * 10_000);
    });
  }
});

test("trap_07 a client that leaves between the finish and the usage has the bill of one that stays", async () => {
  const bills = [];
  for (const leaves of [false, true]) {
    const [account, balance] = await funded();
    const gone = gate();
    gateway.upstream.answer(
      "chat",
      script(text("one"), FINISH, gone.opened, ": working\n\n", ": working\n\n", ...END.slice(1)),
    );
    const sent = request(account.key, "chat", { stream: true });
    if (leaves) await leaveAfter(sent, '"stop"');
    gone.open();
    if (!leaves) for await (const part of (await once(sent, "response"))[0]) void part;
    const { input_tokens, output_tokens, settled_by, cost_nano_usd } = await settledOnce(account, balance, {
      status: leaves ? "client_gone" : "completed",
    });
    bills.push({ input_tokens, output_tokens, settled_by, cost_nano_usd });
  }
  const [stayed, left] = bills;
  assert.deepEqual(stayed, {
    input_tokens: 1000,
    output_tokens: 100,
    settled_by: "upstream",
    cost_nano_usd: COST_NANO_USD,
  });
  assert.deepEqual(left, stayed);
});

test("trap_07 a client that leaves a whole answer pays for it", async (t) => {
  const choices = [{ index: 0, message: { role: "assistant", content: "Hello." }, finish_reason: "stop" }];
  const answer = JSON.stringify({ id: "chatcmpl-1", object: "chat.completion", model: "chat", choices, usage: USAGE });
  for (const [name, shown] of [
    ["before it began", 0],
    ["in its middle", answer.length / 2],
  ]) {
    await t.test(name, async () => {
      const [account, balance] = await funded();
      const [begun, gone] = [gate(), gate()];
      gateway.upstream.answer("chat", async (response) => {
        response.writeHead(200, { "content-type": "application/json" });
        if (shown > 0) await new Promise((resolve) => response.write(answer.slice(0, shown), resolve));
        begun.open();
        await gone.opened;
        response.end(answer.slice(shown));
      });
      const sent = request(account.key, "chat", {});
      await begun.opened;
      await sleep(PACE_MS);
      sent.destroy();
      await sleep(PACE_MS);
      gone.open();
      // The upstream's answer came whole; that nobody was there to read it shows too late to be said.
      await settledOnce(account, balance, byUpstream("completed"));
    });
  }
});

test("trap_07 a client that leaves an upstream that falls silent pays what was produced", async () => {
  const [account, balance] = await funded();
  const gone = gate();
  gateway.upstream.answer(
    "impatient",
    script(text("one"), gone.opened, text("two"), text("three"), text("four"), new Promise(() => {})),
  );
  const sent = request(account.key, "impatient", { stream: true });
  await leaveAfter(sent, "one");
  gone.open();
  const row = await settledOnce(account, balance, {
    status: "client_gone",
    billing_status: "settled",
    settled_by: "estimate",
  });
  assert.ok(row.output_tokens >= 1 && row.output_tokens <= 4, String(row.output_tokens));
  // The input is estimated too: $1 and $4 a million tokens.
  assert.equal(row.cost_nano_usd, row.input_tokens * 1_000 + row.output_tokens * 4_000);
  assert.equal(await gateway.upstream.seen("impatient")[0].closed, "cut");
});

test("trap_07 a client that leaves inside tool arguments pays those that it was shown", async () => {
  const [account, balance] = await funded();
  const gone = gate();
  const parts = [
    tool("weather"),
    tool(undefined, '{"city":"'),
    tool(undefined, "Paris"),
    tool(undefined, " and"),
    tool(undefined, " Rome"),
  ];
  gateway.upstream.answer("impatient", script(parts[0], gone.opened, ...parts.slice(1), new Promise(() => {})));
  const sent = request(account.key, "impatient", { stream: true });
  await leaveAfter(sent, "weather");
  gone.open();
  const row = await settledOnce(account, balance, {
    status: "client_gone",
    billing_status: "settled",
    settled_by: "estimate",
  });
  assert.equal(row.cost_nano_usd, row.input_tokens * 1_000 + row.output_tokens * 4_000);
  // The name and as much of the arguments as was read, without the JSON around them.
  assert.ok(row.output_tokens >= 1 && row.output_tokens <= 12, String(row.output_tokens));
});

test("trap_07 a client that leaves an upstream that fails pays no more than one that stays", async () => {
  const [account, balance] = await funded();
  const gone = gate();
  const comments = ["one", "two", "three", "four"].map((word) => `: ${word}\n\n`);
  gateway.upstream.answer("chat", script(comments[0], gone.opened, ...comments.slice(1), ERROR_EVENT));
  // One whose output is all visible is stopped at once, so that its failure is not seen.
  const sent = request(account.key, "chat", { stream: true, ...HIDES });
  await leaveAfter(sent, "keep-alive");
  gone.open();
  await settledOnce(account, balance, {
    status: "client_gone",
    billing_status: "released",
    settled_by: null,
    cost_nano_usd: 0,
  });
});

test("trap_08 an upstream that breaks off is an error to the client, paid by what was produced", async (t) => {
  const produced = [text("one"), text("two"), text("three")].join("");
  for (const [name, answer, model = "chat"] of [
    ["the connection breaks", eventStream(produced, { end: "cut" })],
    ["the body ends", eventStream(produced)],
    ["the body ends within an event", eventStream(`${produced}data: {"id":"chat`)],
    ["the upstream reports an error", eventStream(produced + ERROR_EVENT)],
    ["the upstream falls silent", eventStream(produced, { end: "stall" }), "impatient"],
  ]) {
    await t.test(name, async () => {
      const [account, balance] = await funded();
      gateway.upstream.answer(model, answer);
      const response = await chat(account.key, model, { stream: true });
      assert.equal(response.status, 200);
      const body = await response.text();
      assert.ok(body.startsWith(produced), body);
      assertErrorEvent(body.slice(produced.length));
      const row = await settledOnce(account, balance, {
        status: "truncated",
        billing_status: "settled",
        settled_by: "estimate",
      });
      assert.ok(row.output_tokens >= 1 && row.output_tokens <= 5, String(row.output_tokens));
      const [input, output] = model === "chat" ? [2_000, 10_000] : [1_000, 4_000];
      assert.equal(row.cost_nano_usd, row.input_tokens * input + row.output_tokens * output);
      assert.equal(row.request_id, response.headers.get("x-request-id"));
    });
  }
});

test("trap_08 a usage that came before the upstream broke off is what is paid", async () => {
  const [account, balance] = await funded();
  gateway.upstream.answer("chat", eventStream(text("one") + chunk([], { usage: USAGE }) + ERROR_EVENT));
  const response = await chat(account.key, "chat", { stream: true });
  const body = await response.text();
  assertErrorEvent(body.slice(text("one").length));
  await settledOnce(account, balance, byUpstream("truncated"));
});

test("an upstream that fails before anything was produced costs nothing", async (t) => {
  for (const [at, [name, answer, stream, status, outcome]] of FAILURES.entries()) {
    const model = `chat-${at + 1}`;
    await t.test(name, async () => {
      const [account, balance] = await funded();
      gateway.upstream.answer(model, answer);
      const response = await chat(account.key, model, { stream });
      const body = await response.text();
      assert.equal(response.status, status, body);
      assert.ok(!body.includes(PROVIDER_TEXT), body);
      const row = await settledOnce(account, balance, {
        status: outcome,
        billing_status: "released",
        settled_by: null,
        cost_nano_usd: 0,
      });
      assert.equal(row.request_id, response.headers.get("x-request-id"));
    });
  }
});

function chat(key, model, body) {
  const messages = [{ role: "user", content: "Say hello." }];
  return gateway.fetch("/v1/chat/completions", {
    key,
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model, messages, ...body }),
  });
}

/** `text` is one error event of ours, and nothing else. */
function assertErrorEvent(text) {
  const [, data] = text.match(/^data: (.*)\n\n$/) ?? assert.fail(`no error event: ${text}`);
  const { error } = JSON.parse(data);
  assert.deepEqual([error.type, error.code], ["oneinterface_error", "upstream_unavailable"]);
  assert.ok(!text.includes(PROVIDER_TEXT), text);
}
