// A gateway with one model for each dialect of an upstream, and assertions that hold for every request.
import assert from "node:assert/strict";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ROOT } from "../../dev/processes.mjs";
import { startGateway } from "../e2e/harness.mjs";
import { dialectOf, readRequest } from "./read.mjs";

/** The dialects of the upstreams. The model `agent-NAME` is served in the dialect NAME. */
export const UPSTREAMS = ["chat", "messages", "responses"];

// The end of an answer waits at most 250 ms for the settle, so a client may see the end before the usage row exists.
const SETTLE_LIMIT_MS = 5_000;
const POLL_MS = 20;

const BALANCE_NANO_USD = 10_000_000_000n;

/** The prices of every model, in pico-USD per token. */
export const PRICE = {
  input: 2_000_000n,
  cached: 500_000n,
  written5m: 2_500_000n,
  written1h: 4_000_000n,
  output: 10_000_000n,
};

export function startDialects(options = {}) {
  return startGateway({ catalogue: path.join(ROOT, "tests/fixtures/catalog.dialects.toml"), ...options });
}

/**
 * Asserts that an account that began with 10 USD has exactly `count` usage rows and has paid exactly their sum.
 * Resolves to the rows.
 */
export async function assertPaid(gateway, account, count) {
  const deadline = performance.now() + SETTLE_LIMIT_MS;
  let money = await gateway.balance(account);
  while (money.held > 0n && performance.now() < deadline) {
    await sleep(POLL_MS);
    money = await gateway.balance(account);
  }
  const rows = await gateway.usageRows(account, count);
  assert.equal(rows.length, count, JSON.stringify(rows.map(({ status, model }) => [model, status])));
  const cost = rows.reduce((sum, row) => sum + BigInt(row.cost_nano_usd), 0n);
  assert.deepEqual({ balance: money.balance, held: money.held }, { balance: BALANCE_NANO_USD - cost, held: 0n });
  return rows;
}

/** Returns the requests that reached the upstream of a model, oldest first, as `readRequest` reads them, each with `dialect` and `body`. */
export function reached(gateway, model) {
  return gateway.upstream.seen(model).map((seen) => {
    const dialect = dialectOf(seen.path);
    return { ...readRequest(dialect, seen.json), dialect, body: seen.json, headers: seen.headers };
  });
}

/**
 * Asserts that a request returns the upstream's reasoning unchanged: its text and signature to Anthropic, its encrypted
 * state to OpenAI. Chat completions have no field for it.
 */
export function assertThought({ dialect, turns, body }, words, opaque) {
  const thoughts = turns.flatMap((turn) => turn.thinking);
  if (dialect === "messages") assert.deepEqual(thoughts, [{ text: words, opaque }]);
  if (dialect === "responses")
    assert.deepEqual(
      thoughts.map((thought) => thought.opaque),
      [opaque],
    );
  assert.doesNotMatch(JSON.stringify(body), /"oi-\w+-/, "a tag of ours reached the upstream");
}

/** Returns the price in nano-USD of `{ input, cached, output }` as the agent counts them (input includes cached). */
export function costNano({ input, cached, output }) {
  const pico = BigInt(input - cached) * PRICE.input + BigInt(cached) * PRICE.cached + BigInt(output) * PRICE.output;
  return (pico + 999n) / 1_000n;
}
