// Many requests at the same moment: however they meet in the account, no limit is passed by one
// nano-dollar or one request, and who is refused is told clearly why.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { chatBody, completion, completionChunks } from "./chat.mjs";
import { nanoUsd, startGateway } from "./harness.mjs";
import { events, eventStream, json } from "./upstream.mjs";

let gateway;
before(async () => (gateway = await startGateway()));
after(() => gateway.close());
afterEach(() => gateway.upstream.forget());

const chat = (key, more) =>
  gateway.fetch("/v1/chat/completions", { method: "POST", key, body: chatBody("chat", more) });

test("trap_25 200 requests at once with balance for exactly one: one is served, 199 are told to retry", async () => {
  const requests = 200;
  // 256 tokens of output, the least that is worth dispatching, hold $0.00256, and some for the input.
  const account = await gateway.account({ usd: "0.003" });
  let refusals = 0;
  let allRefused;
  const others = new Promise((resolve) => (allRefused = resolve));
  gateway.upstream.answer("chat", async (response) => {
    // Not before the last of the others was refused, or its money would be free again.
    await others;
    await json({ ...completion("chat"), usage: { prompt_tokens: 7, completion_tokens: 250, total_tokens: 257 } })(
      response,
    );
  });
  const answers = await Promise.all(
    Array.from({ length: requests }, async () => {
      const response = await chat(account.key, { max_tokens: 256 });
      if (response.status !== 200 && ++refusals === requests - 1) allRefused();
      return { status: response.status, headers: response.headers, body: await response.json() };
    }),
  );
  const served = answers.filter(({ status }) => status === 200);
  assert.equal(served.length, 1);
  const cost = 7 * 2_000 + 250 * 10_000;
  assert.equal(served[0].headers.get("x-oneinterface-cost"), "0.002514");
  const holds = await gateway.rows(account, "SELECT request_id, amount_nano FROM holds");
  assert.deepEqual(
    holds.map((hold) => hold.request_id),
    [served[0].headers.get("x-request-id")],
    "who is refused leaves no trace",
  );
  for (const { status, headers, body } of answers.filter((answer) => !served.includes(answer))) {
    const { code, reason, held } = body.error;
    assert.deepEqual(
      [status, code, reason, nanoUsd(held)],
      [402, "insufficient_credit", "held", BigInt(holds[0].amount_nano)],
    );
    assert.deepEqual([headers.get("x-should-retry"), headers.get("retry-after")], ["true", "1"]);
  }
  assert.equal(gateway.upstream.requests.length, 1);
  const rows = await gateway.usageRows(account, 1);
  assert.deepEqual(
    rows.map(({ cost_nano_usd, request_id }) => [cost_nano_usd, request_id]),
    [[cost, served[0].headers.get("x-request-id")]],
  );
  assert.deepEqual(await gateway.balance(account), { balance: 3_000_000n - BigInt(cost), held: 0n });
});

// What a key may do, five keys of each. An answer costs $0.00012 to $0.00215, and holds about $0.005.
const BUDGET_NANO = 8_000_000n;
const LIMITS = {
  "a total budget": { budget: { usd: "0.008", period: "total" } },
  "a daily budget": { budget: { usd: "0.008", period: "daily" } },
  "a rate": { requests_per_minute: 10 },
  "few at once": { max_running: 3 },
};
const REQUESTS = 500;

/** What the upstream says that request `n` used. */
const usageOf = (n) => ({ prompt_tokens: 10 + (n % 7), completion_tokens: 10 + ((n * 37) % 200), total_tokens: 0 });
const costOf = ({ prompt_tokens: input, completion_tokens: output }) => BigInt(input * 2_000 + output * 10_000);

test("500 mixed requests at once over 20 keys: never over a limit, and exact", async () => {
  const account = await gateway.account({ usd: "5" });
  const keys = [];
  for (const [kind, limits] of Object.entries(LIMITS)) {
    for (let n = 0; n < 5; n += 1) {
      const { body } = await gateway.keys(account, "POST", "", { name: kind, limits });
      keys.push({ kind, ...body, running: 0, mostRunning: 0 });
    }
  }
  gateway.upstream.answer("chat", async (response, seen) => {
    const n = Number(seen.json.user);
    const key = keys[n % keys.length];
    key.running += 1;
    key.mostRunning = Math.max(key.mostRunning, key.running);
    const usage = usageOf(n);
    const answer = seen.json.stream
      ? eventStream(events(completionChunks("chat").map((chunk) => (chunk.usage ? { ...chunk, usage } : chunk))), {
          sizes: [150],
          delayMs: 2,
        })
      : json({ ...completion("chat"), usage });
    await sleep(n % 100);
    // Before the answer: the account may admit the next request as soon as it is settled.
    key.running -= 1;
    await answer(response);
  });

  const answers = await Promise.all(
    Array.from({ length: REQUESTS }, async (_, n) => {
      const key = keys[n % keys.length];
      const response = await chat(key.key, { user: String(n), max_tokens: 500, ...(n % 3 === 0 && { stream: true }) });
      const text = await response.text();
      return { n, key, status: response.status, id: response.headers.get("x-request-id"), text };
    }),
  );

  const outcomes = { served: [], budget: [], limited: [], shed: [] };
  for (const answer of answers) outcomes[outcomeOf(answer)].push(answer);
  const served = new Map(outcomes.served.map((answer) => [answer.id, answer]));
  const rows = await gateway.usageRows(account, served.size);
  assert.deepEqual(
    rows.map((row) => row.request_id).sort(),
    [...served.keys()].sort(),
    "one row for each that was served",
  );
  const spent = new Map(keys.map(({ id }) => [id, 0n]));
  const requests = new Map(keys.map(({ id }) => [id, 0]));
  for (const row of rows) {
    const { n, key } = served.get(row.request_id);
    assert.deepEqual(
      [row.key_id, BigInt(row.cost_nano_usd), row.uncollected_nano_usd, row.settled_by],
      [key.id, costOf(usageOf(n)), 0, "upstream"],
    );
    spent.set(key.id, spent.get(key.id) + BigInt(row.cost_nano_usd));
    requests.set(key.id, requests.get(key.id) + 1);
  }
  const { body: list } = await gateway.keys(account, "GET");
  for (const { kind, id, mostRunning } of keys) {
    if (kind.endsWith("budget")) assert.ok(spent.get(id) <= BUDGET_NANO, `${kind}: ${spent.get(id)}`);
    if (kind === "a rate") assert.ok(requests.get(id) <= 10, `${kind}: ${requests.get(id)}`);
    if (kind === "few at once") assert.ok(mostRunning <= 3, `${kind}: ${mostRunning}`);
    const shown = list.data.find((view) => view.id === id).spent_usd;
    assert.equal(nanoUsd(shown), spent.get(id), "what the key is shown to have spent");
  }
  const total = [...spent.values()].reduce((sum, each) => sum + each);
  assert.deepEqual(await gateway.balance(account), { balance: 5_000_000_000n - total, held: 0n });
  const journal = await gateway.journal(account);
  assert.deepEqual(
    journal.map(({ seq }) => seq),
    Array.from({ length: 1 + served.size }, (_, at) => at + 1),
  );
  // Every kind of limit was met; else the test has shown nothing.
  for (const kind of Object.keys(LIMITS)) {
    const refusals = answers.filter(({ key, status }) => key.kind === kind && status !== 200);
    const own = refusals.filter((answer) => outcomeOf(answer) === (kind.endsWith("budget") ? "budget" : "limited"));
    assert.ok(own.length > 0, `${kind} refused none`);
  }
  assert.ok(served.size >= 50, `${served.size} were served`);
});

/** What became of a request; fails on what is none of the clear answers. */
function outcomeOf({ n, key, status, text }) {
  if (status === 200) return "served";
  const { code, reason, message } = JSON.parse(text).error;
  if (status === 402 && reason === "key_budget" && key.kind.endsWith("budget")) return "budget";
  if (status === 429 && code === "rate_limit_exceeded") {
    // The account takes 300 admits a second, and says so of the rest.
    if (message.startsWith("This account has too many requests")) return "shed";
    if (!key.kind.endsWith("budget")) return "limited";
  }
  return assert.fail(`request ${n} of a key with ${key.kind}: ${status} ${text}`);
}
