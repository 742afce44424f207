// The money of many requests at once: what the accounts lose is what the usage rows say, to the
// nano-dollar, and each admitted request has one row.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startGateway } from "./harness.mjs";
import { eventStream, hangUp, json } from "./upstream.mjs";

const REQUESTS = 1_000;
// Upstreams that fail are remembered by model: of so many, none sees many failures in a row.
const MODELS = 200;
const AT_ONCE = 20;

// Prices of the test catalogue, in pico-USD a token.
const CHAT = { input: 2_000_000n, cached: 500_000n, output: 10_000_000n };
const EMBED = { input: 100_000n, cached: 100_000n, output: 0n };

let gateway;

before(async () => (gateway = await startGateway({ copies: { chat: MODELS } })));
after(() => gateway.close());

/** Whole numbers from 0 to below `n`, the same in every run: a linear congruential generator. */
function randomNumbers(seed) {
  let state = seed;
  return (n) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

// Each kind of request: how often it comes, where it goes (`route`, default chat), what it asks for, and
// what the upstream does. `ends` is what its usage row says, `null` for a request that gets none.
const counted = { status: "completed", billing_status: "settled", settled_by: "upstream" };
const truncated = { status: "truncated", billing_status: "settled" };
const released = { billing_status: "released", settled_by: null };
const failed = { ...released, status: "upstream_failed" };
const KINDS = {
  whole: { weight: 18, answer: ({ usage }) => json(completion(usage)), http: 200, ends: counted },
  "n = 2": { weight: 6, ask: { n: 2 }, answer: ({ usage }) => json(completion(usage, 2)), http: 200, ends: counted },
  stream: {
    weight: 18,
    ask: { stream: true },
    answer: ({ usage }) => stream(TEXT, FINISH, usageChunk(usage), DONE),
    http: 200,
    ends: counted,
  },
  "stream with usage": {
    weight: 10,
    ask: { stream: true, stream_options: { include_usage: true } },
    answer: ({ usage }) => stream(TEXT, TEXT, FINISH, usageChunk(usage), DONE),
    http: 200,
    ends: counted,
  },
  embeddings: {
    weight: 10,
    route: "/v1/embeddings",
    ask: { model: "embed", input: ["hello", "world"], encoding_format: "float" },
    price: EMBED,
    answer: ({ usage }) =>
      json({
        object: "list",
        data: [{ object: "embedding", index: 0, embedding: [1, 2] }],
        model: "embed",
        usage: { ...usage, completion_tokens: 0 },
      }),
    http: 200,
    ends: counted,
  },
  "without usage": {
    weight: 4,
    ask: { stream: true },
    answer: () => stream(TEXT, FINISH, DONE),
    http: 200,
    ends: { ...counted, settled_by: "estimate" },
  },
  "cut after usage": {
    weight: 4,
    ask: { stream: true },
    answer: ({ usage }) => stream(TEXT, usageChunk(usage)),
    http: 200,
    ends: { ...truncated, settled_by: "upstream" },
  },
  "cut before usage": {
    weight: 4,
    ask: { stream: true },
    answer: () => eventStream(TEXT, { end: "cut" }),
    http: 200,
    ends: { ...truncated, settled_by: "estimate" },
  },
  "error event": {
    weight: 4,
    ask: { stream: true },
    answer: () => stream(TEXT, ERROR),
    http: 200,
    ends: { ...truncated, settled_by: "estimate" },
  },
  "error event at once": { weight: 3, ask: { stream: true }, answer: () => stream(ERROR), http: 503, ends: failed },
  "status 500": {
    weight: 3,
    answer: () => json({ error: { message: "no" } }, { status: 500 }),
    http: 503,
    ends: failed,
  },
  "status 429": { weight: 2, ask: { stream: true }, answer: () => json({}, { status: 429 }), http: 429, ends: failed },
  "status 400": {
    weight: 2,
    answer: () => json({ error: { message: "no" } }, { status: 400 }),
    http: 400,
    ends: { ...released, status: "rejected" },
  },
  "no answer": { weight: 2, answer: () => hangUp(), http: 503, ends: failed },
  "no such model": { weight: 3, ask: { model: "no-such-model" }, http: 404, ends: null },
  "wrong endpoint": { weight: 2, ask: { model: "embed" }, http: 400, ends: null },
  "wrong body": { weight: 3, ask: { messages: "hello" }, http: 400, ends: null },
  "priced field": { weight: 2, ask: { service_tier: "priority" }, http: 400, ends: null },
};

const event = (chunk) =>
  `data: ${JSON.stringify({ id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: "chat", ...chunk })}\n\n`;
const TEXT = event({ choices: [{ index: 0, delta: { content: "hello world" }, finish_reason: null }] });
const FINISH = event({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] });
const DONE = "data: [DONE]\n\n";
const ERROR = `data: {"error":{"message":"no"}}\n\n`;
const usageChunk = (usage) => event({ choices: [], usage });
const stream = (...parts) => eventStream(parts.join(""));

function completion(usage, n = 1) {
  const choices = Array.from({ length: n }, (_, index) => ({
    index,
    message: { role: "assistant", content: "hello" },
    finish_reason: "stop",
  }));
  return { id: "chatcmpl-1", object: "chat.completion", created: 1, model: "chat", choices, usage };
}

// A report below what was seen of the answer is corrected; the longest answer here is two words.
const LEAST_OUTPUT = 10;

/** The requests of the test: `{ name, kind, usage, model }`. */
function plan(seed) {
  const random = randomNumbers(seed);
  const urn = Object.entries(KINDS).flatMap(([kind, { weight }]) => Array(weight).fill(kind));
  return Array.from({ length: REQUESTS }, (_, n) => {
    const kind = urn[random(urn.length)];
    const [prompt, completion] = [1 + random(5_000), LEAST_OUTPUT + random(2_000)];
    const usage = {
      prompt_tokens: prompt,
      completion_tokens: completion,
      total_tokens: prompt + completion,
      prompt_tokens_details: { cached_tokens: random(prompt + 1) },
    };
    return { name: `request ${n}: ${kind}`, kind, usage, model: `chat-${1 + (n % MODELS)}` };
  });
}

/** What a usage costs, in nano-USD: rounded up once. */
function cost(
  { prompt_tokens: prompt, completion_tokens: completion, prompt_tokens_details: { cached_tokens: cached } },
  price,
) {
  return (
    (BigInt(prompt - cached) * price.input + BigInt(cached) * price.cached + BigInt(completion) * price.output + 999n) /
    1_000n
  );
}

function post(key, route, body) {
  const headers = { "content-type": "application/json" };
  return gateway.fetch(route, { key, method: "POST", headers, body: JSON.stringify(body) });
}

/** Sends the request and reads its answer to the end: `{ id, status }`. */
async function send(key, { name, kind, model }) {
  const { route = "/v1/chat/completions", ask } = KINDS[kind];
  // The embeddings route has no field for a name but this.
  const body = { model, messages: [{ role: "user", content: name }], max_tokens: 4_000, user: name, ...ask };
  const response = await post(key, route, body);
  await response.text();
  return { id: response.headers.get("x-request-id"), status: response.status };
}

test("what the accounts lose is what the usage rows say", async () => {
  // Two accounts that can pay everything, and one that becomes empty on the way.
  const accounts = await Promise.all(["100", "100", "1"].map((usd) => gateway.account({ usd })));
  const before = await Promise.all(accounts.map((account) => gateway.balance(account)));
  const requests = plan(2026);
  const byName = new Map(requests.map((request) => [request.name, request]));
  const answer = (response, seen) => {
    const request = byName.get(seen.json.user);
    return KINDS[request.kind].answer(request)(response);
  };
  for (const model of ["embed", ...requests.map(({ model }) => model)]) gateway.upstream.answer(model, answer);

  const sent = [];
  const waiting = requests.entries();
  const client = async () => {
    for (const [n, request] of waiting) {
      const account = accounts[n % accounts.length];
      sent.push({ ...request, account, ...(await send(account.key, request)) });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, client));

  const poor = accounts.at(-1);
  const refused = sent.filter(({ status }) => status === 402);
  assert.ok(
    refused.length > 10 && refused.every(({ account }) => account === poor),
    `${refused.length} refusals by balance`,
  );
  for (const { name, kind, status } of sent.filter((request) => !refused.includes(request))) {
    assert.equal(status, KINDS[kind].http, name);
  }
  assert.equal(new Set(sent.map(({ id }) => id)).size, REQUESTS, "each answer has an id of its own");

  const admitted = sent.filter((request) => KINDS[request.kind].ends !== null && !refused.includes(request));
  for (const [n, account] of accounts.entries()) {
    const own = new Map(
      admitted.filter((request) => request.account === account).map((request) => [request.id, request]),
    );
    const rows = await gateway.usageRows(account, own.size);
    assert.deepEqual(
      rows.map((row) => row.request_id).sort(),
      [...own.keys()].sort(),
      "one row for each admitted request",
    );
    for (const row of rows) checkRow(row, own.get(row.request_id));
    const spent = rows.reduce((sum, row) => sum + BigInt(row.cost_nano_usd), 0n);
    assert.ok(spent > 0n);
    assert.deepEqual(await gateway.balance(account), { balance: before[n].balance - spent, held: 0n });
    const journal = await gateway.journal(account);
    assert.deepEqual(
      journal.map(({ seq }) => seq),
      Array.from({ length: 1 + own.size }, (_, at) => at + 1),
      "the grant, and these",
    );
  }
});

function checkRow(row, { name, kind, usage, account }) {
  const { price = CHAT, ends } = KINDS[kind];
  const { billing_status, ...rest } = ends;
  assert.deepEqual(Object.fromEntries(Object.keys(rest).map((key) => [key, row[key]])), rest, name);
  const uncollected = BigInt(row.uncollected_nano_usd);
  // Only the last request that an account can pay for may cost more than there is.
  assert.equal(row.billing_status, uncollected > 0n ? "uncollected" : billing_status, name);
  const charged = BigInt(row.cost_nano_usd) + uncollected;
  if (ends.settled_by === "upstream") {
    const reported = kind === "embeddings" ? { ...usage, completion_tokens: 0 } : usage;
    assert.equal(charged, cost(reported, price), name);
  } else if (ends.settled_by === "estimate") {
    assert.equal(charged, BigInt(row.input_tokens) * 2_000n + BigInt(row.output_tokens) * 10_000n, name);
    assert.ok(row.output_tokens >= 2, name);
  } else {
    assert.equal(charged, 0n, name);
  }
}

test("trap_25 fifty requests at once with balance for one: one is served", async () => {
  // A hold of 200 output tokens at $10 a million, and some for the input: one fits, two do not.
  const account = await gateway.account({ usd: "0.003" });
  const before = gateway.upstream.requests.length;
  let refusals = 0;
  let allRefused;
  const others = new Promise((resolve) => (allRefused = resolve));
  gateway.upstream.answer("chat", async (response) => {
    // Not before the last of the others was refused, or its money would be free again.
    await others;
    await json(completion({ prompt_tokens: 10, completion_tokens: 20, total_tokens: 30 }))(response);
  });
  const responses = await Promise.all(
    Array.from({ length: 50 }, async () => {
      const response = await post(account.key, "/v1/chat/completions", {
        model: "chat",
        messages: [{ role: "user", content: "hi" }],
        max_tokens: 200,
      });
      if (response.status === 402 && ++refusals === 49) allRefused();
      return { status: response.status, retry: response.headers.get("x-should-retry"), body: await response.json() };
    }),
  );
  const served = responses.filter(({ status }) => status === 200);
  assert.equal(served.length, 1);
  for (const { status, retry, body } of responses.filter((response) => !served.includes(response))) {
    assert.deepEqual([status, retry, body.error.code, body.error.reason], [402, "true", "insufficient_credit", "held"]);
  }
  assert.equal(gateway.upstream.requests.length - before, 1);
  const rows = await gateway.usageRows(account, 1);
  assert.deepEqual(
    rows.map(({ cost_nano_usd }) => cost_nano_usd),
    [10 * 2_000 + 20 * 10_000],
  );
  assert.deepEqual(await gateway.balance(account), { balance: 3_000_000n - 220_000n, held: 0n });
});

test("trap_21 holds outlive the memory of their account", async () => {
  const account = await gateway.account({ usd: "1" });
  const { balance } = await gateway.balance(account);
  let answer;
  const evicted = new Promise((resolve) => (answer = resolve));
  let asked = 0;
  let allAsked;
  const running = new Promise((resolve) => (allAsked = resolve));
  const usage = { prompt_tokens: 10, completion_tokens: 20, total_tokens: 30 };
  gateway.upstream.answer("chat", async (response, seen) => {
    if (++asked === 6) allAsked();
    await evicted;
    await (seen.json.stream ? stream(TEXT, FINISH, usageChunk(usage), DONE) : json(completion(usage)))(response);
  });
  const requests = Array.from({ length: 6 }, async (_, n) => {
    const body = { model: "chat", messages: [{ role: "user", content: "hi" }], max_tokens: 200, stream: n % 2 === 0 };
    const response = await post(account.key, "/v1/chat/completions", body);
    await response.text();
    return response.status;
  });
  await running;
  const before = await gateway.balance(account);
  assert.ok(before.held >= 6n * 200n * 10_000n, `${before.held} is held`);
  await gateway.worker.evictDurableObject("ACCOUNT", { name: `${account.accountId.replace("acct_", "")}.1` });
  assert.deepEqual(await gateway.balance(account), before);
  answer();
  assert.deepEqual(await Promise.all(requests), Array(6).fill(200));
  const rows = await gateway.usageRows(account, 6);
  assert.deepEqual(
    rows.map(({ cost_nano_usd, status }) => [cost_nano_usd, status]),
    Array(6).fill([220_000, "completed"]),
  );
  assert.deepEqual(await gateway.balance(account), { balance: balance - 6n * 220_000n, held: 0n });
});
