// What Cursor sends to /v1/chat/completions: bodies of the responses API, tools and messages in Anthropic's
// shape, tools that take any text, model ids with a suffix. It wants chat completions back.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import OpenAI from "openai";
import { assertPaid, reached, startDialects, UPSTREAMS } from "../agent/gateway.mjs";
import { newResults } from "../agent/read.mjs";
import { says, text, tool } from "../agent/wire.mjs";

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

const SCHEMA = { type: "object", properties: { path: { type: "string" } }, required: ["path"] };

/** What the SDK makes of the answer to a body that it would not write itself. */
async function chat(body) {
  if (!body.stream) return client.post("/chat/completions", { body });
  const stream = await client.post("/chat/completions", { body, stream: true });
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  assert.ok(
    chunks.every(({ object }) => object === "chat.completion.chunk"),
    JSON.stringify(chunks[0]),
  );
  return chunks;
}

/** `{ content, calls, finish, usage }` of chunks. */
function fold(chunks) {
  const out = { content: "", calls: [], finish: null, usage: null };
  for (const { choices, usage } of chunks) {
    out.usage = usage ?? out.usage;
    for (const { delta, finish_reason: finish } of choices) {
      out.content += delta.content ?? "";
      out.finish = finish ?? out.finish;
      for (const { index, id, function: fn, custom } of delta.tool_calls ?? []) {
        const call = (out.calls[index] ??= { id, name: fn?.name ?? custom?.name, input: "" });
        call.input += fn?.arguments ?? custom?.input ?? "";
      }
    }
  }
  return out;
}

for (const dialect of UPSTREAMS) {
  const model = `agent-${dialect}`;
  const on = `, on an upstream that speaks ${dialect}`;

  test(`a body of the responses API${on}`, async () => {
    gateway.upstream.answer(model, says([tool("call_1", { name: "read_file" }, '{"path":"a"}')]));
    const body = {
      model,
      stream: true,
      stream_options: { include_usage: true },
      messages: [],
      input: [
        { role: "system", content: "Be brief." },
        { role: "user", content: [{ type: "input_text", text: "Read a." }] },
      ],
      tools: [{ type: "function", name: "read_file", description: "Reads.", parameters: SCHEMA, strict: false }],
      reasoning: { effort: "medium", summary: "auto" },
      include: ["reasoning.encrypted_content"],
      store: false,
      text: { verbosity: "low" },
    };
    const { calls, finish, usage } = fold(await chat(body));
    assert.deepEqual(
      [calls.map(({ name, input }) => [name, JSON.parse(input)]), finish],
      [[["read_file", { path: "a" }]], "tool_calls"],
    );
    assert.deepEqual([usage.prompt_tokens, usage.completion_tokens], [120, 30]);
    const [first] = reached(gateway, model);
    assert.deepEqual(
      first.turns.map(({ text }) => text),
      ["Be brief.", "Read a."],
    );
    assert.deepEqual(
      first.tools.map(({ name, schema }) => [name, schema]),
      [["read_file", SCHEMA]],
    );

    gateway.upstream.answer(model, says([text("It says b.")]));
    const call = { type: "function_call", call_id: calls[0].id, name: "read_file", arguments: calls[0].input };
    const input = [...body.input, call, { type: "function_call_output", call_id: calls[0].id, output: "b" }];
    const second = fold(await chat({ ...body, input }));
    assert.deepEqual([second.content, second.finish], ["It says b.", "stop"]);
    assert.deepEqual(
      newResults(reached(gateway, model).at(-1)).map(({ text }) => text),
      ["b"],
    );
    await assertPaid(gateway, account, 2);
  });

  test(`tools and blocks in Anthropic's shape${on}`, async () => {
    gateway.upstream.answer(model, says([text("Done.")]));
    const messages = [
      { role: "user", content: [{ type: "text", text: "Read a." }] },
      {
        role: "assistant",
        content: [
          { type: "text", text: "I read." },
          { type: "tool_use", id: "toolu_1", name: "read_file", input: { path: "a" } },
        ],
      },
      {
        role: "user",
        content: [{ type: "tool_result", tool_use_id: "toolu_1", content: [{ type: "text", text: "b" }] }],
      },
    ];
    const tools = [{ name: "read_file", description: "Reads.", input_schema: SCHEMA }];
    const answer = await chat({ model, messages, tools });
    assert.deepEqual([answer.object, answer.choices[0].message.content], ["chat.completion", "Done."]);
    const [request] = reached(gateway, model);
    const [call] = request.turns.flatMap(({ calls }) => calls);
    assert.deepEqual([call.name, JSON.parse(call.input)], ["read_file", { path: "a" }]);
    assert.deepEqual(newResults(request), [{ id: call.id, text: "b" }]);
    assert.deepEqual(
      request.tools.map(({ name, schema }) => [name, schema]),
      [["read_file", SCHEMA]],
    );
  });

  test(`a tool that takes any text${on}`, async () => {
    const patch = "*** Begin Patch\n+👋\n*** End Patch\n";
    gateway.upstream.answer(model, (http, seen) => {
      const [offered] = reached(gateway, model).at(-1).tools;
      const [field] = Object.keys(offered.schema?.properties ?? {});
      return says([tool("call_1", offered, offered.custom ? patch : JSON.stringify({ [field]: patch }))])(http, seen);
    });
    const tools = [
      {
        type: "custom",
        name: "ApplyPatch",
        description: "Applies.",
        format: { type: "grammar", syntax: "lark", definition: "start: /.+/" },
      },
    ];
    for (const stream of [true, false]) {
      const answer = await chat({ model, messages: [{ role: "user", content: "Patch it." }], tools, stream });
      if (stream) {
        const [call] = fold(answer).calls;
        assert.deepEqual([call.name, call.input], ["ApplyPatch", patch]);
      } else {
        const [call] = answer.choices[0].message.tool_calls;
        assert.deepEqual([call.type, call.custom], ["custom", { name: "ApplyPatch", input: patch }]);
      }
    }
  });
}

test("a plain chat body is not touched", async () => {
  gateway.upstream.answer("agent-chat", says([text("Hello.")]));
  const body = { model: "agent-chat", messages: [{ role: "user", content: "Say hello." }], user: "someone", seed: 7 };
  await chat(body);
  const [{ body: theirs }] = reached(gateway, "agent-chat");
  assert.deepEqual(theirs, body);
});
