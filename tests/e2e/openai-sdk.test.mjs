// The openai package, as it comes from npm, against the Worker: what it sends is understood, what it
// gets is what the upstream said, and its error classes are the ones that it has for each failure.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { startGateway } from "./harness.mjs";
import { demo, events, eventStream, json } from "./upstream.mjs";

let gateway;
let account;
let client;

before(async () => {
  gateway = await startGateway();
  account = await gateway.account();
  client = clientOf(account.key);
});
after(() => gateway.close());

/** The SDK with its default settings; `attempts` counts the requests that it makes. */
function clientOf(apiKey, options = {}) {
  const client = new OpenAI({
    apiKey,
    baseURL: `${gateway.url}/v1`,
    fetch: (...args) => {
      client.attempts += 1;
      return fetch(...args);
    },
    ...options,
  });
  client.attempts = 0;
  return client;
}

const messages = [{ role: "user", content: "Say hello." }];

const COMPLETION = {
  id: "chatcmpl-1",
  object: "chat.completion",
  created: 1_700_000_000,
  model: "chat",
  choices: [
    {
      index: 0,
      message: { role: "assistant", content: "Hello 👋", refusal: null },
      logprobs: null,
      finish_reason: "stop",
    },
  ],
  usage: { prompt_tokens: 12, completion_tokens: 3, total_tokens: 15, prompt_tokens_details: { cached_tokens: 4 } },
  system_fingerprint: "fp_1",
};

// (12 − 4) × $2 + 4 × $0.5 + 3 × $10, each a million tokens.
const COST_NANO_USD = 48_000;

const chunk = (choices, more = {}) => ({
  id: "chatcmpl-1",
  object: "chat.completion.chunk",
  created: 1,
  model: "chat",
  choices,
  usage: null,
  ...more,
});
const delta = (delta, finish_reason = null, index = 0) => ({ index, delta, finish_reason });
const CHUNKS = [
  chunk([delta({ role: "assistant", content: "" })]),
  chunk([delta({ content: "Hello" })]),
  chunk([delta({ content: " 👋" })]),
  chunk([delta({}, "stop")]),
];
const USAGE_CHUNK = chunk([], { usage: COMPLETION.usage });

async function collect(stream) {
  const chunks = [];
  for await (const one of stream) chunks.push(one);
  return chunks;
}

test("a whole answer is the upstream's, and costs what its usage says", async () => {
  gateway.upstream.answerOnce("chat", json(COMPLETION));
  const { balance: before } = await gateway.balance(account);
  const { data, response } = await client.chat.completions.create({ model: "chat", messages }).withResponse();
  assert.deepEqual({ ...data }, COMPLETION);
  assert.equal(response.headers.get("x-oneinterface-cost"), "0.000048");
  assert.match(data._request_id, /^req_[0-9a-v]{26}$/);
  const { balance: left, held } = await gateway.balance(account);
  assert.deepEqual([before - left, held], [BigInt(COST_NANO_USD), 0n]);
});

test("a stream without include_usage has no usage chunk", async () => {
  gateway.upstream.answerOnce("chat", eventStream(events([...CHUNKS, USAGE_CHUNK])));
  const stream = await client.chat.completions.create({ model: "chat", messages, stream: true });
  assert.deepEqual(await collect(stream), CHUNKS);
  assert.deepEqual(gateway.upstream.seen("chat").at(-1).json.stream_options, { include_usage: true });
});

test("a stream with include_usage ends with the usage and its cost", async () => {
  gateway.upstream.answerOnce("chat", eventStream(events([...CHUNKS, USAGE_CHUNK])));
  const stream = await client.chat.completions.create({
    model: "chat",
    messages,
    stream: true,
    stream_options: { include_usage: true },
  });
  const usage = { ...COMPLETION.usage, cost: 0.000048 };
  assert.deepEqual(await collect(stream), [...CHUNKS, { ...USAGE_CHUNK, usage }]);
});

const weather = {
  type: "function",
  function: {
    name: "get_weather",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

test("tools: the call, and the answer to its result", async () => {
  gateway.upstream.answer("chat", demo());
  const first = await client.chat.completions.create({ model: "chat", messages, tools: [weather] });
  const [{ message, finish_reason: finish }] = first.choices;
  const [call] = message.tool_calls;
  assert.equal(finish, "tool_calls");
  assert.equal(call.function.name, "get_weather");
  assert.deepEqual(Object.keys(JSON.parse(call.function.arguments)), ["city"]);

  const answered = [...messages, message, { role: "tool", tool_call_id: call.id, content: "sunny" }];
  const second = await client.chat.completions.create({ model: "chat", messages: answered, tools: [weather] });
  assert.match(second.choices[0].message.content, /The tools answered: sunny/);
  assert.deepEqual(gateway.upstream.seen("chat").at(-1).json, { model: "chat", messages: answered, tools: [weather] });
});

test("tools: streamed, put together by the SDK", async () => {
  gateway.upstream.answer("chat", demo());
  const two = [{ role: "user", content: "The weather in two cities." }];
  const stream = client.chat.completions.stream({ model: "chat", messages: two, tools: [weather] });
  const { choices } = await stream.finalChatCompletion();
  assert.equal(choices[0].finish_reason, "tool_calls");
  assert.equal(choices[0].message.tool_calls.length, 2);
  for (const call of choices[0].message.tool_calls) {
    assert.deepEqual(Object.keys(JSON.parse(call.function.arguments)), ["city"]);
  }
});

test("response_format json_schema", async () => {
  gateway.upstream.answer("chat", demo());
  const schema = {
    type: "object",
    properties: { name: { type: "string" }, age: { type: "integer" } },
    required: ["name", "age"],
    additionalProperties: false,
  };
  const response_format = { type: "json_schema", json_schema: { name: "person", strict: true, schema } };
  const { choices } = await client.chat.completions.create({ model: "chat", messages, response_format });
  const person = JSON.parse(choices[0].message.content);
  assert.deepEqual([typeof person.name, Number.isInteger(person.age)], ["string", true]);
  assert.deepEqual(gateway.upstream.seen("chat").at(-1).json.response_format, response_format);
});

test("n = 2: whole and streamed", async () => {
  gateway.upstream.answer("chat", demo());
  const whole = await client.chat.completions.create({ model: "chat", messages, n: 2 });
  assert.deepEqual(
    whole.choices.map(({ index, finish_reason: finish }) => [index, finish]),
    [
      [0, "stop"],
      [1, "stop"],
    ],
  );

  const streamed = await client.chat.completions.stream({ model: "chat", messages, n: 2 }).finalChatCompletion();
  assert.deepEqual(
    streamed.choices.map(({ message }) => message.content),
    whole.choices.map(({ message }) => message.content),
  );
});

// Floats that 32 bits hold exactly.
const VECTOR = [1, -0.5, 0.25, 3];
const embeddingsOf = (...vectors) => ({
  object: "list",
  data: vectors.map((embedding, index) => ({ object: "embedding", index, embedding })),
  model: "embed",
  usage: { prompt_tokens: 10, total_tokens: 10 },
});
const base64 = (vector) => Buffer.from(new Float32Array(vector).buffer).toString("base64");

test("embeddings: the SDK's own base64, from upstreams of either kind", async () => {
  for (const sent of [VECTOR, base64(VECTOR)]) {
    gateway.upstream.answerOnce("embed", json(embeddingsOf(sent)));
    const answer = await client.embeddings.create({ model: "embed", input: "hello" });
    assert.deepEqual({ ...answer }, embeddingsOf(VECTOR));
    assert.deepEqual(gateway.upstream.seen("embed").at(-1).json, {
      model: "embed",
      input: "hello",
      encoding_format: "base64",
    });
  }
});

test("embeddings: floats, token arrays, dimensions", async () => {
  for (const request of [
    { input: ["hello", "world"], encoding_format: "float" },
    { input: [1, 2, 3], encoding_format: "float" },
    { input: [[1, 2], [3]], encoding_format: "float", dimensions: 4 },
  ]) {
    gateway.upstream.answerOnce("embed", json(embeddingsOf(VECTOR, VECTOR)));
    const answer = await client.embeddings.create({ model: "embed", ...request });
    assert.deepEqual({ ...answer }, embeddingsOf(VECTOR, VECTOR));
    assert.deepEqual(gateway.upstream.seen("embed").at(-1).json, { model: "embed", ...request });
  }
});

test("embeddings cost their input", async () => {
  const own = await gateway.account();
  gateway.upstream.answerOnce("vendor/embed", json({ error: { message: "asked by the wrong name" } }, { status: 500 }));
  gateway.upstream.answerOnce("their-embed", json({ ...embeddingsOf(VECTOR), model: "their-embed" }));
  const answer = await clientOf(own.key).embeddings.create({ model: "vendor/embed", input: "hello" });
  assert.equal(answer.model, "vendor/embed");
  const [row] = await gateway.usageRows(own, 1);
  assert.deepEqual(
    [row.endpoint, row.model, row.upstream, row.input_tokens, row.output_tokens, row.cost_nano_usd],
    ["/v1/embeddings", "vendor/embed", "main", 10, 0, 1_000],
  );
});

test("models: all that are for sale, each by its id", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.deepEqual(ids.toSorted(), [
    "caching",
    "chat",
    "dead",
    "embed",
    "failover",
    "half-dead",
    "header-key",
    "impatient",
    "one-limit",
    "patient",
    "prompt",
    "query-key",
    "resold",
    "tiered",
    "vendor/embed",
    "vendor/renamed",
  ]);
  assert.deepEqual(
    { ...(await client.models.retrieve("chat")) },
    {
      id: "chat",
      object: "model",
      type: "model",
      created: 1_704_067_200,
      created_at: "2024-01-01T00:00:00Z",
      owned_by: "tests",
      display_name: "Chat",
      context_window: 128_000,
      context_length: 128_000,
      max_output_tokens: 16_384,
      capabilities: ["tools", "vision"],
      pricing: {
        prompt: "0.000002",
        completion: "0.00001",
        input_cache_read: "0.0000005",
        input_cache_write: "0.0000025",
      },
    },
  );
  // The SDK writes the slash as %2F.
  assert.equal((await client.models.retrieve("vendor/renamed")).id, "vendor/renamed");
});

/** Runs `call`, which must throw this class with this status and exactly this envelope. */
async function refused(client, call, { type, status, error, attempts = 1 }) {
  const thrown = await call(client).then(
    () => assert.fail("was served"),
    (error) => error,
  );
  assert.equal(thrown.constructor, type, thrown.message);
  assert.equal(thrown.status, status);
  assert.deepEqual(thrown.error, { type: "oneinterface_error", ...error });
  assert.equal(thrown.code, error.code);
  assert.match(thrown.requestID, /^req_/);
  assert.equal(client.attempts, attempts);
  return thrown;
}

const ask = (body) => (client) => client.chat.completions.create({ model: "chat", messages, ...body });

test("a bad key is an AuthenticationError", async () => {
  await refused(clientOf("oi_none"), ask(), {
    type: OpenAI.AuthenticationError,
    status: 401,
    error: { code: "invalid_api_key", message: "The API key is missing, revoked or invalid. Make one in Console." },
  });
});

test("an unknown model is a NotFoundError", async () => {
  const error = { code: "model_not_available", message: "The requested model is not available.", param: "model" };
  for (const model of ["nobody", "disabled", "announced", "unpriced", "free"]) {
    await refused(clientOf(account.key), ask({ model }), { type: OpenAI.NotFoundError, status: 404, error });
  }
  await refused(clientOf(account.key), (client) => client.models.retrieve("nobody"), {
    type: OpenAI.NotFoundError,
    status: 404,
    error,
  });
});

test("an empty balance is an APIError 402, and is not tried again", async () => {
  const poor = await gateway.account({ usd: "0" });
  const asked = gateway.upstream.requests.length;
  const thrown = await refused(clientOf(poor.key), ask({ max_tokens: 1000 }), {
    type: OpenAI.APIError,
    status: 402,
    error: {
      code: "insufficient_credit",
      // 256 tokens of output at $10 a million: a lower limit would be no answer.
      message:
        "Your credit balance is too low: $0 is available, and this request needs at least $0.002605. Add credit in Console, or lower the output limit.",
      reason: "balance",
      held: "0",
    },
  });
  assert.equal(thrown.headers.get("x-should-retry"), "false");
  assert.equal(gateway.upstream.requests.length, asked);
  assert.deepEqual(await gateway.journal(poor), []);
});

test("a malformed body is a BadRequestError", async () => {
  await refused(clientOf(account.key), ask({ messages: "hello" }), {
    type: OpenAI.BadRequestError,
    status: 400,
    error: { code: "invalid_request", message: "The field `messages` must be an array.", param: "messages" },
  });
});

test("an upstream that is down is an InternalServerError 503, after the SDK's own retries", async () => {
  await refused(clientOf(account.key), ask({ model: "dead" }), {
    type: OpenAI.InternalServerError,
    status: 503,
    error: { code: "upstream_unavailable", message: "All providers of this model are temporarily unavailable." },
    attempts: 3,
  });
});

test("a busy upstream is a RateLimitError with its retry-after", async () => {
  gateway.upstream.answerOnce("chat", json({ error: {} }, { status: 429, headers: { "retry-after": "7" } }));
  const thrown = await refused(clientOf(account.key, { maxRetries: 0 }), ask(), {
    type: OpenAI.RateLimitError,
    status: 429,
    error: { code: "rate_limit_exceeded", message: "The provider of this model is busy. Retry after a short delay." },
  });
  assert.equal(thrown.headers.get("retry-after"), "7");
});
