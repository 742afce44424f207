// Real providers' streams that break off at random bytes, through the running Worker: each time the row
// says what was produced until then, and who counted it.
//
// The recordings are no part of this repository: RECORDED_DIR names their folder.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { ROOT } from "../../dev/processes.mjs";
import { startGateway } from "./harness.mjs";
import { eventStream } from "./upstream.mjs";

const RECORDED = process.env.RECORDED_DIR ?? path.join(ROOT, "../shared/recorded");
const skip = existsSync(RECORDED) ? false : `${RECORDED} is not there (RECORDED_DIR)`;
// Words, and the arguments of a tool.
const FILES = ["openai-chat/01-text-usage.sse", "openai-chat/04-tool-nested-unicode.sse"];
const CUTS = 25;
const SEED = 7;
const AT_ONCE = 8;

// "chat" of the test catalogue, in nano-USD a token.
const [INPUT, OUTPUT] = [2_000, 10_000];

let gateway;
before(async () => {
  // A model whose streams break again and again is left alone: each has one of its own.
  if (!skip) gateway = await startGateway({ copies: { chat: FILES.length * CUTS } });
});
after(() => gateway?.close());

/** Where the stream is cut, the same for the same seed: a linear congruential generator. */
function cuts(length) {
  let state = SEED;
  const random = () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
  // The first and the last event are rarely met by chance: three of the cuts lie there.
  const chosen = [100, length - "data: [DONE]\n\n".length, length - 1];
  return [...Array.from({ length: CUTS - chosen.length }, () => Math.floor(random() * length)), ...chosen];
}

/** What an upstream said in `text`: its chunks, and whether it broke off within one that tells nothing. */
function said(text) {
  const data = text
    .split("\n\n")
    .map((event) => event.replace(/^data: ?/, ""))
    .filter((data) => data !== "");
  const chunks = [];
  for (const json of data) {
    if (json.trim() === "[DONE]") return { chunks, done: true };
    try {
      chunks.push(JSON.parse(json));
    } catch {
      return { chunks, broken: true };
    }
  }
  return { chunks };
}

/** What the usage row must have of a stream that was cut behind `text`. */
function expected(text) {
  const { chunks, done = false, broken = false } = said(text);
  const usage = chunks.findLast((chunk) => chunk.usage)?.usage;
  const texts = chunks.flatMap(({ choices }) =>
    choices.flatMap(({ delta }) => delta.content || JSON.stringify(delta.tool_calls) || []),
  );
  const finished = chunks.some(({ choices }) => choices.some((choice) => choice.finish_reason));
  if (!usage && texts.length === 0 && !finished)
    return { status: "upstream_failed", billing_status: "released", settled_by: null };
  const status = done || (finished && !broken) ? "completed" : "truncated";
  return { status, billing_status: "settled", settled_by: usage ? "upstream" : "estimate", usage, texts };
}

for (const [nth, file] of FILES.entries())
  test(`trap_07 trap_08 a recorded stream that is cut at random bytes is billed by what was produced: ${file}`, {
    skip,
  }, async () => {
    const text = readFileSync(path.join(RECORDED, file), "utf8");
    const account = await gateway.account({ usd: "100" });
    const waiting = cuts(text.length).map((at, cut) => ({ at, model: `chat-${nth * CUTS + cut + 1}` }));
    for (const { at, model } of waiting) {
      // Every other connection breaks; the others end properly.
      gateway.upstream.answer(model, eventStream(text.slice(0, at), { end: at % 2 ? "cut" : "end" }));
    }
    const served = new Map();
    const client = async () => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const { at, model } = next;
        const body = JSON.stringify({ model, messages: [{ role: "user", content: "Say hello." }], stream: true });
        const response = await gateway.fetch("/v1/chat/completions", { key: account.key, method: "POST", body });
        const got = await response.text();
        served.set(response.headers.get("x-request-id"), { at, got });
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, client));

    assert.equal(served.size, CUTS);
    const ways = new Set();
    for (const row of await gateway.usageRows(account, CUTS)) {
      const { at, got } = served.get(row.request_id);
      const { usage, texts, ...want } = expected(text.slice(0, at));
      assert.deepEqual(Object.fromEntries(Object.keys(want).map((key) => [key, row[key]])), want, `cut at ${at}`);
      assert.equal(row.cost_nano_usd, row.input_tokens * INPUT + row.output_tokens * OUTPUT, `cut at ${at}`);
      if (usage)
        assert.deepEqual([row.input_tokens, row.output_tokens], [usage.prompt_tokens, usage.completion_tokens]);
      // The text is estimated as a whole: a piece of it need not be a token.
      else if (texts)
        assert.ok(
          row.output_tokens * 2 >= texts.filter(Boolean).length &&
            row.output_tokens <= Buffer.byteLength(texts.join("")),
          `cut at ${at}: ${row.output_tokens}`,
        );
      else assert.equal(row.cost_nano_usd, 0);
      assert.equal(got.endsWith("data: [DONE]\n\n"), want.status === "completed", `cut at ${at}: ${got}`);
      assert.equal(got.includes('"code":"upstream_unavailable"'), want.status !== "completed", `cut at ${at}: ${got}`);
      ways.add(`${want.status} ${want.settled_by}`);
    }
    assert.deepEqual([...ways].sort(), ["completed upstream", "truncated estimate", "upstream_failed null"]);
    const spent = (await gateway.journal(account))
      .slice(1)
      .reduce((sum, { amount_nano: amount }) => sum - BigInt(amount), 0n);
    assert.deepEqual(await gateway.balance(account), { balance: 100_000_000_000n - spent, held: 0n });
  });
