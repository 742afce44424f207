// Real answers of real providers, replayed by the scripted upstream through the running Worker. What a
// client must get is worked out here from the rules in crates/dialect/src/openai_chat/stream.rs, and
// what must be billed from the last usage in the file.
//
// The recordings are no part of this repository: RECORDED_DIR names their folder.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { ROOT } from "../../dev/processes.mjs";
import { startGateway } from "./harness.mjs";
import { bytes, eventStream } from "./upstream.mjs";

const RECORDED = process.env.RECORDED_DIR ?? path.join(ROOT, "../shared/recorded");
const skip = existsSync(RECORDED) ? false : `${RECORDED} is not there (RECORDED_DIR)`;

// Byte by byte up to here: each byte is a write of its own, through two HTTP connections.
const SMALL_BYTES = 4_000;
// Random splits of each file, and the largest piece of one: large files in larger pieces.
const SEEDS = [1, 2, 3];
const piecesOf = (length) => (length <= SMALL_BYTES ? 40 : 200);
const AT_ONCE = 8;

// Prices of the test catalogue, in pico-USD a token.
const CHAT = { input: 2_000_000n, cached: 500_000n, output: 10_000_000n };
const EMBED = { input: 100_000n, cached: 100_000n, output: 0n };

let gateway;

before(async () => {
  if (!skip) gateway = await startGateway({ copies: { chat: skip ? 0 : recorded("errors", ".json").length } });
});
after(() => gateway?.close());

/** The recordings of a folder: `{ name, text }`. */
function recorded(folder, ending) {
  const files = readdirSync(path.join(RECORDED, folder)).filter(
    (name) => name.endsWith(ending) && !name.endsWith(".req.json"),
  );
  assert.notEqual(files.length, 0, `${folder} holds no *${ending}`);
  return files.map((name) => ({
    name: `${folder}/${name}`,
    text: readFileSync(path.join(RECORDED, folder, name), "utf8"),
  }));
}

/** The JSON of each event, but for `[DONE]` and comments. */
function chunksOf(text) {
  const data = text.split("\n\n").map(dataOf);
  return data.filter((json) => json !== null && json !== "[DONE]").map((json) => JSON.parse(json));
}

function dataOf(event) {
  const line = event.split("\n").find((line) => line.startsWith("data:"));
  return line === undefined ? null : line.slice("data:".length).trim();
}

const lastUsage = (text) => chunksOf(text).findLast((chunk) => chunk.usage)?.usage;

/** What a client gets of a recorded stream, with `ERROR` for an error event of ours. */
function expected(text, includeUsage, cost) {
  let out = "";
  let held = "";
  let finished = false;
  for (const event of text.split(/(?<=\n\n)/)) {
    const data = dataOf(event);
    const chunk = data === null || data === "[DONE]" ? {} : JSON.parse(data);
    if (chunk.error) return `${out}ERROR`;
    finished ||= Boolean(chunk.choices?.some((choice) => choice.finish_reason));
    if (data === "[DONE]") return out + withCost(held, cost) + event;
    out += held;
    held = "";
    if (data === null) out += event.replace(/^: .+/, ": keep-alive");
    else if (!isUsageOnly(chunk)) out += event;
    else if (includeUsage) held = event;
  }
  assert.ok(finished, "no recording is truncated without an error");
  return `${out}${withCost(held, cost)}data: [DONE]\n\n`;
}

function isUsageOnly({ choices, usage, ...rest }) {
  const plain = ["id", "object", "created", "model", "system_fingerprint", "service_tier", "obfuscation"];
  return choices?.length === 0 && Boolean(usage) && Object.keys(rest).every((key) => plain.includes(key));
}

/** The usage-only event with `"cost"` as the last member of its usage, every other byte kept. */
function withCost(event, cost) {
  if (event === "") return "";
  const start = event.indexOf('"usage":{') + '"usage":'.length;
  let depth = 0;
  for (let at = start; at < event.length; at += 1) {
    depth += { "{": 1, "}": -1 }[event[at]] ?? 0;
    if (depth === 0) return `${event.slice(0, at)},"cost":${cost}${event.slice(at)}`;
  }
  assert.fail(`no usage in ${event}`);
}

/** The counts of a usage row that the provider's own usage stands for, and what they cost in nano-USD. */
function billed(usage, price) {
  const cached = usage.prompt_tokens_details?.cached_tokens ?? usage.prompt_cache_hit_tokens ?? 0;
  assert.ok(!usage.prompt_tokens_details?.cache_write_tokens, "no recording wrote to a cache");
  const counts = {
    input_tokens: usage.prompt_tokens - cached,
    cache_read_tokens: cached,
    output_tokens: usage.completion_tokens ?? 0,
    reasoning_tokens: usage.completion_tokens_details?.reasoning_tokens ?? 0,
  };
  const pico =
    BigInt(counts.input_tokens) * price.input +
    BigInt(cached) * price.cached +
    BigInt(counts.output_tokens) * price.output;
  return { counts, nano: (pico + 999n) / 1_000n };
}

/** Nano-USD as a decimal number of USD, without trailing zeros. */
function decimal(nano) {
  const [whole, fraction] = [
    nano / 1_000_000_000n,
    (nano % 1_000_000_000n).toString().padStart(9, "0").replace(/0+$/, ""),
  ];
  return fraction === "" ? `${whole}` : `${whole}.${fraction}`;
}

/** Lengths of pieces, the same for the same seed: a linear congruential generator. */
function randomSizes(total, seed) {
  const sizes = [];
  const most = piecesOf(total);
  for (let state = seed, at = 0; at < total; at += sizes.at(-1)) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    sizes.push(1 + Math.floor((state / 2 ** 32) * most));
  }
  return sizes;
}

function post(route, key, body) {
  const headers = { "content-type": "application/json" };
  return gateway.fetch(route, { key, method: "POST", headers, body: JSON.stringify(body) });
}

/** Runs `work` on each item, a few at a time. */
async function each(items, work) {
  const waiting = [...items];
  const worker = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

async function rowsById(account, count) {
  const rows = await gateway.usageRows(account, count);
  assert.equal(rows.length, count);
  return new Map(rows.map((row) => [row.request_id, row]));
}

test("recorded chat streams reach the client byte for byte, and their last usage is billed", { skip }, async () => {
  const account = await gateway.account({ usd: "1000" });
  // Many replays run at once: each prompt names its own.
  const replays = new Map();
  gateway.upstream.answer("chat", (response, seen) => {
    const { text, sizes } = replays.get(seen.json.messages[0].content);
    assert.deepEqual(seen.json.stream_options, { include_usage: true });
    return eventStream(text, { sizes })(response);
  });
  for (const { name, text } of [...recorded("openai-chat", ".sse"), ...recorded("compat-quirks", ".sse")]) {
    const length = Buffer.byteLength(text);
    const splits = SEEDS.map((seed) => [`seed ${seed}`, randomSizes(length, seed)]);
    if (length <= SMALL_BYTES) splits.push(["byte by byte", [1]]);
    for (const [how, sizes] of splits) {
      for (const asked of [true, false]) replays.set(`${name}, ${how}, usage ${asked}`, { text, sizes, asked });
    }
  }

  const served = new Map();
  await each(replays, async ([name, { text, asked }]) => {
    const stream_options = asked ? { stream_options: { include_usage: true } } : {};
    const messages = [{ role: "user", content: name }];
    const response = await post("/v1/chat/completions", account.key, {
      model: "chat",
      messages,
      stream: true,
      ...stream_options,
    });
    assert.equal(response.status, 200, name);
    assert.equal(response.headers.get("content-type"), "text/event-stream; charset=utf-8");
    served.set(response.headers.get("x-request-id"), name);
    const usage = lastUsage(text);
    const want = expected(text, asked, usage && decimal(billed(usage, CHAT).nano));
    // The state behind reasoning says whose it is.
    const got = Buffer.from(await response.arrayBuffer())
      .toString("utf8")
      .replaceAll(/"oi-[0-9a-z]{8}-~/g, '"');
    if (!want.endsWith("ERROR")) return assert.equal(got, want, name);
    const before = want.slice(0, -"ERROR".length);
    assert.equal(got.slice(0, before.length), before, name);
    const { error } = JSON.parse(dataOf(got.slice(before.length)));
    assert.deepEqual([error.type, error.code], ["oneinterface_error", "upstream_unavailable"], name);
    assert.ok(!got.includes(chunksOf(text).at(-1).error.message), `${name}: the provider's text reached the client`);
  });

  assert.equal(served.size, replays.size);
  for (const [id, row] of await rowsById(account, replays.size)) {
    const name = served.get(id);
    const usage = lastUsage(replays.get(name).text);
    if (usage === undefined) {
      assert.deepEqual([row.status, row.settled_by], ["truncated", "estimate"], name);
      assert.ok(row.output_tokens > 0 && row.cost_nano_usd > 0, name);
      continue;
    }
    const { counts, nano } = billed(usage, CHAT);
    assert.deepEqual([row.status, row.billing_status, row.settled_by], ["completed", "settled", "upstream"], name);
    assert.deepEqual(Object.fromEntries(Object.keys(counts).map((key) => [key, row[key]])), counts, name);
    assert.equal(BigInt(row.cost_nano_usd), nano, name);
  }
});

test("recorded embeddings reach the client byte for byte where they come as asked", { skip }, async () => {
  const account = await gateway.account();
  const files = recorded("embeddings", ".json");
  for (const { name, text } of files) {
    const theirs = JSON.parse(text);
    const encoding_format = typeof theirs.data[0].embedding === "string" ? "base64" : "float";
    gateway.upstream.answer("embed", bytes(text, { headers: { "content-type": "application/json" } }));
    const response = await post("/v1/embeddings", account.key, {
      model: "embed",
      input: ["hello", "world"],
      encoding_format,
    });
    assert.equal(await response.text(), text, name);
    const { counts, nano } = billed(theirs.usage, EMBED);
    assert.equal(response.headers.get("x-oneinterface-cost"), decimal(nano), name);
    const rows = await gateway.usageRows(account, files.findIndex((file) => file.name === name) + 1);
    assert.deepEqual([rows.at(-1).input_tokens, rows.at(-1).output_tokens], [counts.input_tokens, 0], name);
    assert.equal(BigInt(rows.at(-1).cost_nano_usd), nano, name);
  }
});

test("recorded errors are answered in our words and cost nothing", { skip }, async () => {
  const account = await gateway.account();
  const files = recorded("errors", ".json");
  for (const [at, { name, text }] of files.entries()) {
    // Upstreams that fail are remembered by model.
    const model = `chat-${at + 1}`;
    const status = Number(name.match(/-(\d{3})\.json$/)[1]);
    const headers = { "content-type": "application/json" };
    // Some servers answer a failure with success.
    for (const sent of [status, 200]) {
      gateway.upstream.answer(model, bytes(text, { status: sent, headers }));
      const messages = [{ role: "user", content: "Say hello." }];
      const response = await post("/v1/chat/completions", account.key, { model, messages });
      const body = await response.text();
      // A refused key, or an unknown model, is the operator's fault and not the caller's.
      // With success, it is the caller's where the words say so.
      const told = sent === 200 && [400, 500].includes(status) && response.status === 400 ? 400 : sent;
      const want = { 400: [400, "invalid_request"], 429: [429, "rate_limit_exceeded"] }[told] ?? [
        503,
        "upstream_unavailable",
      ];
      assert.deepEqual([response.status, JSON.parse(body).error.code], want, name);
      const { error, message, detail } = JSON.parse(text);
      const theirs = [error?.message, error, message, detail].find((value) => typeof value === "string");
      assert.ok(theirs.length > 5 && !body.includes(theirs), `${name}: ${body}`);
    }
  }
  for (const row of (await rowsById(account, files.length * 2)).values()) {
    assert.deepEqual([row.billing_status, row.cost_nano_usd, row.settled_by], ["released", 0, null]);
  }
});
