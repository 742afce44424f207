// Every recorded stream of a provider, replayed to clients of each dialect and read by that dialect's official
// SDK: it must read what a plain reading of the recording says (plain.mjs), and pay what the recording used.
//
// The recordings are no part of this repository: RECORDED_DIR names their folder.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { ROOT } from "../../dev/processes.mjs";
import { startDialects } from "../agent/gateway.mjs";
import { eventsIn, read } from "./plain.mjs";
import { eventStream } from "./upstream.mjs";

const RECORDED = process.env.RECORDED_DIR ?? path.join(ROOT, "../shared/recorded");
const skip = existsSync(RECORDED) ? false : `${RECORDED} is not there (RECORDED_DIR)`;

// Which dialect the streams of a folder are in.
const FOLDERS = {
  "openai-chat": "chat",
  "compat-quirks": "chat",
  anthropic: "messages",
  "openai-responses": "responses",
};
// Odd on purpose: lines and characters are split.
const PIECE_BYTES = 97;

let gateway;
let account;
let clients;
// The id of the request that was answered last.
let lastId;

before(async () => {
  if (skip) return;
  gateway = await startDialects();
  account = await gateway.account();
  const noting = async (...args) => {
    const response = await fetch(...args);
    lastId = response.headers.get("x-request-id");
    return response;
  };
  const options = { apiKey: account.key, maxRetries: 0, fetch: noting };
  clients = {
    anthropic: new Anthropic({ ...options, baseURL: gateway.url }),
    openai: new OpenAI({ ...options, baseURL: `${gateway.url}/v1` }),
  };
});
after(() => gateway?.close());

// The words that every client says; the answer is the recording's whatever they are.
const WORDS = "Say what was recorded.";

/** Each dialect's SDK reading a streamed answer: `{ events, error }`. */
const READERS = {
  async chat(model) {
    const messages = [{ role: "user", content: WORDS }];
    return gather(
      await clients.openai.chat.completions.create({
        model,
        messages,
        stream: true,
        stream_options: { include_usage: true },
      }),
    );
  },

  async messages(model) {
    const events = [];
    const stream = clients.anthropic.messages.stream({
      model,
      max_tokens: 4000,
      messages: [{ role: "user", content: WORDS }],
    });
    stream.on("streamEvent", (event) => events.push(structuredClone(event)));
    const error = await stream.finalMessage().then(
      (message) => assertFolded(message.content, read("messages", events)),
      (error) => error,
    );
    return { events, error };
  },

  async responses(model) {
    const events = [];
    const stream = clients.openai.responses.stream({ model, input: WORDS });
    stream.on("event", (event) => events.push(structuredClone(event)));
    const error = await stream.finalResponse().then(
      () => null,
      (error) => error,
    );
    return { events, error };
  },
};

async function gather(stream) {
  const events = [];
  try {
    for await (const event of stream) events.push(event);
  } catch (error) {
    return { events, error };
  }
  return { events, error: null };
}

/** The SDK's own message says what its events say. Resolves to no error. */
function assertFolded(content, { text, calls }) {
  const texts = content.filter((block) => block.type === "text").map((block) => block.text);
  assert.equal(texts.join(""), text);
  assert.deepEqual(
    content.filter((block) => block.type === "tool_use").map(({ name }) => name),
    calls.map(({ name }) => name),
  );
  return null;
}

/** A call's input to be compared: no arguments are none, however written, and a text in a function is the text. */
function inputOf({ name, input }) {
  try {
    const json = JSON.parse(input || "{}") ?? {};
    const values = Object.values(json);
    return { name, input: json, only: values.length === 1 ? values[0] : undefined };
  } catch {
    return { name, input };
  }
}

function assertCalls(got, want, label) {
  assert.equal(got.length, want.length, label);
  want.forEach((call, index) => {
    const [mine, theirs] = [inputOf(got[index]), inputOf(call)];
    const same = JSON.stringify(mine.input) === JSON.stringify(theirs.input) || mine.only === call.input;
    assert.ok(mine.name === call.name && same, `${label}: ${JSON.stringify([got[index], call])}`);
  });
}

// A dialect has a word for a stop or says the nearest: chat completions and responses have no refusal and no
// pause, and a filter is a refusal to Anthropic's.
const NEAREST = {
  chat: { refusal: ["filter", "end"], pause: ["end"] },
  messages: { filter: ["refusal"] },
  responses: { refusal: ["filter", "end"], pause: ["end"] },
};

function assertStop(dialect, got, want, label) {
  assert.ok(got === want || (NEAREST[dialect][want] ?? []).includes(got), `${label}: stopped by ${got}, not ${want}`);
}

const squeezed = (text) => text.replace(/\s+/g, "");

for (const [folder, from] of skip ? [] : Object.entries(FOLDERS)) {
  const files = readdirSync(path.join(RECORDED, folder)).filter((name) => name.endsWith(".sse"));
  for (const dialect of Object.keys(READERS)) {
    test(`${folder} (${files.length} streams) read as ${dialect}`, async () => {
      assert.notEqual(files.length, 0);
      for (const name of files)
        await replay(from, dialect, name, readFileSync(path.join(RECORDED, folder, name), "utf8"));
    });
  }
}
if (skip) test("recorded streams", { skip }, () => {});

async function replay(from, dialect, name, wire) {
  const label = `${name} as ${dialect}`;
  const model = `agent-${from}`;
  const want = read(from, eventsIn(wire));
  gateway.upstream.answer(model, eventStream(wire, { sizes: [PIECE_BYTES] }));
  const { events, error } = await READERS[dialect](model);
  const got = read(dialect, events);

  if (want.failed) {
    assert.ok(error !== null || got.failed, `${label}: no error`);
    const theirs = eventsIn(wire).at(-1).error.message;
    assert.ok(!`${error}${JSON.stringify(events)}`.includes(theirs), `${label}: the provider's words`);
  } else {
    assert.equal(error, null, `${label}: ${error}`);
    assert.equal(got.text, want.text, label);
    assert.equal(squeezed(got.thinking), squeezed(want.thinking), label);
    assertCalls(got.calls, want.calls, label);
    assertStop(dialect, got.stop, want.stop, label);
    if (want.usage !== null) assert.deepEqual(got.usage, want.usage, label);
  }

  const { results: rows } = await rowOf(lastId);
  assert.equal(rows.length, 1, label);
  const [row] = rows;
  if (want.usage === null || want.failed)
    return assert.deepEqual([row.settled_by, row.cost_nano_usd > 0], ["estimate", true], label);
  const input = row.input_tokens + row.cache_read_tokens + row.cache_write_5m_tokens + row.cache_write_1h_tokens;
  assert.deepEqual({ input, cached: row.cache_read_tokens, output: row.output_tokens }, want.usage, label);
}

/** The usage row of a request, once D1 has it. */
async function rowOf(id) {
  const select = () => gateway.db.prepare("SELECT * FROM usage WHERE request_id = ?").bind(id).all();
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const found = await select();
    if (found.results.length > 0) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return select();
}
