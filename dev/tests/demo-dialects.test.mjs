// The demo upstream in the dialects of messages and responses, read by the official SDKs.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { startDemoUpstream } from "../demo-upstream.mjs";

let upstream;
let anthropic;
let openai;
before(async () => {
  upstream = await startDemoUpstream({ delayMs: 0 });
  anthropic = new Anthropic({ apiKey: "any", baseURL: upstream.url.replace(/\/v1$/, ""), maxRetries: 0 });
  openai = new OpenAI({ apiKey: "any", baseURL: upstream.url, maxRetries: 0 });
});
after(() => upstream.close());

const HELLO = [{ role: "user", content: "Hello there" }];
const SAYS = "This is One Interface's demo upstream, not demo. You said: Hello there";
const SCHEMA = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const SHELL = { type: "object", properties: { command: { type: "string" }, description: { type: "string" } } };
const message = { model: "demo", max_tokens: 100, messages: HELLO };

test("messages: whole and streamed are the same", async () => {
  const whole = await anthropic.messages.create(message);
  const streamed = await anthropic.messages.stream(message).finalMessage();
  assert.deepEqual(whole.content, [{ type: "text", text: SAYS }]);
  assert.deepEqual([whole.stop_reason, whole.usage.input_tokens, whole.usage.output_tokens], ["end_turn", 5, 19]);
  assert.match(streamed.id, /^msg_demo[0-9a-f]{32}$/);
  assert.deepEqual([streamed.content, streamed.stop_reason], [whole.content, whole.stop_reason]);
  assert.deepEqual([streamed.usage.input_tokens, streamed.usage.output_tokens], [5, 19]);
});

test("messages: a tool, its result, a schema, a limit, a count", async () => {
  const tools = [
    { name: "weather", input_schema: SCHEMA },
    { name: "Bash", input_schema: SHELL },
  ];
  const first = await anthropic.messages.stream({ ...message, tools }).finalMessage();
  const [call] = first.content;
  assert.deepEqual([first.stop_reason, call.name], ["tool_use", "Bash"]);
  assert.match(call.input.command, /^echo /);
  const result = { role: "user", content: [{ type: "tool_result", tool_use_id: call.id, content: "sunny" }] };
  const second = await anthropic.messages.create({
    ...message,
    tools,
    messages: [...HELLO, { role: "assistant", content: first.content }, result],
  });
  assert.match(second.content[0].text, /The tools answered: sunny$/);

  const output_config = { format: { type: "json_schema", schema: SCHEMA } };
  const structured = await anthropic.messages.create({ ...message, output_config });
  assert.deepEqual(JSON.parse(structured.content[0].text), { city: "demo" });
  const cut = await anthropic.messages.create({ ...message, max_tokens: 2 });
  assert.deepEqual([cut.stop_reason, cut.usage.output_tokens], ["max_tokens", 2]);
  assert.deepEqual(await anthropic.messages.countTokens({ model: "demo", messages: HELLO }), { input_tokens: 5 });
});

test("messages: a refusal has Anthropic's shape", async () => {
  const refused = anthropic.messages.create({ model: "demo", messages: HELLO });
  await assert.rejects(
    refused,
    (error) => error instanceof Anthropic.BadRequestError && error.error.error.type === "invalid_request_error",
  );
});

test("responses: whole and streamed are the same", async () => {
  const request = { model: "demo", input: "Hello there" };
  const whole = await openai.responses.create(request);
  const events = [];
  const stream = openai.responses.stream(request).on("event", (event) => events.push(event));
  const streamed = await stream.finalResponse();
  assert.equal(streamed.output_text, SAYS);
  assert.deepEqual(
    events.map((event) => event.sequence_number),
    events.map((_, index) => index),
  );
  assert.deepEqual([whole.status, whole.output_text, whole.usage.total_tokens], ["completed", SAYS, 24]);
  assert.match(streamed.id, /^resp_demo[0-9a-f]{32}$/);
  assert.deepEqual(streamed.usage, whole.usage);
});

test("responses: a tool, its result, a schema, a limit", async () => {
  const tools = [{ type: "function", name: "weather", parameters: SCHEMA, strict: true }];
  const request = { model: "demo", input: HELLO, tools };
  const first = await openai.responses.stream(request).finalResponse();
  const [call] = first.output;
  assert.deepEqual([call.type, call.name, JSON.parse(call.arguments)], ["function_call", "weather", { city: "demo" }]);
  const result = { type: "function_call_output", call_id: call.call_id, output: "sunny" };
  const second = await openai.responses.create({ ...request, input: [...HELLO, call, result] });
  assert.match(second.output_text, /The tools answered: sunny$/);

  const text = { format: { type: "json_schema", name: "place", schema: SCHEMA, strict: true } };
  const structured = await openai.responses.parse({ model: "demo", input: HELLO, text });
  assert.deepEqual(JSON.parse(structured.output_text), { city: "demo" });
  const cut = await openai.responses.create({ model: "demo", input: HELLO, max_output_tokens: 2 });
  assert.deepEqual([cut.status, cut.incomplete_details], ["incomplete", { reason: "max_output_tokens" }]);
});
