// What a million requests cost at list prices, from rows that workerd and D1 count on the Worker as it
// ships, with its outbox as in production. ARCHITECTURE.md has these figures.
import assert from "node:assert/strict";
import path from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { chatBody, completion } from "./chat.mjs";
import { startGateway } from "./harness.mjs";
import { json } from "./upstream.mjs";

const AT_ONCE = 10;
// Full batches of the outbox (`outbox::BATCH`), so that an alarm delivers each at once.
const BATCH = 100;
const BATCHES = 4;
const DAY_MS = 86_400_000;
const DELIVERY_LIMIT_MS = 10_000;

// USD for a million of each, 2026-11.
const LIST_PRICES = { objectRow: 1, d1Row: 1 };
// Everything else of a request: the Worker's call 0.30, 8 ms of its CPU 0.16, two calls of the object
// 0.30, the object's time 0.06, logs 0.12.
const OTHER_USD = 0.94;

let gateway;
before(async () => {
  const entry = path.join(import.meta.dirname, "faulty-entry.mjs");
  gateway = await startGateway({ entry, vars: { OUTBOX_FLUSH_SECONDS: "60-600" } });
  gateway.upstream.answer("chat", json(completion("chat")));
});
after(() => gateway.close());

const counted = async () => (await gateway.fetch("/test/world")).json();

async function requests(key, count) {
  let left = count;
  const client = async () => {
    while (left-- > 0) {
      const response = await gateway.fetch("/v1/chat/completions", { method: "POST", key, body: chatBody("chat") });
      assert.equal(response.status, 200, await response.text());
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, client));
}

/** Waits until D1 has the account's rows up to the last full batch. */
async function delivered(account, rows) {
  const select = gateway.db
    .prepare("SELECT count(*) AS rows FROM journal WHERE account_id = ?")
    .bind(account.accountId);
  for (const deadline = performance.now() + DELIVERY_LIMIT_MS; (await select.first("rows")) < rows; await sleep(20)) {
    if (performance.now() > deadline) assert.fail(`D1 has not ${rows} rows`);
  }
}

/** `later` less `earlier`, number by number. */
function less(later, earlier) {
  return Object.fromEntries(Object.entries(later).map(([name, count]) => [name, count - (earlier[name] ?? 0)]));
}

test("a million requests cost what ARCHITECTURE.md says", async (t) => {
  const account = await gateway.account({ usd: "5" });
  const before = await counted();
  for (let n = 1; n <= BATCHES; n += 1) {
    await requests(account.key, BATCH);
    await delivered(account, n * BATCH);
    // A day passes: the next alarm removes what these requests left behind. (In small letters, this
    // statement is not counted among the object's own.)
    await gateway.rows(account, `update holds SET opened_at_ms = opened_at_ms - ${DAY_MS + 1} WHERE state <> 0`);
  }
  // The last batch meets no alarm any more; its clean-up is that of the one before.
  const after = await counted();
  const rows = less(after.rows, before.rows);
  const total = BATCHES * BATCH;
  const {
    "INSERT INTO holds": admitted,
    "UPDATE holds": resolved,
    "INSERT INTO journal": entered,
    "DELETE FROM holds": removed,
    ...others
  } = rows;
  const rest = Object.fromEntries(Object.entries(others).filter(([statement]) => !statement.startsWith("update")));
  assert.deepEqual(
    { admitted, resolved, entered },
    { admitted: total, resolved: total, entered: total },
    "three rows a request",
  );
  assert.equal(removed, total - BATCH);
  assert.equal(
    after.d1_rows - before.d1_rows,
    2 * total + 2,
    "and two in D1, the row and the sum of its day; the grant stands in an index",
  );

  // Cursors, snapshots of what keys have spent, and alarms, a request.
  const alarms = after.alarms - before.alarms;
  const shared = (Object.values(rest).reduce((sum, count) => sum + count, 0) + alarms) / total;
  assert.ok(shared > 0 && shared < 0.1, `${shared} rows a request: ${JSON.stringify({ rest, alarms })}`);
  const objectRows = 3 + 1 + shared;
  const usd = objectRows * LIST_PRICES.objectRow + 2 * LIST_PRICES.d1Row + OTHER_USD;
  t.diagnostic(
    `${objectRows.toFixed(2)} rows of the object and 2 of D1 a request: $${usd.toFixed(2)} a million requests`,
  );
  assert.equal(usd.toFixed(1), "7.0");
});
