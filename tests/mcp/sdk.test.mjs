// The official SDKs of both eras, unmodified: each lists all seven tools and calls them, and checks every
// answer against the schema that it was told.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client as Current, StreamableHTTPClientTransport as CurrentTransport } from "@modelcontextprotocol/client";
import { Client as Legacy } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as LegacyTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { completionChunks } from "../e2e/chat.mjs";
import { startGateway } from "../e2e/harness.mjs";
import { events, eventStream } from "../e2e/upstream.mjs";

const INFO = { name: "test", version: "1" };
const HELLO = { model: "chat", messages: [{ role: "user", content: "Hello." }] };

let gateway;
before(async () => {
  gateway = await startGateway();
});
after(() => gateway.close());

const options = (key) => ({ requestInit: { headers: { authorization: `Bearer ${key}` } } });
const address = () => new URL(`${gateway.url}/mcp`);

const CLIENTS = {
  "the legacy SDK": async (key) => {
    const client = new Legacy(INFO, { capabilities: {} });
    await client.connect(new LegacyTransport(address(), options(key)));
    return { client, call: (params, more) => client.callTool(params, undefined, more) };
  },
  "the current SDK, by initialize": (key) => current(key, "legacy"),
  "the current SDK, which finds out": (key) => current(key, "auto"),
  "the current SDK, at 2026-07-28": (key) => current(key, { pin: "2026-07-28" }),
};

async function current(key, mode) {
  const client = new Current(INFO, { versionNegotiation: { mode } });
  await client.connect(new CurrentTransport(address(), options(key)));
  return { client, call: (params, more) => client.callTool(params, more) };
}

for (const [name, connect] of Object.entries(CLIENTS)) {
  test(`${name}: seven tools, resources, prompts and completions`, async () => {
    const account = await gateway.account();
    const { client, call } = await connect(account.key);
    try {
      const { tools } = await client.listTools();
      assert.equal(tools.length, 7);
      const say = async (tool, args = {}) => {
        const result = await call({ name: tool, arguments: args });
        assert.ok(!result.isError, JSON.stringify(result));
        return result.structuredContent;
      };
      gateway.upstream.answer("chat", eventStream(events(completionChunks("chat"))));
      assert.equal((await say("chat_completion", HELLO)).finish_reason, "stop");
      assert.match((await say("get_balance")).balance_usd, /^9\.9/);
      assert.ok((await say("list_models")).models.length > 0);
      const made = await say("create_api_key", { name: "by SDK", limits: { max_running: 1 } });
      assert.ok((await say("list_api_keys")).keys.some(({ id }) => id === made.id));
      assert.deepEqual((await say("revoke_api_key", { id: made.id })).revoked, [made.id]);
      await gateway.usageRows(account, 1);
      assert.equal((await say("get_usage")).requests.length, 1);
      const wrong = await call({ name: "get_usage", arguments: { days: 1_000 } });
      assert.deepEqual(
        [wrong.isError, wrong.content[0].text],
        [
          true,
          "The arguments do not fit the tool's input schema: the field `days` must be a whole number from 1 to 90.",
        ],
      );

      const { resources } = await client.listResources();
      assert.deepEqual(
        resources.map(({ name: one }) => one),
        ["models", "usage"],
      );
      assert.equal((await client.listResourceTemplates()).resourceTemplates.length, 2);
      const { contents } = await client.readResource({ uri: "oneinterface://models/chat" });
      assert.equal(JSON.parse(contents[0].text).id, "chat");
      await assert.rejects(client.readResource({ uri: "oneinterface://models/nobody" }), /no such resource/i);
      const { prompts } = await client.listPrompts();
      assert.deepEqual(
        prompts.map(({ name: one }) => one),
        ["choose_model", "explain_spend"],
      );
      const prompt = await client.getPrompt({ name: "explain_spend", arguments: { days: "30" } });
      assert.match(prompt.messages[0].content.text, /days 30/);
      const ref = { type: "ref/resource", uri: "oneinterface://models/{id}" };
      const { completion: found } = await client.complete({ ref, argument: { name: "id", value: "ch" } });
      assert.ok(found.values.includes("chat"));
    } finally {
      await client.close();
    }
  });

  test(`${name}: progress while the model speaks`, async () => {
    const account = await gateway.account();
    const chunk = (choices, more) => ({
      id: "c",
      object: "chat.completion.chunk",
      created: 1,
      model: "chat",
      choices,
      ...more,
    });
    const words = ["One ", "two ", "three"].map((content) =>
      chunk([{ index: 0, delta: { content }, finish_reason: null }]),
    );
    const end = [
      chunk([{ index: 0, delta: {}, finish_reason: "stop" }]),
      chunk([], { usage: { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 } }),
    ];
    gateway.upstream.answer("chat", eventStream(events([...words, ...end]), { sizes: [150], delayMs: 20 }));
    const { client, call } = await connect(account.key);
    try {
      await client.listTools();
      const heard = [];
      const result = await call(
        { name: "chat_completion", arguments: HELLO },
        { onprogress: ({ message }) => heard.push(message) },
      );
      assert.equal(result.structuredContent.text, "One two three");
      assert.equal(heard.join(""), "One two three");
    } finally {
      await client.close();
    }
  });

  test(`${name}: a wrong key`, async () => {
    await assert.rejects(connect("oi_1wrong"), /401|Unauthorized|invalid_api_key/i);
  });
}

test("the owner's session has all seven tools, and asks a model with them", async () => {
  const account = await gateway.account();
  gateway.upstream.answer("chat", eventStream(events(completionChunks("chat"))));
  const { client, call } = await CLIENTS["the current SDK, which finds out"](gateway.session(account));
  try {
    assert.equal((await client.listTools()).tools.length, 7);
    const { structuredContent: told } = await call({ name: "chat_completion", arguments: HELLO });
    assert.equal(told.text, "hello");
  } finally {
    await client.close();
  }
});

test("the current SDK, at 2026-07-28: a call that is aborted leaves the model", async () => {
  const account = await gateway.account();
  const chunk = (choices, more) => ({
    id: "c",
    object: "chat.completion.chunk",
    created: 1,
    model: "chat",
    choices,
    ...more,
  });
  const words = Array.from({ length: 60 }, () =>
    chunk([{ index: 0, delta: { content: "word " }, finish_reason: null }]),
  );
  const end = [
    chunk([{ index: 0, delta: {}, finish_reason: "stop" }]),
    chunk([], { usage: { prompt_tokens: 9, completion_tokens: 60, total_tokens: 69 } }),
  ];
  gateway.upstream.answer("chat", eventStream(events([...words, ...end]), { sizes: [150], delayMs: 50 }));
  const { client, call } = await CLIENTS["the current SDK, at 2026-07-28"](account.key);
  try {
    await client.listTools();
    const leave = new AbortController();
    const called = call({ name: "chat_completion", arguments: HELLO }, { signal: leave.signal });
    setTimeout(() => leave.abort(), 500);
    await assert.rejects(called);
    const [row] = await gateway.usageRows(account, 1);
    assert.deepEqual([row.status, row.settled_by], ["client_gone", "estimate"]);
    assert.ok(row.output_tokens >= 1 && row.output_tokens < 60, String(row.output_tokens));
  } finally {
    await client.close();
  }
});
