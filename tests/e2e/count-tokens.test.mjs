// POST /v1/messages/count_tokens: for every model, free, and without a model's answer.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { assertPaid, startDialects, UPSTREAMS } from "../agent/gateway.mjs";
import { json } from "./upstream.mjs";

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

const SHORT = [{ role: "user", content: "Hello." }];
const LONG = [{ role: "user", content: "The quick brown fox jumps over the lazy dog. ".repeat(200) }];
const TOOL = {
  name: "get_weather",
  description: "The weather in a city.",
  input_schema: { type: "object", properties: { city: { type: "string" } } },
};

const counted = (seen) => seen.path.split("?")[0].endsWith("/messages/count_tokens");

for (const dialect of UPSTREAMS) {
  const model = `agent-${dialect}`;

  test(`trap_10 a prompt is counted, on an upstream that speaks ${dialect}`, async () => {
    // Only a provider of this dialect can count, and then its count is what is told.
    gateway.upstream.answer(model, json({ input_tokens: 4321 }));
    const tokens = async (more) =>
      (await client.messages.countTokens({ model, messages: SHORT, ...more })).input_tokens;
    const counts = [
      await tokens({}),
      await tokens({ tools: [TOOL] }),
      await tokens({ messages: LONG, system: "Be brief." }),
    ];
    if (dialect === "messages") {
      assert.ok(gateway.upstream.requests.length === 3 && gateway.upstream.requests.every(counted));
      assert.deepEqual(counts, [4321, 4321, 4321]);
    } else {
      assert.equal(gateway.upstream.requests.length, 0);
      const [short, withTool, long] = counts;
      assert.ok(short >= 1 && short < 20 && withTool > short, `${counts}`);
      // 200 × 10 tokens by any tokenizer of these providers; an estimate may be a quarter off.
      assert.ok(long > 1_500 && long < 3_000, `${long}`);
    }
    await assertPaid(gateway, account, 0);
  });
}

test("an upstream that cannot count is no failure", async () => {
  gateway.upstream.answer(
    "agent-messages",
    json({ type: "error", error: { type: "not_found_error", message: "Not found" } }, { status: 404 }),
  );
  const { input_tokens: tokens } = await client.messages.countTokens({ model: "agent-messages", messages: SHORT });
  assert.ok(tokens >= 1 && tokens < 20, `${tokens}`);
});

test("without credit too, and needs no max_tokens; without a key, not", async () => {
  const { key } = await gateway.account({ usd: "0" });
  const poor = new Anthropic({ apiKey: key, baseURL: gateway.url, maxRetries: 0 });
  assert.ok((await poor.messages.countTokens({ model: "agent-chat", messages: SHORT })).input_tokens >= 1);
  const nobody = new Anthropic({ apiKey: "oi_none", baseURL: gateway.url, maxRetries: 0 });
  await assert.rejects(
    nobody.messages.countTokens({ model: "agent-chat", messages: SHORT }),
    Anthropic.AuthenticationError,
  );
  await assert.rejects(client.messages.countTokens({ model: "none", messages: SHORT }), Anthropic.NotFoundError);
});

test("twenty at once, as Claude Code's /context asks", async () => {
  const all = Array.from({ length: 20 }, () =>
    client.messages.countTokens({ model: "agent-chat", messages: SHORT, tools: [] }),
  );
  const counts = (await Promise.all(all)).map(({ input_tokens: tokens }) => tokens);
  assert.ok(
    counts.every((tokens) => tokens === counts[0] && tokens >= 1),
    `${counts}`,
  );
  await assertPaid(gateway, account, 0);
});
