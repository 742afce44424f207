// Sessions in the shape of Claude Code's and Codex's, over each dialect of an upstream: several turns, tools,
// thought, a stream that breaks, the same again without a stream.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { agent, OPAQUE, THOUGHT } from "../agent/agent.mjs";
import { assertPaid, assertThought, reached, startDialects, UPSTREAMS } from "../agent/gateway.mjs";
import { newResults } from "../agent/read.mjs";
import { breaks, says, text, THEIR_WORDS, thinking, tool } from "../agent/wire.mjs";
import {
  CLAUDE_CODE_HEADERS,
  claudeCodeBody,
  claudeCodeResult,
  claudeCodeTurn,
  CODEX_HEADERS,
  codexBody,
  codexTurn,
} from "./session-bodies.mjs";

let gateway;
let account;

before(async () => (gateway = await startDialects()));
after(() => gateway?.close());

beforeEach(async () => {
  gateway.upstream.forget();
  account = await gateway.account();
});

/** The events of a stream: each names its type, and nothing but events and comments is there. */
function eventsOf(wire) {
  const frames = wire.split("\n\n").filter((frame) => frame !== "" && !frame.startsWith(":"));
  return frames.map((frame) => {
    const [, name, data] = frame.match(/^event: (\S+)\ndata: (.*)$/) ?? assert.fail(`no event: ${frame}`);
    const event = JSON.parse(data);
    assert.equal(event.type, name);
    return event;
  });
}

async function claudeCode(body) {
  const headers = { ...CLAUDE_CODE_HEADERS, "x-api-key": account.key };
  const response = await gateway.fetch("/v1/messages?beta=true", {
    method: "POST",
    headers,
    body: JSON.stringify(body),
  });
  assert.equal(response.status, 200, await (response.ok ? "" : response.text()));
  return response;
}

/** The message that a stream folds to, with `thinking` blocks as they must be sent back; fails on an error event. */
function foldMessage(events) {
  const content = [];
  for (const event of events) {
    assert.notEqual(event.type, "error", JSON.stringify(event));
    if (event.type === "content_block_start") content[event.index] = { ...event.content_block, json: "" };
    const block = content[event.index];
    const { type, ...delta } = event.delta ?? {};
    if (type === "text_delta") block.text += delta.text;
    if (type === "thinking_delta") block.thinking += delta.thinking;
    if (type === "signature_delta") block.signature = delta.signature;
    if (type === "input_json_delta") block.json += delta.partial_json;
  }
  const whole = content.map(({ json, ...block }) =>
    block.type === "tool_use" ? { ...block, input: JSON.parse(json || "{}") } : block,
  );
  return { content: whole, stop: events.findLast(({ type }) => type === "message_delta").delta.stop_reason };
}

async function codex(body) {
  const response = await gateway.fetch("/v1/responses", {
    key: account.key,
    method: "POST",
    headers: CODEX_HEADERS,
    body: JSON.stringify(body),
  });
  assert.equal(response.status, 200, await (response.ok ? "" : response.text()));
  return eventsOf(await response.text());
}

/** The items that Codex takes from a stream: those of output_item.done, before response.completed. */
function itemsOf(events) {
  assert.equal(events.at(-1).type, "response.completed", JSON.stringify(events.at(-1)));
  assert.deepEqual(
    events.map(({ sequence_number: number }) => number),
    events.map((_, index) => index),
  );
  return events.filter(({ type }) => type === "response.output_item.done").map(({ item }) => item);
}

for (const dialect of UPSTREAMS) {
  const model = `agent-${dialect}`;
  const on = `, on an upstream that speaks ${dialect}`;

  test(`Claude Code: three turns with thought, tools and an error of a tool${on}`, async () => {
    const messages = claudeCodeTurn("Read both files.");
    gateway.upstream.answer(model, agent({ think: true, commands: ["cat a", "cat b"] }));
    const first = foldMessage(eventsOf(await (await claudeCode(claudeCodeBody(model, messages))).text()));
    assert.deepEqual(
      [first.stop, first.content.map(({ type }) => type)],
      ["tool_use", ["thinking", "tool_use", "tool_use"]],
    );
    const [, a, b] = first.content;
    assert.deepEqual([a.name, a.input.command, b.input.command], ["Bash", "cat a", "cat b"]);

    messages.push({ role: "assistant", content: first.content });
    messages.push({
      role: "user",
      content: [claudeCodeResult(a.id, "contents of a"), claudeCodeResult(b.id, "cat: b: No such file", true)],
    });
    const second = foldMessage(eventsOf(await (await claudeCode(claudeCodeBody(model, messages))).text()));
    assert.deepEqual(
      [second.stop, second.content.map(({ text }) => text)],
      ["end_turn", ["The tool said: contents of a | cat: b: No such file"]],
    );

    messages.push({ role: "assistant", content: second.content }, ...claudeCodeTurn("Thank you."));
    gateway.upstream.answer(model, says([text("You are welcome.")]));
    const third = foldMessage(eventsOf(await (await claudeCode(claudeCodeBody(model, messages))).text()));
    assert.deepEqual(
      third.content.map(({ text }) => text),
      ["You are welcome."],
    );

    const requests = reached(gateway, model);
    const [, after, last] = requests;
    assert.deepEqual(
      newResults(after).map(({ id }) => id),
      after.turns.flatMap(({ calls }) => calls.map(({ id }) => id)),
    );
    assertThought(after, THOUGHT, OPAQUE);
    const users = last.turns.filter(({ role, text }) => role === "user" && text.includes("Thank you."));
    assert.equal(users.length, 1);
    assert.equal(
      requests.every(({ body }) => body.stream === true),
      true,
    );
    // An upstream of another dialect is told nothing of Anthropic's own.
    const theirs = JSON.stringify(last.body);
    if (dialect !== "messages")
      for (const word of ["cache_control", "context_management", "defer_loading"])
        assert.ok(!theirs.includes(word), word);
    await assertPaid(gateway, account, 3);
  });

  test(`Claude Code: a stream breaks in the middle of a call, then the same without a stream${on}`, async () => {
    const messages = claudeCodeTurn("Read it.");
    const call = tool("call_1", { name: "Bash" }, '{"command":"cat a"}');
    gateway.upstream.answerOnce(model, breaks([text("I read it."), call]));
    const wire = await (await claudeCode(claudeCodeBody(model, messages))).text();
    const events = eventsOf(wire);
    assert.equal(events.at(-1).type, "error");
    assert.ok(!wire.includes(THEIR_WORDS) && !events.some(({ type }) => type === "message_stop"), wire);

    gateway.upstream.answer(model, says([text("I read it."), call]));
    const response = await claudeCode(claudeCodeBody(model, messages, { stream: false }));
    const message = await response.json();
    assert.deepEqual(
      message.content.map(({ type }) => type),
      ["text", "tool_use"],
    );
    assert.deepEqual([message.stop_reason, message.content[1].input], ["tool_use", { command: "cat a" }]);
    const [broken, whole] = await assertPaid(gateway, account, 2);
    assert.deepEqual([broken.status, whole.status], ["truncated", "completed"]);
  });

  test(`Claude Code: a conversation that began with another provider goes on${on}`, async () => {
    const from = dialect === "messages" ? "agent-responses" : "agent-messages";
    gateway.upstream.answer(
      from,
      says([thinking(THOUGHT, OPAQUE), tool("call_1", { name: "Bash" }, '{"command":"cat a"}')]),
    );
    gateway.upstream.answer(model, says([text("Done.")]));
    const messages = claudeCodeTurn("Read it.");
    const first = foldMessage(eventsOf(await (await claudeCode(claudeCodeBody(from, messages))).text()));
    messages.push(
      { role: "assistant", content: first.content },
      { role: "user", content: [claudeCodeResult(first.content[1].id, "a")] },
    );
    const second = foldMessage(eventsOf(await (await claudeCode(claudeCodeBody(model, messages))).text()));
    assert.equal(second.content[0].text, "Done.");
    const [request] = reached(gateway, model);
    assert.ok(!JSON.stringify(request.body).includes(OPAQUE));
    assert.deepEqual(
      newResults(request).map(({ text }) => text),
      ["a"],
    );
  });

  test(`Codex: two turns with thought, a command, and a tool of a namespace${on}`, async () => {
    const input = codexTurn("Read the file.");
    gateway.upstream.answer(model, agent({ think: true, commands: ["cat a", "cat b"] }));
    const first = itemsOf(await codex(codexBody(model, input)));
    assert.deepEqual(
      first.map(({ type }) => type),
      ["reasoning", "function_call", "function_call"],
    );
    const commands = first.slice(1).map(({ name, arguments: args }) => [name, JSON.parse(args)]);
    assert.deepEqual(commands, [
      ["exec_command", { cmd: "cat a" }],
      ["exec_command", { cmd: "cat b" }],
    ]);
    const outputs = first.slice(1).map(({ call_id }, index) => ({
      type: "function_call_output",
      id: `fco_${index}`,
      call_id,
      output: `contents ${index}`,
    }));
    input.push(...first, ...outputs);
    const second = itemsOf(await codex(codexBody(model, input)));
    assert.equal(second.at(-1).content[0].text, "The tool said: contents 0 | contents 1");
    const [, after] = reached(gateway, model);
    assertThought(after, THOUGHT, OPAQUE);
    assert.deepEqual(
      newResults(after).map(({ id }) => id),
      after.turns.flatMap(({ calls }) => calls.map(({ id }) => id)),
    );

    const offered = after.tools.find(({ name }) => name.endsWith("spawn_agent"));
    gateway.upstream.answer(
      model,
      says([tool("call_9", { name: offered.name, namespace: offered.namespace }, '{"task":"count"}')]),
    );
    const [spawn] = itemsOf(await codex(codexBody(model, [...input, ...second, ...codexTurn("Count.")]))).slice(-1);
    assert.deepEqual([spawn.type, spawn.name, spawn.namespace], ["function_call", "spawn_agent", "multi_agent_v1"]);
    const result = { type: "function_call_output", call_id: spawn.call_id, output: "3" };
    gateway.upstream.answer(model, says([text("Three.")]));
    const last = itemsOf(await codex(codexBody(model, [...codexTurn("Count."), spawn, result])));
    assert.equal(last.at(-1).content[0].text, "Three.");
    const [call] = reached(gateway, model)
      .at(-1)
      .turns.flatMap(({ calls }) => calls);
    assert.equal(call.name, offered.name);
    await assertPaid(gateway, account, 4);
  });

  test(`Codex: a patch, and a stream that breaks${on}`, async () => {
    const patch = "*** Begin Patch\n*** Add File: a\n+👋\n*** End Patch\n";
    gateway.upstream.answer(model, (http, seen) => {
      const { tools } = reached(gateway, model).at(-1);
      const offered = tools.find(({ name }) => name === "apply_patch");
      const [field] = Object.keys(offered.schema?.properties ?? {});
      return says([tool("call_1", offered, offered.custom ? patch : JSON.stringify({ [field]: patch }))])(http, seen);
    });
    const input = codexTurn("Write it.");
    const [call] = itemsOf(await codex(codexBody(model, input)));
    assert.deepEqual([call.type, call.name, call.input], ["custom_tool_call", "apply_patch", patch]);

    gateway.upstream.answer(model, breaks([text("Done, and")]));
    input.push(call, { type: "custom_tool_call_output", call_id: call.call_id, output: "Success." });
    const events = await codex(codexBody(model, input));
    assert.ok(["response.failed", "error"].includes(events.at(-1).type), JSON.stringify(events.at(-1)));
    assert.ok(!JSON.stringify(events).includes(THEIR_WORDS));
    const [, broken] = await assertPaid(gateway, account, 2);
    assert.ok(broken.cost_nano_usd > 0);
  });
}

test("Claude Code's greeting is answered, with and without a key", async () => {
  for (const key of [undefined, account.key]) {
    const response = await gateway.fetch("/api/hello", { method: "HEAD", key });
    assert.equal(response.status, 200);
  }
});

test("betas pass as they came, and a field that nobody knows is left out and named", async () => {
  gateway.upstream.answer("agent-messages", says([text("Hello.")]));
  const body = claudeCodeBody("agent-messages", claudeCodeTurn("Hello."), { a_field_of_tomorrow: { b: [1, 2] } });
  const response = await claudeCode(body);
  await response.text();
  assert.equal(response.headers.get("x-oneinterface-dropped"), "a_field_of_tomorrow=1");
  const [{ body: theirs, headers }] = reached(gateway, "agent-messages");
  const { a_field_of_tomorrow: _, ...known } = body;
  assert.deepEqual(theirs, known);
  assert.equal(headers["anthropic-beta"], CLAUDE_CODE_HEADERS["anthropic-beta"]);
  assert.equal(headers["anthropic-version"], "2023-06-01");
  assert.equal(headers["x-api-key"], "main-upstream-key");
});
