import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startDemoUpstream } from "../demo-upstream.mjs";

let upstream;
before(async () => (upstream = await startDemoUpstream({ delayMs: 0 })));
after(() => upstream.close());

const HELLO = [{ role: "user", content: "Hello there" }];
const SAYS = "This is One Interface's demo upstream, not gpt-4o. You said: Hello there";
const WEATHER = {
  type: "function",
  function: { name: "weather", parameters: { type: "object", properties: { city: { type: "string" } } } },
};

function post(path, body) {
  return fetch(`${upstream.url}${path}`, {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

async function chat(body) {
  const response = await post("/chat/completions", { model: "gpt-4o", messages: HELLO, ...body });
  assert.equal(response.status, 200);
  return response.json();
}

/** The chunks of a stream; fails unless the last event is [DONE]. */
async function stream(body) {
  const response = await post("/chat/completions", { model: "gpt-4o", messages: HELLO, stream: true, ...body });
  assert.equal(response.headers.get("content-type"), "text/event-stream; charset=utf-8");
  const events = (await response.text()).split("\n\n");
  assert.deepEqual(events.splice(-2), ["data: [DONE]", ""]);
  return events.map((event) => JSON.parse(event.slice("data: ".length)));
}

function usage(prompt, completion) {
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: 0,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}

test("a whole answer says that the demo wrote it, and has a usage", async () => {
  const { id, created, ...answer } = await chat({});
  assert.match(id, /^chatcmpl-demo-/);
  assert.ok(Number.isInteger(created));
  assert.deepEqual(answer, {
    object: "chat.completion",
    model: "gpt-4o",
    system_fingerprint: "fp_oneinterface_demo",
    choices: [
      { index: 0, message: { role: "assistant", content: SAYS, refusal: null }, logprobs: null, finish_reason: "stop" },
    ],
    usage: usage(5, 22),
  });
});

test("a stream carries the same words, one in each chunk", async () => {
  const chunks = await stream({});
  assert.equal(chunks.length, 1 + 22 + 1);
  assert.deepEqual(chunks[0].choices, [
    { index: 0, delta: { role: "assistant", content: "", refusal: null }, logprobs: null, finish_reason: null },
  ]);
  assert.equal(chunks.map((chunk) => chunk.choices[0].delta.content ?? "").join(""), SAYS);
  assert.deepEqual(chunks.at(-1).choices, [{ index: 0, delta: {}, logprobs: null, finish_reason: "stop" }]);
  assert.ok(chunks.every((chunk) => !("usage" in chunk)));
});

test("the last chunk has the usage if the request asks for it", async () => {
  const chunks = await stream({ stream_options: { include_usage: true } });
  assert.deepEqual(chunks.at(-1).choices, []);
  assert.deepEqual(chunks.at(-1).usage, usage(5, 22));
  assert.ok(chunks.slice(0, -1).every((chunk) => chunk.usage === null));
});

test("n choices differ, whole and streamed, and the usage counts all of them", async () => {
  const whole = await chat({ n: 2 });
  assert.deepEqual(
    whole.choices.map(({ message }) => message.content),
    [`${SAYS} (Answer 1 of 2.)`, `${SAYS} (Answer 2 of 2.)`],
  );
  const chunks = await stream({ n: 2, stream_options: { include_usage: true } });
  const second = chunks.filter((chunk) => chunk.choices[0]?.index === 1);
  assert.equal(second.map((chunk) => chunk.choices[0].delta.content ?? "").join(""), `${SAYS} (Answer 2 of 2.)`);
  assert.deepEqual(chunks.at(-1).usage, whole.usage);
});

test("a limit cuts the answer, and the finish reason says so", async () => {
  for (const limit of [{ max_tokens: 3 }, { max_completion_tokens: 3 }]) {
    const { choices, usage } = await chat(limit);
    assert.deepEqual([choices[0].message.content, choices[0].finish_reason], ["This is One", "length"]);
    assert.equal(usage.completion_tokens, 3);
  }
  const { choices } = await chat({ max_tokens: 1, tools: [WEATHER] });
  assert.equal(choices[0].finish_reason, "length");
  assert.equal(choices[0].message.tool_calls[0].function.arguments, "{");
});

test("an answer ends before a stop sequence", async () => {
  const { choices } = await chat({ stop: ["upstream", ", not"] });
  assert.deepEqual([choices[0].message.content, choices[0].finish_reason], ["This is One Interface's demo ", "stop"]);
});

test("tools are called, whole and streamed", async () => {
  const [choice] = (await chat({ tools: [WEATHER] })).choices;
  assert.equal(choice.finish_reason, "tool_calls");
  assert.equal(choice.message.content, null);
  const [{ id, ...call }] = choice.message.tool_calls;
  assert.match(id, /^call_/);
  assert.deepEqual(call, { type: "function", function: { name: "weather", arguments: '{"city":"demo"}' } });

  const calls = (await stream({ tools: [WEATHER] })).flatMap((chunk) => chunk.choices[0].delta.tool_calls ?? []);
  assert.deepEqual(
    [calls[0].index, calls[0].type, calls[0].function],
    [0, "function", { name: "weather", arguments: "" }],
  );
  assert.equal(calls.map((part) => part.function.arguments).join(""), '{"city":"demo"}');
});

test("the request decides whether tools are called, which and how many", async () => {
  const other = { type: "function", function: { name: "other" } };
  const tools = [WEATHER, other];
  const names = async (body) =>
    ((await chat({ tools, ...body })).choices[0].message.tool_calls ?? []).map((call) => call.function.name);
  const both = [{ role: "user", content: "Ask both, please" }];
  assert.deepEqual(await names({}), ["weather"]);
  assert.deepEqual(await names({ tool_choice: { type: "function", function: { name: "other" } } }), ["other"]);
  assert.deepEqual(await names({ tool_choice: "none" }), []);
  assert.deepEqual(await names({ messages: both }), ["weather", "other"]);
  assert.deepEqual(await names({ messages: both, parallel_tool_calls: false }), ["weather"]);
});

test("the answer repeats the result of a tool", async () => {
  const call = { id: "call_1", type: "function", function: { name: "weather", arguments: "{}" } };
  const messages = [
    ...HELLO,
    { role: "assistant", content: null, tool_calls: [call] },
    { role: "tool", tool_call_id: "call_1", content: "12 °C" },
  ];
  const { choices } = await chat({ messages, tools: [WEATHER] });
  assert.equal(
    choices[0].message.content,
    "This is One Interface's demo upstream, not gpt-4o. The tools answered: 12 °C",
  );
});

test("the answer has the requested format", async () => {
  const schema = { type: "object", properties: { days: { type: "integer" } }, required: ["days"] };
  const structured = await chat({ response_format: { type: "json_schema", json_schema: { name: "x", schema } } });
  assert.equal(structured.choices[0].message.content, '{"days":1}');
  const object = await chat({ response_format: { type: "json_object" } });
  assert.deepEqual(JSON.parse(object.choices[0].message.content), { message: SAYS });
});

test("the answer has log probabilities if the request asks for them", async () => {
  const { choices } = await chat({ logprobs: true, max_tokens: 1 });
  const one = { token: "This", logprob: -0.1, bytes: [84, 104, 105, 115], top_logprobs: [] };
  assert.deepEqual(choices[0].logprobs, { content: [one], refusal: null });
});

test("embeddings of every kind of input are unit vectors, the same each time", async () => {
  const embed = async (body) => (await post("/embeddings", { model: "e", ...body })).json();
  const one = await embed({ input: "some words" });
  assert.deepEqual(one.usage, { prompt_tokens: 2, total_tokens: 2 });
  const [{ embedding }] = one.data;
  assert.equal(embedding.length, 1536);
  assert.ok(Math.abs(Math.hypot(...embedding) - 1) < 1e-6);
  assert.deepEqual(await embed({ input: "some words" }), one);
  assert.notDeepEqual((await embed({ input: "other words" })).data, one.data);

  for (const [input, count, tokens] of [
    [["a", "b"], 2, 2],
    [[1, 2, 3], 1, 3],
    [[[1, 2], [3]], 2, 3],
  ]) {
    const { data, usage } = await embed({ input, dimensions: 8 });
    assert.deepEqual(
      data.map(({ index, embedding }) => [index, embedding.length]),
      Array.from({ length: count }, (_, index) => [index, 8]),
    );
    assert.deepEqual(usage, { prompt_tokens: tokens, total_tokens: tokens });
  }

  const base64 = (await embed({ input: "some words", encoding_format: "base64" })).data[0].embedding;
  const bytes = Buffer.from(base64, "base64");
  assert.deepEqual(
    Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readFloatLE(index * 4)),
    embedding,
  );
});

test("a wrong request is refused in OpenAI's form", async () => {
  const valid = { model: "m", messages: HELLO };
  const refusals = [
    ["/nowhere", "{}", 404, "unknown_url"],
    ["/models", "{}", 405, "method_not_supported"],
    ["/chat/completions", "{", 400, "invalid_json"],
    ["/chat/completions", "[]", 400, "invalid_json"],
    ["/chat/completions", { messages: HELLO }, 400, "missing_required_parameter"],
    ["/chat/completions", { ...valid, messages: [] }, 400, "invalid_value"],
    ["/chat/completions", { ...valid, messages: [1] }, 400, "invalid_value"],
    ["/chat/completions", { ...valid, n: 0 }, 400, "invalid_value"],
    ["/chat/completions", { ...valid, max_tokens: 0, stream: true }, 400, "invalid_value"],
    ["/embeddings", { model: "m", input: [] }, 400, "invalid_value"],
    ["/embeddings", { model: "m", input: [1, "a"] }, 400, "invalid_value"],
    ["/embeddings", { model: "m", input: "a", dimensions: 0 }, 400, "invalid_value"],
    ["/chat/completions", " ".repeat(41 * 1024 * 1024), 413, "request_too_large"],
  ];
  for (const [path, body, status, code] of refusals) {
    const response = await post(path, body);
    const { error } = await response.json();
    assert.deepEqual([response.status, error.code, error.type], [status, code, "invalid_request_error"], path);
  }
});

test("a client that disconnects does no harm", async () => {
  const slow = await startDemoUpstream({ delayMs: 20 });
  const client = new AbortController();
  const body = JSON.stringify({ model: "m", messages: HELLO, stream: true });
  const response = await fetch(`${slow.url}/chat/completions`, { method: "POST", body, signal: client.signal });
  await response.body.getReader().read();
  client.abort();
  assert.equal((await fetch(`${slow.url}/models`)).status, 200);
  await slow.close();
});
