// chat_completion of POST /mcp, whose client leaves: the model's upstream is left with it, and what was
// produced is charged. No client says so but by its connection.
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { PRICE, startDialects } from "../agent/gateway.mjs";
import { META, MODERN } from "./mcp.mjs";

// A provider that has told its input at once, and speaks for as long as anybody listens.
const MODEL = "agent-messages";
const INPUT_TOKENS = 1_000;
const PACE_MS = 50;
// The upstream must have heard of the leaving by then; a test that waits for nothing would wait for a minute.
const LEFT_LIMIT_MS = 8_000;

let gateway;
before(async () => {
  gateway = await startDialects();
});
after(() => gateway.close());

const event = (type, more) => `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`;
const START = [
  event("message_start", {
    message: {
      id: "msg_1",
      type: "message",
      role: "assistant",
      model: MODEL,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: { input_tokens: INPUT_TOKENS, output_tokens: 1 },
    },
  }),
  event("content_block_start", { index: 0, content_block: { type: "text", text: "" } }),
];
const word = event("content_block_delta", { index: 0, delta: { type: "text_delta", text: "word " } });

/** Speaks `words` words, or for ever; then it tells `silent` and is so, for ever. */
function speaking(words = Infinity, silent) {
  return async (response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(START.join(""));
    for (let said = 0; said < words && !response.destroyed; said += 1) {
      await new Promise((resolve) => response.write(word, resolve));
      await sleep(PACE_MS);
    }
    silent();
  };
}

/** Calls the tool over a connection of its own, which the test may destroy. */
function call(key, { accept, meta = {} }) {
  const headers = {
    authorization: `Bearer ${key}`,
    "content-type": "application/json",
    "mcp-protocol-version": MODERN,
    "mcp-method": "tools/call",
    "mcp-name": "chat_completion",
    ...(accept && { accept }),
  };
  const params = {
    name: "chat_completion",
    arguments: { model: MODEL, messages: [{ role: "user", content: "Speak." }] },
    _meta: { ...META, ...meta },
  };
  const sent = http.request(`${gateway.url}/mcp`, { method: "POST", headers, agent: false });
  sent.on("error", () => {}); // its own destruction
  sent.end(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params }));
  return sent;
}

const BOTH = "application/json, text/event-stream";

for (const [name, options, words] of [
  ["without progress", { accept: BOTH }],
  ["without progress, from a model that has fallen silent", { accept: BOTH }, 5],
  ["with progress", { accept: BOTH, meta: { progressToken: 1 } }],
  ["with progress, from a model that has fallen silent", { accept: BOTH, meta: { progressToken: 1 } }, 5],
  ["that takes JSON alone", { accept: "application/json" }],
  ["that says nothing of what it takes", {}, 5],
]) {
  test(`a client ${name} leaves, and so is its upstream`, async () => {
    gateway.upstream.forget();
    let silent;
    const isSilent = new Promise((resolve) => (silent = resolve));
    gateway.upstream.answer(MODEL, speaking(words, silent));
    const account = await gateway.account();
    const sent = call(account.key, options);
    const [response] = await once(sent, "response");
    assert.equal(response.statusCode, 200);
    assert.match(
      response.headers["content-type"],
      options.accept?.includes("event-stream") ? /^text\/event-stream/ : /^application\/json/,
    );
    response.resume();
    await Promise.race([isSilent, sleep(500)]);
    const [seen] = gateway.upstream.seen(MODEL);
    sent.destroy();
    const limit = AbortSignal.timeout(LEFT_LIMIT_MS);
    const closed = await Promise.race([seen.closed, once(limit, "abort").then(() => "still open")]);
    assert.equal(closed, "cut");
    const [row] = await gateway.usageRows(account, 1);
    assert.deepEqual(
      [row.status, row.billing_status, row.input_tokens, row.endpoint],
      ["client_gone", "settled", INPUT_TOKENS, "/mcp"],
    );
    // The provider has not counted it yet: it is estimated by what was seen.
    assert.ok(row.output_tokens >= 3 && row.output_tokens <= (words ? 2 * words : 200), String(row.output_tokens));
    assert.equal(row.settled_by, "estimate");
    const cost = (BigInt(INPUT_TOKENS) * PRICE.input + BigInt(row.output_tokens) * PRICE.output + 999n) / 1_000n;
    assert.equal(BigInt(row.cost_nano_usd), cost);
    const { balance, held } = await gateway.balance(account);
    assert.deepEqual([balance, held], [10_000_000_000n - cost, 0n]);
  });
}

test("a client that stays with a silent model hears that it is alive, and then the answer", async () => {
  const end = [
    event("content_block_stop", { index: 0 }),
    event("message_delta", { delta: { stop_reason: "end_turn", stop_sequence: null }, usage: { output_tokens: 2 } }),
    event("message_stop", {}),
  ];
  for (const accept of [BOTH, "application/json"]) {
    const account = await gateway.account();
    gateway.upstream.answer(MODEL, async (response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(`${START.join("")}${word}`);
      await sleep(3_000);
      response.end(`${word}${end.join("")}`);
    });
    const [response] = await once(call(account.key, { accept }), "response");
    let text = "";
    for await (const part of response) text += part;
    const [beat, message] = accept === BOTH ? [/^(: keep-alive\n\n)+/, text.split("data: ")[1]] : [/^\n+/, text];
    assert.match(text, beat);
    const { structuredContent: told } = JSON.parse(message).result;
    assert.deepEqual([told.text, told.usage.output_tokens], ["word word ", 2]);
  }
});
