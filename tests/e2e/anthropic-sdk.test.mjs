// The official Anthropic SDK against /v1/messages, with a model behind each dialect of an upstream: what it
// asks for reaches the upstream, what it reads is what the upstream said, whole and streamed.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import OlderAnthropic from "anthropic-sdk-0";
import { assertPaid, costNano, reached, startDialects, UPSTREAMS } from "../agent/gateway.mjs";
import { newResults } from "../agent/read.mjs";
import { says, text, thinking, tool, USAGE } from "../agent/wire.mjs";

let gateway;
let account;
let client;

before(async () => (gateway = await startDialects()));
after(() => gateway?.close());

beforeEach(async () => {
  gateway.upstream.forget();
  account = await gateway.account();
  client = new Anthropic({ apiKey: account.key, baseURL: gateway.url, maxRetries: 0 });
});

const HELLO = [{ role: "user", content: "Say hello." }];
const WORDS = "Hello 👋, this is a stream.";
const COST_USD = Number(costNano(USAGE)) / 1e9;
// As the agent's usage reads in this dialect: input without what came from the cache.
const COUNTS = { input_tokens: 100, cache_read_input_tokens: 20, output_tokens: 30 };

const SCHEMA = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const WEATHER = { name: "get_weather", description: "The weather in a city.", input_schema: SCHEMA };
const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

function countsOf({ usage }) {
  return Object.fromEntries(Object.keys(COUNTS).map((key) => [key, usage[key]]));
}

for (const dialect of UPSTREAMS) {
  const model = `agent-${dialect}`;
  const request = { model, max_tokens: 1000, messages: HELLO };
  const on = `, on an upstream that speaks ${dialect}`;
  const answer = (blocks, more) => gateway.upstream.answer(model, says(blocks, more));

  test(`text, whole${on}`, async () => {
    answer([text(WORDS)]);
    const { data, response } = await client.messages.create(request).withResponse();
    assert.deepEqual([data.type, data.role, data.model, data.stop_reason], ["message", "assistant", model, "end_turn"]);
    assert.deepEqual(
      data.content.map((block) => [block.type, block.text]),
      [["text", WORDS]],
    );
    assert.deepEqual(countsOf(data), COUNTS);
    assert.equal(Number(response.headers.get("x-oneinterface-cost")), COST_USD);
    assert.match(data._request_id, /^req_[0-9a-v]{26}$/);
    assert.equal(data._request_id, response.headers.get("x-request-id"));
    const [row] = await assertPaid(gateway, account, 1);
    assert.deepEqual([row.model, row.status, row.settled_by], [model, "completed", "upstream"]);
    assert.deepEqual([row.input_tokens, row.cache_read_tokens, row.output_tokens], [100, 20, 30]);
  });

  test(`text, streamed${on}`, async () => {
    answer([text(WORDS)]);
    const events = [];
    const stream = client.messages.stream(request).on("streamEvent", (event) => events.push(event));
    const message = await stream.finalMessage();
    assert.equal(await stream.finalText(), WORDS);
    assert.deepEqual([message.model, message.stop_reason, countsOf(message)], [model, "end_turn", COUNTS]);
    const types = events.map(({ type }) => type);
    assert.deepEqual(
      [types[0], ...types.slice(-3)],
      ["message_start", "content_block_stop", "message_delta", "message_stop"],
    );
    assert.ok(types.filter((type) => type === "content_block_delta").length > 1, "it came in one piece");
    // A context meter reads the input at the start: a real figure, or a real estimate.
    const { usage } = events[0].message;
    assert.ok(usage.input_tokens + (usage.cache_read_input_tokens ?? 0) > 0);
    assert.equal(events.at(-2).usage.cost, COST_USD);
    await assertPaid(gateway, account, 1);
  });

  test(`two tools at once, and their results${on}`, async () => {
    const calls = [
      tool("call_1", { name: "get_weather" }, '{"city": "Zürich \\u2603"}'),
      tool("call_2", { name: "get_weather" }, '{"city":"Rome"}'),
    ];
    for (const streamed of [true, false]) {
      answer([text("I look."), ...calls]);
      const asked = { ...request, tools: [WEATHER], tool_choice: { type: "any" } };
      const first = streamed ? await client.messages.stream(asked).finalMessage() : await client.messages.create(asked);
      assert.equal(first.stop_reason, "tool_use");
      const uses = first.content.filter(({ type }) => type === "tool_use");
      assert.deepEqual(
        uses.map(({ name, input }) => [name, input]),
        [
          ["get_weather", { city: "Zürich ☃" }],
          ["get_weather", { city: "Rome" }],
        ],
      );

      answer([text("Sunny.")]);
      const results = [
        { type: "tool_result", tool_use_id: uses[0].id, content: "sunny" },
        {
          type: "tool_result",
          tool_use_id: uses[1].id,
          content: [{ type: "text", text: "no such city" }],
          is_error: true,
        },
      ];
      const messages = [...HELLO, { role: "assistant", content: first.content }, { role: "user", content: results }];
      await client.messages.create({ ...asked, tool_choice: undefined, messages });

      const [before, after] = reached(gateway, model).slice(-2);
      assert.deepEqual(
        before.tools.map(({ name, schema }) => [name, schema]),
        [["get_weather", SCHEMA]],
      );
      assert.deepEqual(
        { chat: "required", messages: { type: "any" }, responses: "required" }[dialect],
        before.body.tool_choice,
      );
      const made = after.turns.flatMap((turn) => turn.calls);
      assert.deepEqual(
        made.map(({ input }) => JSON.parse(input)),
        [{ city: "Zürich ☃" }, { city: "Rome" }],
      );
      const [sunny, failed] = newResults(after);
      assert.deepEqual([sunny.id, sunny.text, failed.id], [made[0].id, "sunny", made[1].id]);
      assert.match(failed.text, /no such city/);
    }
    await assertPaid(gateway, account, 4);
  });

  test(`thought goes back to its provider, and to no other${on}`, async () => {
    for (const streamed of [true, false]) {
      answer([thinking("Let me think.", "c3RhdGU="), tool("call_1", { name: "get_weather" }, '{"city":"Rome"}')], {
        usage: { ...USAGE, reasoning: 10 },
      });
      const asked = {
        ...request,
        max_tokens: 4000,
        tools: [WEATHER],
        thinking: { type: "enabled", budget_tokens: 2000 },
      };
      const first = streamed ? await client.messages.stream(asked).finalMessage() : await client.messages.create(asked);
      const [thought, use] = first.content;
      assert.deepEqual([thought.type, thought.thinking, use.type], ["thinking", "Let me think.", "tool_use"]);

      const others = UPSTREAMS.filter((name) => name !== dialect);
      const result = { type: "tool_result", tool_use_id: use.id, content: "sunny" };
      const messages = [...HELLO, { role: "assistant", content: first.content }, { role: "user", content: [result] }];
      for (const name of [dialect, ...others]) {
        gateway.upstream.answer(`agent-${name}`, says([text("Sunny.")]));
        await client.messages.create({ ...asked, model: `agent-${name}`, messages });
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
    const rows = await assertPaid(gateway, account, 8);
    assert.equal(rows[0].reasoning_tokens, 10);
  });

  test(`a schema for the answer${on}`, async () => {
    answer([text('{"city":"Rome"}')]);
    const output_config = { format: { type: "json_schema", schema: SCHEMA } };
    const { content } = await client.messages.create({ ...request, output_config });
    assert.deepEqual(JSON.parse(content[0].text), { city: "Rome" });
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
    const content = [
      { type: "image", source: { type: "base64", media_type: "image/png", data: PIXEL } },
      { type: "image", source: { type: "url", url: address } },
      { type: "text", text: "What is this?" },
    ];
    await client.messages.create({ ...request, messages: [{ role: "user", content }] });
    const { turns } = reached(gateway, model).at(-1);
    assert.deepEqual(turns.at(-1).images, [`data:image/png;base64,${PIXEL}`, address]);
    assert.equal(turns.at(-1).text, "What is this?");
  });

  test(`system words, before and between the turns${on}`, async () => {
    answer([text(WORDS)]);
    const system = [{ type: "text", text: "Be brief.", cache_control: { type: "ephemeral" } }];
    const messages = [
      ...HELLO,
      { role: "assistant", content: "Hello." },
      { role: "user", content: "More." },
      { role: "system", content: "Now be loud." },
    ];
    await client.messages.create({ ...request, system, messages });
    const { turns } = reached(gateway, model).at(-1);
    const roles = turns.map(({ role, text }) => [role === "developer" ? "system" : role, text]);
    assert.deepEqual(roles, [
      ["system", "Be brief."],
      ["user", "Say hello."],
      ["assistant", "Hello."],
      ["user", "More."],
      ["system", "Now be loud."],
    ]);
  });

  test(`the output limit, and its stop${on}`, async () => {
    answer([text("Hello and")], { finish: "length" });
    for (const streamed of [true, false]) {
      const message = streamed
        ? await client.messages.stream(request).finalMessage()
        : await client.messages.create(request);
      assert.equal(message.stop_reason, "max_tokens");
      const { body } = reached(gateway, model).at(-1);
      assert.equal(body.max_tokens ?? body.max_completion_tokens ?? body.max_output_tokens, 1000);
    }
  });

  test(`the SDK of before 1.0, which sends x-api-key, and a temperature${on}`, async () => {
    answer([text(WORDS)]);
    const older = new OlderAnthropic({ apiKey: account.key, baseURL: gateway.url, maxRetries: 0 });
    const message = await older.messages.stream({ ...request, temperature: 0.5 }).finalMessage();
    assert.equal(message.content[0].text, WORDS);
    const { body, headers } = reached(gateway, model).at(-1);
    assert.equal(body.temperature, 0.5);
    if (dialect === "messages") assert.equal(headers["anthropic-version"], "2023-06-01");
  });
}
