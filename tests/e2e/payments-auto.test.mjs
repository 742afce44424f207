// Automatic top-ups: a saved card, spenders that run at once, the month's cap, declines, and charges that are lost.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { chatBody } from "./chat.mjs";
import { startPaid, until } from "./payments.mjs";
import { demo } from "./upstream.mjs";

const USD = 1_000_000_000;
const CRON = { cron: "* * * * *" };
const CARD = "4242424242424242";
const OFF = {
  enabled: false,
  threshold_usd: "0",
  amount_usd: "0",
  monthly_cap_usd: "0",
  spent_this_month_usd: "0",
  method: null,
  stopped: null,
  attempt: null,
};

let gateway;
let standIn;
before(async () => {
  gateway = await startPaid({ entry: "faulty-entry.mjs" });
  ({ standIn } = gateway);
  gateway.upstream.answer("chat", demo());
});
after(() => gateway?.close());
beforeEach(() => world({}));

const world = async (change) => {
  const response = await gateway.fetch("/test/world", { method: "POST", body: JSON.stringify(change) });
  assert.equal(response.status, 200, await response.text());
};

const auto = async (account) => (await gateway.api(account, "GET", "topups/auto")).body;
const set = (account, change) =>
  gateway.api(account, "PUT", "topups/auto", {
    enabled: true,
    threshold_usd: "20",
    amount_usd: "20",
    monthly_cap_usd: "100",
    ...change,
  });
/** What was charged without anybody there, of whichever outcome. */
const charges = (account) =>
  standIn.store
    .all("payment_intent")
    .filter(({ metadata }) => metadata.kind === "auto" && metadata.account_id === account.accountId);
const autoEntries = async (account) => (await gateway.entries(account)).filter(([id]) => id.startsWith("auto:"));

async function spend(account) {
  const response = await gateway.fetch("/v1/chat/completions", {
    method: "POST",
    key: account.key,
    body: chatBody("chat"),
  });
  await response.text();
  return response.status;
}

/** An account with 10 USD and a saved card. */
async function saver(number = CARD) {
  const account = await gateway.account({ usd: "0" });
  const topUp = await gateway.topUp(account, "10", { save_method: true });
  assert.equal((await gateway.press(topUp, { number })).status, 303);
  await standIn.webhooks.delivered();
  return account;
}

test("a card is saved at Stripe's page, shown, and forgotten in both places", async () => {
  const account = await gateway.account({ usd: "0" });
  assert.deepEqual(await auto(account), OFF);
  const without = await gateway.topUp(account, "10");
  await gateway.press(without);
  await standIn.webhooks.delivered();
  assert.deepEqual(await auto(account), OFF, "nobody asked for it to be kept");
  const kept = await gateway.topUp(account, "10", { save_method: true });
  await gateway.press(kept, { number: "5555555555554444" });
  await standIn.webhooks.delivered();
  assert.deepEqual((await auto(account)).method, { brand: "mastercard", last4: "4444" });
  const saved = standIn.store.all("payment_method").find(({ customer, card }) => customer && card.last4 === "4444");
  assert.equal((await gateway.api(account, "DELETE", "topups/method", null, { key: account.key })).status, 403);
  for (let twice = 0; twice < 2; twice += 1)
    assert.equal((await gateway.api(account, "DELETE", "topups/method")).status, 204);
  assert.deepEqual([(await auto(account)).method, saved.customer], [null, null]);
});

test("settings are the owner's, and checked", async () => {
  const account = await gateway.account({ usd: "0" });
  const { status, body } = await set(account);
  assert.deepEqual(
    [status, body],
    [200, { ...OFF, enabled: true, threshold_usd: "20", amount_usd: "20", monthly_cap_usd: "100" }],
  );
  assert.deepEqual(await auto(account), body);
  for (const wrong of [
    { amount_usd: "4" },
    { monthly_cap_usd: "19" },
    { threshold_usd: "-1" },
    { threshold_usd: "20.01" },
    { colour: "red" },
    { enabled: "yes" },
  ]) {
    assert.equal((await set(account, wrong)).status, 400, JSON.stringify(wrong));
  }
  const asKey = await gateway.api(
    account,
    "PUT",
    "topups/auto",
    { enabled: false, threshold_usd: "0", amount_usd: "0", monthly_cap_usd: "0" },
    { key: account.key },
  );
  assert.equal(asKey.status, 403);
  assert.equal((await gateway.api(account, "GET", "topups/auto", null, { key: account.key })).status, 200);
  const sql = await gateway.rows(await gateway.account({ usd: "0" }), "SELECT auto_top_up FROM account");
  assert.deepEqual(sql, [{ auto_top_up: null }], "an account without them stores nothing");
});

test("many spenders at once charge the card once, and the cap is kept", async () => {
  const account = await saver();
  await set(account, { threshold_usd: "5", amount_usd: "5", monthly_cap_usd: "15" });
  for (let round = 0; round < 6; round += 1) {
    // Below the threshold again, so every settle would like to charge.
    await gateway.grant(account, "-6");
    await Promise.all([...Array.from({ length: 25 }, () => spend(account)), gateway.worker.scheduled(CRON)]);
    await standIn.webhooks.delivered();
    assert.ok(charges(account).length <= 3, `${charges(account).length} charges`);
  }
  await until(
    () => autoEntries(account),
    (entries) => entries.length === 3,
  );
  for (let more = 0; more < 5; more += 1) await spend(account);
  await gateway.worker.scheduled(CRON);
  await standIn.webhooks.delivered();
  assert.equal(charges(account).length, 3);
  assert.deepEqual(
    (await autoEntries(account)).map(([, kind, amount]) => [kind, amount]),
    Array(3).fill(["credit", 5 * USD]),
  );
  const { spent_this_month_usd: spent, stopped } = await auto(account);
  assert.deepEqual([spent, stopped], ["15", null]);
  const listed = (await gateway.topUps(account)).filter(({ kind }) => kind === "auto");
  assert.deepEqual(
    listed.map(({ status, amount_usd: usd }) => [status, usd]),
    Array(3).fill(["paid", "5"]),
  );
  for (const { receipt_url: receipt } of listed) assert.match(receipt, /receipts/);
  const { headers } = standIn.requests.find(
    ({ path, body }) => path === "/v1/payment_intents" && body.includes(account.accountId),
  );
  assert.match(headers["idempotency-key"], /^auto_[0-9a-v]{16}_[123]$/);
});

test("a decline stops them and says so, until the owner sets them again", async () => {
  const account = await saver("4000002760003184");
  await set(account, { enabled: false });
  await set(account, { threshold_usd: "1" });
  await spend(account);
  assert.equal(charges(account).length, 0, "above the threshold");
  await set(account);
  const { stopped } = await until(
    () => auto(account),
    (view) => view.stopped !== null,
  );
  assert.equal(stopped.reason, "authentication_required");
  assert.ok(Math.abs(Date.parse(stopped.at) - Date.now()) < 60_000);
  assert.deepEqual([charges(account).length, (await auto(account)).spent_this_month_usd], [1, "0"]);
  for (let more = 0; more < 5; more += 1) assert.equal(await spend(account), 200);
  await gateway.worker.scheduled(CRON);
  await standIn.webhooks.delivered();
  assert.deepEqual([charges(account).length, await autoEntries(account)], [1, []]);
  assert.deepEqual(
    (await gateway.topUps(account)).filter(({ kind }) => kind === "auto").map(({ status }) => status),
    ["failed"],
  );
  // The owner brings another card, which begins them again.
  const topUp = await gateway.topUp(account, "10", { save_method: true });
  await new Promise((resolve) => setTimeout(resolve, 1_100)); // Stripe's times are whole seconds
  await gateway.press(topUp, { number: CARD });
  await standIn.webhooks.delivered();
  assert.equal((await auto(account)).stopped, null);
  await until(
    () => autoEntries(account),
    (entries) => entries.length === 1,
  );
});

test("a charge whose answer is lost is looked up, and made once", async () => {
  const account = await saver();
  standIn.answerNext({ status: 500, body: {} }, { done: true });
  standIn.breakDown(true);
  const asked = (wanted) =>
    standIn.requests.filter(({ method, path }) => method === wanted && path === "/v1/payment_intents").length;
  const [posts, gets] = [asked("POST"), asked("GET")];
  standIn.webhooks.hold();
  await set(account);
  await until(
    () => charges(account).length,
    (count) => count === 1,
  );
  await until(
    () => asked("GET") - gets,
    (tries) => tries === 3,
  );
  standIn.breakDown(false);
  assert.equal((await auto(account)).attempt.status, "charging");
  assert.deepEqual(await autoEntries(account), [], "nobody knows that it was charged");
  await spend(account);
  assert.equal(charges(account).length, 1);
  await world({ ahead_ms: 121_000 });
  const once = await gateway.key(account);
  assert.equal(await spend({ ...account, key: once }), 200);
  await until(
    () => autoEntries(account),
    (entries) => entries.length === 1,
  );
  assert.deepEqual([charges(account).length, asked("POST") - posts], [1, 1]);
  standIn.webhooks.hold(false);
  await standIn.webhooks.delivered();
  assert.equal((await autoEntries(account)).length, 1);
});

test("an attempt that nobody was told of reaches the cron", async () => {
  const account = await saver();
  await set(account, { threshold_usd: "5" });
  await gateway.grant(account, "-8");
  assert.equal(charges(account).length, 0);
  await until(
    async () =>
      (await gateway.db.prepare("SELECT account_id FROM due_topups").all()).results.map((row) => row.account_id),
    (due) => due.includes(account.accountId),
  );
  await gateway.worker.scheduled(CRON);
  assert.deepEqual(
    (await autoEntries(account)).map(([, , amount]) => amount),
    [20 * USD],
  );
  assert.deepEqual(
    (await gateway.db.prepare("SELECT * FROM due_topups WHERE account_id = ?").bind(account.accountId).all()).results,
    [],
  );
});

test("what goes back does not charge the card, and a dispute stops them", async () => {
  const account = await saver();
  await set(account, { threshold_usd: "5" });
  const { payment_intent: intent } = standIn.store
    .all("checkout.session")
    .find(({ metadata }) => metadata.account_id === account.accountId);
  standIn.payments.dispute(intent);
  await standIn.webhooks.delivered();
  await gateway.worker.scheduled(CRON);
  assert.deepEqual([charges(account).length, (await auto(account)).stopped.reason], [0, "disputed"]);
});
