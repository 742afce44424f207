// Bounds that a client or an upstream pushes against: what is held, how long an answer may become, how
// large a body, how slow an upload.
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import path from "node:path";
import { after, afterEach, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { chatBody, completion, completionChunks, errorBody } from "./chat.mjs";
import { nanoUsd, startGateway } from "./harness.mjs";
import { bytes, events, eventStream, json } from "./upstream.mjs";

const MAX_ANSWER_BYTES = 33 << 20;
const MAX_FORM_BYTES = 64 << 10;
// Of output at "chat", in nano-USD.
const OUTPUT_TOKEN = 10_000n;

let gateway;
before(async () => (gateway = await startGateway({ entry: path.join(import.meta.dirname, "faulty-entry.mjs") })));
after(() => gateway.close());
afterEach(() => gateway.upstream.forget());

const chat = (key, more, model = "chat") =>
  gateway.fetch("/v1/chat/completions", { method: "POST", key, body: chatBody(model, more) });

/** What a stream with these fields holds when it begins, in nano-USD. */
async function held(more) {
  const account = await gateway.account({ usd: "1" });
  gateway.upstream.answer("chat", eventStream(events(completionChunks("chat"))));
  const response = await chat(account.key, { stream: true, ...more });
  assert.equal(response.status, 200, await response.clone().text());
  await response.text();
  return 1_000_000_000n - nanoUsd(response.headers.get("x-oneinterface-balance"));
}

test("a stream whose upstream ignores the limit is stopped when it has certainly passed it", async () => {
  const account = await gateway.account({ usd: "1" });
  gateway.upstream.answer("chat", async (response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    const chunk = `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 1, model: "chat", choices: [{ index: 0, delta: { content: " word" }, finish_reason: null }] })}\n\n`;
    while (!response.destroyed) {
      response.write(chunk);
      await sleep(1);
    }
  });
  const response = await chat(account.key, { stream: true, max_tokens: 100 });
  const sent = (await response.text()).trim().split("\n\n");
  assert.equal(sent.at(-1), "data: [DONE]");
  assert.deepEqual(JSON.parse(sent.at(-2).slice("data: ".length)).choices, [
    { index: 0, delta: {}, finish_reason: "length" },
  ]);
  assert.equal(await gateway.upstream.seen("chat")[0].closed, "cut");
  const [row] = await gateway.usageRows(account, 1);
  assert.deepEqual([row.status, row.settled_by, row.billing_status], ["limited", "estimate", "settled"]);
  // Each word is about a token, and the bill is the estimate of all that was delivered.
  const words = sent.length - 2;
  assert.ok(words > 100 && Math.abs(row.output_tokens - words) <= words * 0.3, `${row.output_tokens} of ${words}`);
});

test("a whole answer of more than 33 MB is not handed over, and charged by the time that it took", async () => {
  const account = await gateway.account({ usd: "1" });
  // Further than both ends of the connection buffer.
  const body = JSON.stringify(completion("chat", "x".repeat(2 * MAX_ANSWER_BYTES)));
  gateway.upstream.answer("chat", bytes(body, { headers: { "content-type": "application/json" }, sizes: [1 << 20] }));
  const response = await chat(account.key);
  assert.deepEqual(
    [response.status, await response.json()],
    [
      400,
      errorBody(
        "invalid_request",
        "The answer is too large to be handed over whole. Ask for less at once: fewer inputs of embeddings, fewer choices, no log probabilities; or for a stream where the endpoint has one.",
      ),
    ],
  );
  assert.equal(await gateway.upstream.seen("chat")[0].closed, "cut");
  const [row] = await gateway.usageRows(account, 1);
  assert.deepEqual([row.status, row.billing_status, row.settled_by], ["truncated", "settled", "estimate"]);
  assert.ok(row.output_tokens > 0 && row.cost_nano_usd > 0, JSON.stringify(row));
  assert.deepEqual(await gateway.balance(account), { balance: 1_000_000_000n - BigInt(row.cost_nano_usd), held: 0n });
});

test("a usage that lacks its output, or tells 0 beside text, is charged by what was seen", async () => {
  const words = "one two three four five six seven eight";
  for (const stream of [false, true]) {
    for (const [told, by] of [
      [null, "estimate"],
      [undefined, "estimate"],
      [0, "corrected"],
    ]) {
      const account = await gateway.account({ usd: "1" });
      const usage = { prompt_tokens: 10, completion_tokens: told };
      const [, end, last] = completionChunks("chat");
      const hello = { ...end, choices: [{ index: 0, delta: { content: words }, finish_reason: null }] };
      const whole = { ...completion("chat", words), usage };
      gateway.upstream.answer("chat", stream ? eventStream(events([hello, end, { ...last, usage }])) : json(whole));
      const response = await chat(account.key, { stream });
      assert.equal(response.status, 200, await response.text());
      const [row] = await gateway.usageRows(account, 1);
      assert.deepEqual(
        [row.status, row.settled_by, row.input_tokens],
        ["completed", by, 10],
        JSON.stringify([stream, told]),
      );
      assert.ok(row.output_tokens >= 6 && row.output_tokens <= 12, String(row.output_tokens));
    }
  }
});

test("a form of more than 64 kB is 413", async () => {
  const account = await gateway.account();
  const form = (length) => `{"name":"long"${" ".repeat(length - '{"name":"long"}'.length)}}`;
  const chunked = (text) => ({ body: new Blob([text]).stream(), duplex: "half" });
  for (const sent of [(text) => ({ body: text }), chunked]) {
    const full = await gateway.fetch("/console/api/keys", {
      method: "POST",
      key: account.key,
      ...sent(form(MAX_FORM_BYTES)),
    });
    assert.equal(full.status, 201, await full.text());
    const refused = await gateway.fetch("/console/api/keys", {
      method: "POST",
      key: account.key,
      ...sent(form(MAX_FORM_BYTES + 1)),
    });
    assert.deepEqual(
      [refused.status, await refused.json()],
      [413, errorBody("invalid_request", "The request body is larger than 64 kB.")],
    );
  }
});

test("an upload that takes longer than a minute is not taken for an old request", async () => {
  const account = await gateway.account({ usd: "100" });
  gateway.upstream.answer("chat", json(completion("chat")));
  // Each piece comes 9 s after the one before, and buys 9 s more at the least rate of 16 kB a second.
  const [pieces, pieceMs, pieceBytes] = [7, 9_000, 148_000];
  const body = chatBody("chat", { user: "x".repeat(pieces * pieceBytes) });
  const headers = {
    authorization: `Bearer ${account.key}`,
    "content-type": "application/json",
    "transfer-encoding": "chunked",
  };
  const sent = http.request(`${gateway.url}/v1/chat/completions`, { method: "POST", headers });
  const begun = Date.now();
  const world = (state) => gateway.fetch("/test/world", { method: "POST", body: JSON.stringify(state) });
  try {
    for (let n = 0; n < pieces; n += 1) {
      await world({ ahead_ms: n * pieceMs });
      sent.write(body.slice(n * pieceBytes, (n + 1) * pieceBytes));
      await sleep(300); // until the Worker has it
    }
    await world({ ahead_ms: pieces * pieceMs });
    sent.end(body.slice(pieces * pieceBytes));
    const [response] = await once(sent, "response");
    let text = "";
    for await (const part of response) text += part;
    assert.equal(response.statusCode, 200, text);
    const [{ at_ms: settled }] = await gateway.rows(account, "SELECT at_ms FROM journal WHERE kind = 'usage'");
    assert.ok(settled - begun > 61_000, "the clock did not jump");
  } finally {
    await world({});
  }
});

test("a request that may hide its reasoning holds the whole of its output", async () => {
  const shown = await held({});
  assert.ok(shown >= 4_096n * OUTPUT_TOKEN && shown < 5_000n * OUTPUT_TOKEN, `${shown}`);
  for (const hiding of [
    { reasoning_format: "hidden" },
    { include_reasoning: false },
    { reasoning: { exclude: true } },
    { thinking: { type: "enabled" } },
    { enable_thinking: true },
    { chat_template_kwargs: { thinking: true } },
  ]) {
    const whole = await held(hiding);
    assert.ok(whole >= 16_384n * OUTPUT_TOKEN, `${JSON.stringify(hiding)}: ${whole}`);
  }
});

test("a prediction is held as output, for what of it is rejected is billed as that", async () => {
  const content = "one two three four five ".repeat(200);
  const more = (await held({ prediction: { type: "content", content } })) - (await held({}));
  assert.ok(more >= 1_000n * OUTPUT_TOKEN && more <= BigInt(content.length) * OUTPUT_TOKEN, `${more}`);
  // Whatever a lowered limit leaves, the prediction is covered beside it.
  const account = await gateway.account({ usd: "0.012" });
  const refused = await chat(account.key, { prediction: { type: "content", content } });
  assert.deepEqual([refused.status, (await refused.json()).error.reason], [402, "balance"]);
});

test("the limit goes to the upstream in the field that the model knows", async () => {
  const account = await gateway.account({ usd: "1" });
  gateway.upstream.answer("one-limit", json(completion("one-limit")));
  for (const [given, sent] of [
    [{ max_tokens: 100 }, { max_completion_tokens: 100 }],
    [{ max_completion_tokens: 100 }, { max_completion_tokens: 100 }],
    [{}, {}],
  ]) {
    const response = await chat(account.key, given, "one-limit");
    assert.equal(response.status, 200, await response.text());
    const { model, messages, ...rest } = gateway.upstream.requests.at(-1).json;
    assert.deepEqual([model, messages.length, rest], ["one-limit", 1, sent]);
  }
  const poor = await gateway.account({ usd: "0.002" });
  const lowered = await chat(poor.key, { max_tokens: 4_000 }, "one-limit");
  assert.equal(lowered.status, 200, await lowered.text());
  const limit = Number(lowered.headers.get("x-oneinterface-max-tokens"));
  assert.deepEqual(
    [gateway.upstream.requests.at(-1).json.max_completion_tokens, gateway.upstream.requests.at(-1).json.max_tokens],
    [limit, undefined],
  );
});
