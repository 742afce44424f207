// Payments while something is down: an account's object, D1, Stripe, or the webhooks themselves.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { startPaid, until } from "./payments.mjs";

const USD = 1_000_000_000;
const CRON = { cron: "* * * * *" };

let gateway;
let standIn;
before(async () => {
  gateway = await startPaid({ entry: "faulty-entry.mjs" });
  ({ standIn } = gateway);
});
after(() => gateway?.close());
beforeEach(async () => {
  standIn.webhooks.hold(false);
  await world({});
});

const world = async (change) => {
  const response = await gateway.fetch("/test/world", { method: "POST", body: JSON.stringify(change) });
  assert.equal(response.status, 200, await response.text());
};

/** A payment whose webhook never comes. */
async function untold(account, usd) {
  const topUp = await gateway.topUp(account, usd);
  standIn.webhooks.hold();
  await gateway.press(topUp);
  standIn.webhooks.drop();
  standIn.webhooks.hold(false);
  return topUp;
}

const credited = ({ session }, usd) => [`checkout:${session.id}`, "credit", usd * USD];

for (const way of ["there", "back"]) {
  test(`an account that does not answer is told again, its calls lost on the way ${way}`, async () => {
    const account = await gateway.account({ usd: "0" });
    const topUp = await gateway.topUp(account, "20");
    await world({ lose: { command: "enter", way, times: 7 } });
    await gateway.press(topUp);
    await standIn.webhooks.delivered();
    assert.deepEqual(await gateway.entries(account), [credited(topUp, 20)]);
    assert.equal((await gateway.topUps(account))[0].status, "paid");
  });
}

test("a webhook is not taken while D1 is down, and counts once", async () => {
  const account = await gateway.account({ usd: "0" });
  const topUp = await gateway.topUp(account, "20");
  await world({ worker_d1_down: true });
  await gateway.press(topUp);
  const told = standIn.store.all("event").find(({ type }) => type === "checkout.session.completed");
  await until(
    () => gateway.entries(account),
    (entries) => entries.length === 1,
  );
  assert.equal(told.pending_webhooks, 1, "credited, and still to be told");
  await world({});
  await standIn.webhooks.delivered();
  assert.deepEqual(await gateway.entries(account), [credited(topUp, 20)]);
  assert.equal((await gateway.topUps(account))[0].status, "paid");
});

test("a receipt that Stripe does not give holds nothing up", async () => {
  const account = await gateway.account({ usd: "0" });
  const topUp = await gateway.topUp(account, "20");
  for (let n = 0; n < 3; n += 1) standIn.answerNext({ status: 500, body: {} });
  await gateway.press(topUp);
  await standIn.webhooks.delivered();
  const [listed] = await gateway.topUps(account);
  assert.deepEqual([listed.status, listed.receipt_url], ["paid", null]);
});

test("what no webhook tells the cron asks for", async () => {
  const account = await gateway.account({ usd: "0" });
  const topUp = await untold(account, "20");
  assert.deepEqual(await gateway.entries(account), []);
  await gateway.worker.scheduled(CRON);
  assert.deepEqual(await gateway.entries(account), [credited(topUp, 20)]);
  const [listed] = await gateway.topUps(account);
  assert.equal(listed.status, "paid");
  assert.match(listed.receipt_url, /receipts/);

  standIn.webhooks.hold();
  const refund = standIn.payments.createRefund({ payment_intent: topUp.session.payment_intent, amount: 500 });
  const dispute = standIn.payments.dispute(topUp.session.payment_intent);
  standIn.webhooks.drop();
  await gateway.worker.scheduled(CRON);
  standIn.payments.failRefund(refund.id);
  standIn.payments.closeDispute(dispute.id, "won");
  standIn.webhooks.drop();
  await gateway.worker.scheduled(CRON);
  await gateway.worker.scheduled(CRON);
  assert.deepEqual((await gateway.entries(account)).slice(1), [
    [`refund:${refund.id}`, "refund", -5 * USD],
    [`dispute:${dispute.id}`, "dispute", -20 * USD],
    [`refund:${refund.id}:reversed`, "refund", 5 * USD],
    [`dispute:${dispute.id}:won`, "dispute", 20 * USD],
  ]);
});

test("what D1 has lost is found in Stripe's list", async () => {
  const account = await gateway.account({ usd: "0" });
  const topUp = await untold(account, "20");
  await gateway.db.prepare("DELETE FROM topups").run();
  await gateway.worker.scheduled(CRON);
  assert.deepEqual(await gateway.entries(account), [credited(topUp, 20)]);
  assert.deepEqual(
    (await gateway.topUps(account)).map(({ id, status }) => [id, status]),
    [[topUp.id, "paid"]],
  );
});

test("a pending top-up is asked for when it is due, and less often as it grows old", async () => {
  const account = await gateway.account({ usd: "0" });
  const topUp = await gateway.topUp(account, "20");
  standIn.webhooks.hold();
  standIn.payments.expire(topUp.session);
  standIn.webhooks.drop();
  const asked = () =>
    standIn.requests.filter(({ path }) => path === `/v1/checkout/sessions/${topUp.session.id}`).length;
  /** The cron so many minutes from now; how often Stripe was asked by then, and how the top-up stands. */
  const cron = async (minutes, times = 1) => {
    await world({ ahead_ms: minutes * 60_000 });
    for (let run = 0; run < times; run += 1) await gateway.worker.scheduled(CRON);
    await world({}); // a session's token is not good for that long
    return [asked(), (await gateway.topUps(account))[0].status];
  };
  assert.deepEqual(await cron(0), [0, "pending"], "it may well be paid yet");
  standIn.answerNext({ status: 404, body: { error: { type: "invalid_request_error", code: "resource_missing" } } });
  assert.deepEqual(await cron(11, 2), [1, "pending"], "once, without an answer");
  assert.deepEqual(await cron(15), [1, "pending"]);
  assert.deepEqual(await cron(17), [2, "expired"]);
});

test("Stripe's lists are read page by page", async () => {
  const account = await gateway.account({ usd: "0" });
  const first = await untold(account, "20");
  await gateway.db.prepare("DELETE FROM topups").run();
  // A hundred sessions of another product are newer.
  const metadata = { order: "7" };
  for (let n = 0; n < 100; n += 1) {
    const session = standIn.payments.createSession({
      mode: "payment",
      success_url: "https://shop.example",
      metadata,
      line_items: [{ quantity: 1, price_data: { currency: "usd", unit_amount: 900, product_data: { name: "Shirt" } } }],
    });
    standIn.payments.pay(session, { brand: "visa", last4: "4242" });
  }
  await standIn.webhooks.delivered();
  await gateway.worker.scheduled(CRON);
  assert.deepEqual(await gateway.entries(account), []);
  await gateway.worker.scheduled(CRON);
  assert.deepEqual(await gateway.entries(account), [credited(first, 20)]);
});
