// What of a request reaches an upstream, on the Worker as it ships: what stands on no list is left out and named, and
// what is sent costs no more than was held.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { ROOT } from "../../dev/processes.mjs";
import { chatBody, completion, completionChunks } from "./chat.mjs";
import { startGateway } from "./harness.mjs";
import { events, eventStream, json } from "./upstream.mjs";

/** Models of reasoning that a limit leaves unbounded, of one whose other field bounds it, and of Anthropic's dialect. */
const MORE = `
[[upstream]]
id = "claude"
dialects = ["anthropic_messages"]
base_url = "UPSTREAM/v1"
secret = "MAIN_KEY"

${["unbounded", "other-field", "claude"]
  .map(
    (id) => `[[model]]
id = "${id}"
context_window = 128000
max_output_tokens = 10000
${id === "unbounded" ? "reasoning_beyond_limit = true\n" : id === "other-field" ? 'limit_field = "max_completion_tokens"\n' : ""}capabilities = ["reasoning"]
[[model.price]]
effective_at = 2024-01-01T00:00:00Z
input = "2"
output = "10"
[[model.route]]
upstream = "${id === "claude" ? "claude" : "main"}"
`,
  )
  .join("\n")}`;

let gateway;
let account;

before(async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "passes-"));
  const catalogue = path.join(folder, "catalog.toml");
  writeFileSync(catalogue, readFileSync(path.join(ROOT, "tests/fixtures/catalog.test.toml"), "utf8") + MORE);
  try {
    gateway = await startGateway({ catalogue });
  } finally {
    rmSync(folder, { recursive: true });
  }
  account = await gateway.account();
});
beforeEach(() => {
  gateway.upstream.forget();
  for (const model of ["chat", "resold", "unbounded", "other-field"])
    gateway.upstream.answer(model, json(completion(model)));
});
after(() => gateway?.close());

const post = (path, key, body, headers = {}) => gateway.fetch(path, { method: "POST", key, body, headers });
const chat = (more, model = "chat", key = account.key) => post("/v1/chat/completions", key, chatBody(model, more));

/** What of `more` reaches the upstream, and what the header names. */
async function left(more, model) {
  const response = await chat(more, model);
  assert.equal(response.status, 200, await response.clone().text());
  await response.text();
  const { model: _, messages, ...rest } = gateway.upstream.requests.at(-1).json;
  return [rest, response.headers.get("x-oneinterface-dropped")];
}

test("what stands on no list is left out and named, whole and streamed", async () => {
  assert.deepEqual(await left({ temperature: 1, a_field_of_tomorrow: { x: 1 }, enable_thinking: true }), [
    { temperature: 1 },
    "a_field_of_tomorrow=1, enable_thinking=1",
  ]);
  gateway.upstream.answerOnce("chat", eventStream(events(completionChunks("chat"))));
  assert.deepEqual(await left({ stream: true, stream_options: { Include_Usage: false }, n_predict: 9_999 }), [
    { stream: true, stream_options: { include_usage: true } },
    "n_predict=1, stream_options.Include_Usage=1",
  ]);
  const tool = { type: "function", function: { name: "f", parameters: { google_search: {} } } };
  assert.deepEqual(await left({ tools: [{ ...tool, function: { ...tool.function, google_search: {} } }] }), [
    { tools: [tool] },
    "tools.function.google_search=1",
  ]);
});

test("what the catalogue lists passes to that upstream alone", async () => {
  assert.deepEqual(await left({ top_k: 3, zeta: { x: [1] } }), [{ top_k: 3, zeta: { x: [1] } }, null]);
  assert.deepEqual(await left({ top_k: 3, zeta: { x: [1] } }, "resold"), [{}, "top_k=1, zeta=1"]);
});

test("what orders something, or hides an address, is a 400 that names it, and no upstream sees it", async () => {
  const image = (url) => ({ messages: [{ role: "user", content: [{ type: "image_url", image_url: { url } }] }] });
  for (const [more, param] of [
    [{ enable_code_interpreter: true }, "enable_code_interpreter"],
    [{ preset: "pro" }, "preset"],
    [{ multi_agent: true }, "multi_agent"],
    [{ tools: [{ type: "computer_hosted_20260101" }] }, "tools[0].type"],
    [image("\tgs://bucket/file"), "messages[0].content[0]"],
    [image(" g\ns://bucket/file"), "messages[0].content[0]"],
    [image("\u0001ms://file"), "messages[0].content[0]"],
    [{ messages: [{ role: "user", content: [{ type: "hologram", hologram: {} }] }] }, "messages[0].content[0].type"],
  ]) {
    const response = await chat(more);
    const { error } = await response.json();
    assert.deepEqual([response.status, error.code, error.param], [400, "invalid_request", param], JSON.stringify(more));
  }
  for (const [path, body, param] of [
    [
      "/v1/messages",
      {
        model: "claude",
        max_tokens: 9,
        messages: [{ role: "user", content: "x" }],
        tools: [{ type: "bash_code_execution_20250825", name: "bash" }],
      },
      "tools[0].type",
    ],
    [
      "/v1/messages",
      {
        model: "claude",
        max_tokens: 9,
        messages: [{ role: "user", content: "x" }],
        tools: [{ type: "memory_store_20260101", name: "m" }],
      },
      "tools[0].type",
    ],
    [
      "/v1/responses",
      { model: "chat", input: [{ type: "code_interpreter_call", id: "ci", container_id: "c" }] },
      "input[0].container_id",
    ],
  ]) {
    const response = await post(path, account.key, JSON.stringify(body));
    const text = await response.text();
    assert.equal(response.status, 400, text);
    assert.ok(text.includes(param), text);
  }
  assert.deepEqual(gateway.upstream.requests, []);
});

test("400 kB in a field that passes are held for: five cents do not pay for them", async () => {
  const poor = await gateway.account({ usd: "0.05" });
  const response = await chat({ max_tokens: 1, zeta: { system: "word ".repeat(80_000) } }, "chat", poor.key);
  assert.equal(response.status, 402, await response.text());
  assert.deepEqual(gateway.upstream.requests, []);
});

test("a hundred requests of one token cost five cents no more than was held, however long the model reasons", async () => {
  const reasoned = (model) => ({
    ...completion(model),
    usage: { prompt_tokens: 10, completion_tokens: 10_000, total_tokens: 10_010 },
  });
  gateway.upstream.answer("unbounded", json(reasoned("unbounded")));
  const poor = await gateway.account({ usd: "0.05" });
  for (let round = 0; round < 10; round += 1) {
    const answers = await Promise.all(Array.from({ length: 10 }, () => chat({ max_tokens: 1 }, "unbounded", poor.key)));
    assert.ok(
      answers.every(({ status }) => [402, 429].includes(status)),
      answers.map(({ status }) => status).join(),
    );
    await Promise.all(answers.map((answer) => answer.text()));
  }
  assert.deepEqual(gateway.upstream.requests, []);
  assert.deepEqual(await gateway.balance(poor), { balance: 50_000_000n, held: 0n });
  // Eleven cents cover one of them, which costs all that was held for it.
  const richer = await gateway.account({ usd: "0.11" });
  assert.equal((await chat({ max_tokens: 1 }, "unbounded", richer.key)).status, 200);
  assert.equal((await chat({ max_tokens: 1 }, "unbounded", richer.key)).status, 402);
  const { balance } = await gateway.balance(richer);
  assert.ok(balance >= 0n && balance < 11_000_000n, `${balance}`);
});

test("a limit goes into the field that bounds reasoning", async () => {
  assert.deepEqual(await left({ max_tokens: 1 }, "other-field"), [{ max_completion_tokens: 1 }, null]);
});

test("of the betas in a provider's words only one that the client sent is named", async () => {
  const message = "Unexpected value(s) `acme-internal-7`, `b-2` for the `anthropic-beta` header";
  gateway.upstream.answer(
    "claude",
    json({ type: "error", error: { type: "invalid_request_error", message } }, { status: 400 }),
  );
  const body = JSON.stringify({ model: "claude", max_tokens: 9, messages: [{ role: "user", content: "x" }] });
  for (const [betas, named] of [
    ["a-1,b-2", "beta_header:b-2"],
    ["a-1", null],
    [undefined, null],
  ]) {
    const response = await post("/v1/messages", account.key, body, betas && { "anthropic-beta": betas });
    const text = await response.text();
    assert.equal(response.status, 400, text);
    assert.ok(!text.includes("acme"), text);
    assert.equal(text.match(/beta_header:[a-z0-9-]+/)?.[0] ?? null, named, text);
  }
});
