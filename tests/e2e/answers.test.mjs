// What a client is given: the upstream's own bytes, but for what must differ.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { gzipSync } from "node:zlib";
import { chatBody, completion, completionChunks } from "./chat.mjs";
import { startGateway } from "./harness.mjs";
import { bytes, events, eventStream, json } from "./upstream.mjs";

let gateway;
let account;

before(async () => {
  gateway = await startGateway();
  account = await gateway.account();
});
beforeEach(() => gateway.upstream.forget());
after(() => gateway.close());

const ask = (model, more, { key = account.key } = {}) =>
  gateway.fetch("/v1/chat/completions", { method: "POST", key, body: chatBody(model, more) });

const asJson = { headers: { "content-type": "application/json" } };

// Key order, spaces, numbers beyond 64 bits, escapes, half an emoji, unknown fields.
const ODD = String.raw`{ "zeta":[1.0,1e400,-0] , "id":"x","created":123456789012345678901234567890,
  "choices":[{"index":0,"message":{"role":"assistant","content":"caf\u00e9 \ud83d 👋 \/"},"finish_reason":"stop","x":null}],
  "usage":{"completion_tokens":5,"prompt_tokens":10,"x_details":{"b":1,"a":2}},"model":"chat" }`;

test("a whole answer is the upstream's, byte for byte", async () => {
  gateway.upstream.answer("chat", bytes(ODD, asJson));
  const response = await ask("chat");
  assert.deepEqual([response.status, await response.text()], [200, ODD]);
  assert.equal(response.headers.get("x-oneinterface-cost"), "0.00007");
});

test("the model is named as the client named it", async () => {
  const theirs = ODD.replace('"chat"', '"their-name"');
  gateway.upstream.answerOnce("their-name", bytes(theirs, asJson));
  assert.equal(await (await ask("vendor/renamed")).text(), ODD.replace('"chat"', '"vendor/renamed"'));

  const [first, ...rest] = completionChunks("their-name");
  gateway.upstream.answerOnce("their-name", eventStream(events([first, ...rest])));
  const streamed = await (
    await ask("vendor/renamed", { stream: true, stream_options: { include_usage: true } })
  ).text();
  const cost = { ...completion("").usage, cost: 0.00003 };
  const ours = completionChunks("vendor/renamed").map((chunk) => (chunk.usage ? { ...chunk, usage: cost } : chunk));
  assert.equal(streamed, events(ours));
});

test("trap_03 cache writes for an hour cost their own price", async () => {
  const usage = {
    prompt_tokens: 1_000,
    completion_tokens: 1,
    prompt_tokens_details: { cached_tokens: 100, cache_write_tokens: 400 },
  };
  gateway.upstream.answer("caching", json({ ...completion("caching"), usage }));
  const marked = (ttl) => [
    { role: "user", content: [{ type: "text", text: "hi", cache_control: { type: "ephemeral", ...ttl } }] },
  ];
  for (const [ttl, cost, written] of [
    // 500 × $1, 100 × $0.10, 400 × $1.25 or $2, and 1 × $4 of output, each a million tokens.
    [{}, "0.001014", { cache_write_5m_tokens: 400, cache_write_1h_tokens: 0 }],
    [{ ttl: "1h" }, "0.001314", { cache_write_5m_tokens: 0, cache_write_1h_tokens: 400 }],
  ]) {
    const own = await gateway.account();
    const response = await ask("caching", { messages: marked(ttl) }, own);
    assert.deepEqual(
      [response.status, response.headers.get("x-oneinterface-cost")],
      [200, cost],
      await response.text(),
    );
    const [row] = await gateway.usageRows(own, 1);
    assert.deepEqual(Object.fromEntries(Object.keys(written).map((key) => [key, row[key]])), written);
  }
});

test("what an upstream is known to add is taken out", async () => {
  const added = { provider: "Someone", usage: { ...completion("").usage, cost: 0.5, cost_details: { upstream: 0.4 } } };
  gateway.upstream.answerOnce("resold", json({ ...completion("resold"), ...added }));
  const response = await ask("resold");
  assert.deepEqual(await response.json(), completion("resold"));
  assert.equal(response.headers.get("x-oneinterface-cost"), "0.00003");

  const chunks = completionChunks("resold").map((chunk) => ({
    ...chunk,
    provider: "Someone",
    ...(chunk.usage && { usage: added.usage }),
  }));
  gateway.upstream.answerOnce("resold", eventStream(events(chunks)));
  assert.equal(await (await ask("resold", { stream: true })).text(), events(completionChunks("resold").slice(0, 2)));
});

test("an upstream that compresses all the same is read, and billed", async () => {
  const headers = { "content-type": "application/json", "content-encoding": "gzip" };
  gateway.upstream.answerOnce("chat", bytes(gzipSync(ODD), { headers }));
  assert.equal(await (await ask("chat")).text(), ODD);

  const text = events(completionChunks("chat"));
  gateway.upstream.answerOnce(
    "chat",
    bytes(gzipSync(text), { headers: { ...headers, "content-type": "text/event-stream" } }),
  );
  assert.equal(await (await ask("chat", { stream: true })).text(), events(completionChunks("chat").slice(0, 2)));
  const rows = (await gateway.journal(account)).slice(-2);
  assert.deepEqual(
    rows.map(({ amount_nano: amount }) => amount),
    [-70_000, -70_000],
  );
});

test("a stream arrives as it is made, not when it is over", async () => {
  const [first, ...rest] = completionChunks("chat");
  const event = `data: ${JSON.stringify(first)}\n\n`;
  let goOn;
  const read = new Promise((resolve) => (goOn = resolve));
  gateway.upstream.answer("chat", async (response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(event);
    await read; // the rest is not written before the client has the first event
    response.end(events(rest));
  });
  const response = await ask("chat", { stream: true });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  assert.equal((await reader.read()).value, event);
  goOn();
  let text = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value;
  assert.equal(text, events(rest.slice(0, 1)));
});

test("trap_16 where the whole cannot be afforded, the limit is lowered and said", async () => {
  gateway.upstream.answer("chat", json(completion("chat")));
  // 3,000 tokens of output at $10 a million; a limit of 10,000 would be $0.10.
  const poor = await gateway.account({ usd: "0.03" });
  for (const [field, more] of [
    ["max_tokens", {}],
    ["max_tokens", { max_tokens: 10_000 }],
    ["max_completion_tokens", { max_completion_tokens: 10_000 }],
  ]) {
    await gateway.grant(poor, "0.00007"); // what the answer costs
    const response = await ask("chat", more, { key: poor.key });
    assert.equal(response.status, 200, await response.text());
    const limit = Number(response.headers.get("x-oneinterface-max-tokens"));
    assert.ok(limit > 2_990 && limit < 3_010, `${limit}`);
    assert.deepEqual(gateway.upstream.requests.at(-1).json, { ...JSON.parse(chatBody("chat")), [field]: limit });
  }
  const enough = await ask("chat", { max_tokens: 1_000 }, { key: poor.key });
  assert.deepEqual([enough.status, enough.headers.get("x-oneinterface-max-tokens")], [200, null]);
  assert.equal(gateway.upstream.requests.at(-1).json.max_tokens, 1_000);
});
