// The official OpenAI SDK against /v1/responses, with a model behind each dialect of an upstream: what it
// asks for reaches the upstream, what it reads is what the upstream said, whole and streamed.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import OpenAI from "openai";
import { assertPaid, costNano, reached, startDialects, UPSTREAMS } from "../agent/gateway.mjs";
import { newResults } from "../agent/read.mjs";
import { says, text, thinking, tool, USAGE } from "../agent/wire.mjs";
import { eventStream } from "./upstream.mjs";

let gateway;
let account;
let client;

before(async () => (gateway = await startDialects()));
after(() => gateway?.close());

beforeEach(async () => {
  gateway.upstream.forget();
  account = await gateway.account();
  client = new OpenAI({ apiKey: account.key, baseURL: `${gateway.url}/v1`, maxRetries: 0 });
});

const WORDS = "Hello 👋, this is a stream.";
const COST_USD = Number(costNano(USAGE)) / 1e9;
const COUNTS = {
  input_tokens: 120,
  input_tokens_details: { cached_tokens: 20 },
  output_tokens: 30,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: 150,
};
const SCHEMA = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const WEATHER = {
  type: "function",
  name: "get_weather",
  description: "The weather in a city.",
  parameters: SCHEMA,
  strict: true,
};
const PATCH = { type: "custom", name: "apply_patch", description: "Applies a patch.", format: { type: "text" } };
const PIXEL =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

// What Open Responses requires to be there, be it null.
const FIELDS =
  `id object created_at completed_at status incomplete_details model previous_response_id instructions output
  error tools tool_choice truncation parallel_tool_calls text top_p presence_penalty frequency_penalty top_logprobs
  temperature reasoning usage max_output_tokens max_tool_calls store background service_tier metadata
  safety_identifier prompt_cache_key`.split(/\s+/);

function countsOf({ usage }) {
  const {
    input_tokens,
    input_tokens_details: input,
    output_tokens,
    output_tokens_details: output,
    total_tokens,
  } = usage;
  const details = {
    input_tokens_details: { cached_tokens: input.cached_tokens },
    output_tokens_details: { reasoning_tokens: output.reasoning_tokens },
  };
  return { input_tokens, output_tokens, total_tokens, ...details };
}

/** The response of a streamed request, with the events that it was made of. */
async function streamedResponse(request) {
  const events = [];
  const stream = client.responses.stream(request).on("event", (event) => events.push(event));
  const response = await stream.finalResponse();
  return { response, events };
}

/** The response of a request, streamed or whole. */
async function respond(request, streamed) {
  return streamed ? (await streamedResponse(request)).response : client.responses.create(request);
}

for (const dialect of UPSTREAMS) {
  const model = `agent-${dialect}`;
  const request = { model, input: "Say hello." };
  const on = `, on an upstream that speaks ${dialect}`;
  const answer = (blocks, more) => gateway.upstream.answer(model, says(blocks, more));

  test(`text, whole${on}`, async () => {
    answer([text(WORDS)]);
    const { data, response } = await client.responses
      .create({ ...request, instructions: "Be brief.", metadata: { a: "b" } })
      .withResponse();
    assert.deepEqual(
      FIELDS.filter((field) => !(field in data)),
      [],
    );
    assert.deepEqual([data.object, data.status, data.model, data.output_text], ["response", "completed", model, WORDS]);
    assert.deepEqual(
      [data.instructions, data.metadata, data.store, data.error],
      ["Be brief.", { a: "b" }, false, null],
    );
    assert.deepEqual(countsOf(data), COUNTS);
    assert.equal(Number(response.headers.get("x-oneinterface-cost")), COST_USD);
    assert.match(data._request_id, /^req_[0-9a-v]{26}$/);
    const { turns } = reached(gateway, model).at(-1);
    assert.deepEqual(
      turns.map(({ text }) => text),
      ["Be brief.", "Say hello."],
    );
    const [row] = await assertPaid(gateway, account, 1);
    assert.deepEqual([row.input_tokens, row.cache_read_tokens, row.output_tokens], [100, 20, 30]);
  });

  test(`text, streamed${on}`, async () => {
    answer([text(WORDS)]);
    const { response, events } = await streamedResponse(request);
    assert.deepEqual([response.output_text, response.status, countsOf(response)], [WORDS, "completed", COUNTS]);
    assert.deepEqual(
      events.map(({ sequence_number: number }) => number),
      events.map((_, index) => index),
    );
    const types = events.map(({ type }) => type);
    const first = [
      "response.created",
      "response.in_progress",
      "response.output_item.added",
      "response.content_part.added",
      "response.output_text.delta",
    ];
    const last = [
      "response.output_text.done",
      "response.content_part.done",
      "response.output_item.done",
      "response.completed",
    ];
    assert.deepEqual([types.slice(0, 5), types.slice(-4)], [first, last]);
    assert.ok(types.filter((type) => type === "response.output_text.delta").length > 1, "it came in one piece");
    assert.deepEqual(
      FIELDS.filter((field) => !(field in events[0].response)),
      [],
    );
    assert.equal(events.at(-1).response.usage.cost, COST_USD);
    await assertPaid(gateway, account, 1);
  });

  test(`two tools at once, and their results${on}`, async () => {
    const calls = [
      tool("call_1", { name: "get_weather" }, '{"city": "Zürich \\u2603"}'),
      tool("call_2", { name: "get_weather" }, '{"city":"Rome"}'),
    ];
    for (const streamed of [true, false]) {
      answer(calls);
      const asked = {
        ...request,
        input: [{ role: "user", content: "The weather?" }],
        tools: [WEATHER],
        tool_choice: "required",
      };
      const { output } = await respond(asked, streamed);
      const made = output.filter(({ type }) => type === "function_call");
      const inputs = made.map(({ name, arguments: args }) => [name, JSON.parse(args)]);
      assert.deepEqual(inputs, [
        ["get_weather", { city: "Zürich ☃" }],
        ["get_weather", { city: "Rome" }],
      ]);

      answer([text("Sunny.")]);
      const results = made.map(({ call_id }, index) => ({
        type: "function_call_output",
        call_id,
        output: ["sunny", "rain"][index],
      }));
      const second = await respond(
        { ...asked, tool_choice: "auto", input: [...asked.input, ...output, ...results] },
        streamed,
      );
      assert.equal(second.output_text, "Sunny.");
      const [before, after] = reached(gateway, model).slice(-2);
      assert.deepEqual(
        before.tools.map(({ name, schema }) => [name, schema]),
        [["get_weather", SCHEMA]],
      );
      const told = after.turns.flatMap((turn) => turn.calls);
      assert.deepEqual(
        newResults(after),
        told.map(({ id }, index) => ({ id, text: ["sunny", "rain"][index] })),
      );
    }
    await assertPaid(gateway, account, 4);
  });

  test(`a tool that takes any text${on}`, async () => {
    const patch = '*** Begin Patch\n+"quoted" 👋\n*** End Patch\n';
    for (const streamed of [true, false]) {
      // An upstream without such tools is offered a function, whose one argument is the text.
      const call = ({ tools: [offered] }) => {
        const [field] = Object.keys(offered.schema?.properties ?? {});
        return tool(
          "call_1",
          { name: "apply_patch", custom: offered.custom },
          offered.custom ? patch : JSON.stringify({ [field]: patch }),
        );
      };
      gateway.upstream.answer(model, (http, seen) => says([call(reached(gateway, model).at(-1))])(http, seen));
      const asked = { ...request, input: [{ role: "user", content: "Patch it." }], tools: [PATCH] };
      const { output } = await respond(asked, streamed);
      const made = output.at(-1);
      assert.deepEqual([made.type, made.name, made.input], ["custom_tool_call", "apply_patch", patch]);

      answer([text("Done.")]);
      const result = { type: "custom_tool_call_output", call_id: made.call_id, output: "Success." };
      await respond({ ...asked, input: [...asked.input, ...output, result] }, streamed);
      const after = reached(gateway, model).at(-1);
      assert.deepEqual(
        newResults(after).map(({ text }) => text),
        ["Success."],
      );
      const [told] = after.turns.flatMap((turn) => turn.calls);
      assert.ok(told.input === patch || Object.values(JSON.parse(told.input))[0] === patch, told.input);
    }
  });

  test(`thought goes back to its provider, and to no other${on}`, async () => {
    for (const streamed of [true, false]) {
      answer([thinking("Let me think.", "c3RhdGU="), tool("call_1", { name: "get_weather" }, '{"city":"Rome"}')], {
        usage: { ...USAGE, reasoning: 10 },
      });
      const asked = {
        ...request,
        input: [{ role: "user", content: "The weather?" }],
        tools: [WEATHER],
        store: false,
        include: ["reasoning.encrypted_content"],
        reasoning: { effort: "high", summary: "auto" },
      };
      const { output, usage } = await respond(asked, streamed);
      assert.deepEqual(
        output.map(({ type }) => type),
        ["reasoning", "function_call"],
      );
      assert.equal(usage.output_tokens_details.reasoning_tokens, 10);
      const shown = [...(output[0].summary ?? []), ...(output[0].content ?? [])].map(({ text }) => text).join("");
      assert.equal(shown, "Let me think.");

      const others = UPSTREAMS.filter((name) => name !== dialect);
      const result = { type: "function_call_output", call_id: output[1].call_id, output: "sunny" };
      for (const name of [dialect, ...others]) {
        gateway.upstream.answer(`agent-${name}`, says([text("Sunny.")]));
        await respond({ ...asked, model: `agent-${name}`, input: [...asked.input, ...output, result] }, streamed);
        const { turns, body } = reached(gateway, `agent-${name}`).at(-1);
        const states = turns
          .flatMap((turn) => turn.thinking)
          .map(({ opaque }) => opaque)
          .filter((opaque) => opaque !== null);
        assert.deepEqual(
          states,
          name === dialect && dialect !== "chat" ? ["c3RhdGU="] : [],
          `from ${dialect} to ${name}`,
        );
        assert.doesNotMatch(JSON.stringify(body), /"oi-\w+-/);
        assert.equal(newResults({ turns })[0].text, "sunny");
      }
    }
    await assertPaid(gateway, account, 8);
  });

  test(`a schema for the answer${on}`, async () => {
    answer([text('{"city":"Rome"}')]);
    const format = { type: "json_schema", name: "place", schema: SCHEMA, strict: true };
    const response = await client.responses.parse({ ...request, text: { format } });
    assert.deepEqual(JSON.parse(response.output_text), { city: "Rome" });
    assert.deepEqual(response.text.format, format);
    const { body } = reached(gateway, model).at(-1);
    const schema = {
      chat: body.response_format?.json_schema?.schema,
      messages: body.output_config?.format?.schema,
      responses: body.text?.format?.schema,
    }[dialect];
    assert.deepEqual(schema, SCHEMA);
  });

  test(`images, by value and by address${on}`, async () => {
    answer([text("A pixel.")]);
    const address = "https://example.com/pixel.png";
    const image = (image_url) => ({ type: "input_image", image_url, detail: "auto" });
    const content = [image(PIXEL), image(address), { type: "input_text", text: "What is this?" }];
    await client.responses.create({ ...request, input: [{ role: "user", content }] });
    const { turns } = reached(gateway, model).at(-1);
    assert.deepEqual(turns.at(-1).images, [PIXEL, address]);
    assert.equal(turns.at(-1).text, "What is this?");
  });

  test(`the output limit, and its end${on}`, async () => {
    answer([text("Hello and")], { finish: "length" });
    for (const streamed of [true, false]) {
      const response = await respond({ ...request, max_output_tokens: 1000 }, streamed);
      assert.deepEqual([response.status, response.incomplete_details], ["incomplete", { reason: "max_output_tokens" }]);
      assert.equal(response.max_output_tokens, 1000);
      const { body } = reached(gateway, model).at(-1);
      assert.equal(body.max_tokens ?? body.max_completion_tokens ?? body.max_output_tokens, 1000);
    }
  });
}

test("a stream that lacks numbers and parts is made whole", async () => {
  // As llama.cpp writes it: nothing but what changes.
  const bare = (event) => {
    const { sequence_number, output_index, content_index, ...rest } = event;
    return `event: ${event.type}\ndata: ${JSON.stringify(rest)}\n\n`;
  };
  const item = {
    id: "msg_1",
    type: "message",
    role: "assistant",
    status: "completed",
    content: [{ type: "output_text", text: "Hello." }],
  };
  const usage = { input_tokens: 10, output_tokens: 2, total_tokens: 12 };
  const events = [
    { type: "response.created", response: { id: "resp_1", object: "response", status: "in_progress" } },
    { type: "response.output_item.added", item: { ...item, status: "in_progress", content: [] } },
    { type: "response.content_part.added", item_id: "msg_1", part: { type: "output_text", text: "" } },
    { type: "response.output_text.delta", item_id: "msg_1", delta: "Hello." },
    { type: "response.output_item.done", item },
    {
      type: "response.completed",
      response: { id: "resp_1", object: "response", status: "completed", output: [item], usage },
    },
  ];
  gateway.upstream.answer("agent-incomplete", eventStream(events.map(bare).join("")));
  const { response, events: read } = await streamedResponse({ model: "agent-incomplete", input: "Say hello." });
  assert.deepEqual(
    [response.output_text, response.usage.input_tokens, response.usage.output_tokens],
    ["Hello.", 10, 2],
  );
  assert.deepEqual(
    read.map(({ sequence_number: number }) => number),
    read.map((_, index) => index),
  );
  assert.deepEqual(
    FIELDS.filter((field) => !(field in response)),
    [],
  );
  await assertPaid(gateway, account, 1);
});
