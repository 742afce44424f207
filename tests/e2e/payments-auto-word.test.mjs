// Automatic top-ups: cards are charged as their owner last said (issue 13, money-1). Stripe is down while a top-up begins,
// then the owner changes something, then Stripe is back.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { chatBody } from "./chat.mjs";
import { startPaid, until } from "./payments.mjs";
import { demo } from "./upstream.mjs";

const USD = 1_000_000_000;
const SETTINGS = { enabled: true, threshold_usd: "15", amount_usd: "20", monthly_cap_usd: "100" };

let gateway;
let standIn;
before(async () => {
  gateway = await startPaid({ entry: "faulty-entry.mjs" });
  ({ standIn } = gateway);
  gateway.upstream.answer("chat", demo());
});
after(() => gateway?.close());
beforeEach(async () => {
  standIn.breakDown(false);
  await world({});
});

const world = async (change) => {
  const response = await gateway.fetch("/test/world", { method: "POST", body: JSON.stringify(change) });
  assert.equal(response.status, 200, await response.text());
};
const auto = async (account) => (await gateway.api(account, "GET", "topups/auto")).body;
const put = (account, change) => gateway.api(account, "PUT", "topups/auto", { ...SETTINGS, ...change });
const charges = (account) =>
  standIn.store
    .all("payment_intent")
    .filter(({ metadata }) => metadata.kind === "auto" && metadata.account_id === account.accountId);
const asked = (account) =>
  standIn.requests.filter(
    ({ method, path, body }) => method === "POST" && path === "/v1/payment_intents" && body.includes(account.accountId),
  ).length;
const credits = async (account) => (await gateway.entries(account)).filter(([id]) => id.startsWith("auto:"));

async function spend(account) {
  const response = await gateway.fetch("/v1/chat/completions", {
    method: "POST",
    key: account.key,
    body: chatBody("chat"),
  });
  await response.text();
  return response.status;
}

/** An account with 10 USD and a saved card, whose first automatic top-up of 20 USD began while Stripe was down. */
async function waiting({ charged = false } = {}) {
  const account = await gateway.account({ usd: "0" });
  const topUp = await gateway.topUp(account, "10", { save_method: true });
  assert.equal((await gateway.press(topUp, { number: "4242424242424242" })).status, 303);
  await standIn.webhooks.delivered();
  if (charged) standIn.answerNext({ status: 500, body: {} }, { done: true });
  const before = standIn.requests.length;
  standIn.breakDown(true);
  if (charged) standIn.webhooks.hold();
  assert.equal((await put(account)).status, 200);
  // One charge and three tries to look it up.
  await until(
    () => standIn.requests.length - before,
    (count) => count === 4,
  );
  const { attempt } = await auto(account);
  assert.deepEqual([attempt.amount_usd, attempt.status], ["20", "charging"]);
  return account;
}

/** Two minutes later: a request settles, and the cron finds the account in D1, as its alarm writes it down. */
async function later(account) {
  standIn.breakDown(false);
  await world({ ahead_ms: 121_000 });
  await spend(account);
  for (let run = 0; run < 2; run += 1) {
    await gateway.db
      .prepare("INSERT INTO due_topups (account_id, at_ms) VALUES (?, 1) ON CONFLICT DO NOTHING")
      .bind(account.accountId)
      .run();
    await gateway.worker.scheduled({ cron: "* * * * *" });
  }
}

test("switched off: nothing is charged, neither by the request that says so nor by the cron", async () => {
  const account = await waiting();
  const { body } = await put(account, { enabled: false });
  assert.equal(body.attempt.status, "withdrawn");
  await later(account);
  assert.deepEqual([charges(account), asked(account), await credits(account)], [[], 1, []]);
  const { attempt, spent_this_month_usd: spent } = await auto(account);
  assert.deepEqual([attempt, spent], [null, "0"]);
});

test("switched off late: the very request that says so charges nothing", async () => {
  const account = await waiting();
  standIn.breakDown(false);
  await world({ ahead_ms: 121_000 });
  await put(account, { enabled: false });
  await later(account);
  assert.deepEqual([charges(account), asked(account)], [[], 1]);
});

test("lowered: nothing above the new cap is charged", async () => {
  const account = await waiting();
  assert.equal((await put(account, { threshold_usd: "5", amount_usd: "5", monthly_cap_usd: "5" })).status, 200);
  await later(account);
  assert.deepEqual(charges(account), [], "10 are there, the threshold is 5");
  await gateway.grant(account, "-8");
  await later(account);
  assert.deepEqual(
    charges(account).map(({ amount }) => amount),
    [500],
  );
});

test("paid by hand with another card: nothing is short any more, and the old card is not charged", async () => {
  const account = await waiting();
  standIn.breakDown(false);
  const topUp = await gateway.topUp(account, "50", { save_method: true });
  await new Promise((resolve) => setTimeout(resolve, 1_100)); // Stripe's times are whole seconds
  await gateway.press(topUp, { number: "5555555555554444" });
  await standIn.webhooks.delivered();
  await later(account);
  assert.deepEqual(
    [charges(account), (await auto(account)).method.last4, (await auto(account)).attempt],
    [[], "4444", null],
  );
});

test("disputed: a stop stops", async () => {
  const account = await waiting();
  standIn.breakDown(false);
  const { payment_intent: intent } = standIn.store
    .all("checkout.session")
    .find(({ metadata }) => metadata.account_id === account.accountId);
  standIn.payments.dispute(intent);
  await standIn.webhooks.delivered();
  await later(account);
  assert.deepEqual([charges(account), (await auto(account)).stopped.reason], [[], "disputed"]);
});

test("a mistyped threshold is refused and charges nothing", async () => {
  const account = await waiting();
  const { status, body } = await put(account, { threshold_usd: "100" });
  assert.deepEqual([status, body.error.param], [400, "threshold_usd"]);
  await put(account, { enabled: false });
  await later(account);
  assert.deepEqual(charges(account), []);
});

test("charged, and the answer lost: it is credited once although it was switched off, and counted", async () => {
  const account = await waiting({ charged: true });
  await put(account, { enabled: false });
  await later(account);
  assert.deepEqual(
    [charges(account).length, asked(account), await credits(account).then((rows) => rows.map(([, , nano]) => nano))],
    [1, 1, [20 * USD]],
  );
  standIn.webhooks.hold(false);
  await standIn.webhooks.delivered();
  const { attempt, spent_this_month_usd: spent } = await auto(account);
  assert.deepEqual([(await credits(account)).length, attempt, spent], [1, null, "20"]);
});

test("cancelled: the owner sees the top-up in flight and ends it", async () => {
  const account = await waiting();
  const { attempt } = await auto(account);
  assert.match(attempt.id, /^auto_[0-9a-v]{16}_1$/);
  assert.ok(Math.abs(Date.parse(attempt.began_at) - Date.now()) < 60_000);
  const cancel = (key) => gateway.api(account, "DELETE", "topups/auto/attempt", null, key && { key });
  assert.equal((await cancel(account.key)).status, 403);
  const { status, body } = await cancel();
  assert.deepEqual([status, body.attempt.status, body.stopped.reason], [200, "withdrawn", "cancelled"]);
  await later(account);
  assert.deepEqual([charges(account), asked(account), (await auto(account)).attempt], [[], 1, null]);
  // Until it is set again.
  await put(account);
  await until(
    () => credits(account),
    (rows) => rows.length === 1,
  );
});
