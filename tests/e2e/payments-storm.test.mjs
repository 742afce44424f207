// A storm of webhooks: a thousand true deliveries, among them each event at least once, and a thousand forged ones,
// all in a random order and many at once. What each account has in the end is what Stripe has, to the cent.
// STORM_SEED has another storm.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { signed } from "../../dev/payments/webhooks.mjs";
import { SECRETS, startPaid } from "./payments.mjs";

const SEED = Number(process.env.STORM_SEED ?? 7);
const DELIVERIES = 1_000;
const FORGED = 1_000;
const ACCOUNTS = 6;
const TOP_UPS = 25; // an account
const AT_ONCE = 16;
const NANO_PER_CENT = 10_000_000;

let gateway;
let standIn;
before(async () => {
  gateway = await startPaid();
  ({ standIn } = gateway);
});
after(() => gateway?.close());

/** Numbers from 0 to 1, the same for the same seed. */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const random = generator(SEED);
const below = (most) => Math.floor(random() * most);
const pick = (list) => list[below(list.length)];

function shuffled(list) {
  const copy = [...list];
  for (let at = copy.length - 1; at > 0; at -= 1) {
    const other = below(at + 1);
    [copy[at], copy[other]] = [copy[other], copy[at]];
  }
  return copy;
}

/** What happens to a top-up once its page is open. */
const FATES = {
  paid: (topUp) => gateway.press(topUp),
  left: () => {},
  expired: ({ session }) => standIn.payments.expire(session),
  declined: (topUp) => gateway.press(topUp, { number: "4000000000000002" }),
  debited: async (topUp) => {
    await gateway.press(topUp, { action: "bank" });
    standIn.payments.endBankDebit(topUp.session, true);
  },
  undebited: async (topUp) => {
    await gateway.press(topUp, { action: "bank" });
    standIn.payments.endBankDebit(topUp.session, false);
  },
  refunded: async (topUp) => {
    await gateway.press(topUp);
    standIn.payments.createRefund({ payment_intent: topUp.session.payment_intent, amount: 100 + below(200) });
    if (random() < 0.5) standIn.payments.createRefund({ payment_intent: topUp.session.payment_intent });
  },
  refund_failed: async (topUp) => {
    await gateway.press(topUp);
    const { id } = standIn.payments.createRefund({ payment_intent: topUp.session.payment_intent });
    standIn.payments.failRefund(id);
  },
  disputed: async (topUp) => {
    await gateway.press(topUp);
    const { id } = standIn.payments.dispute(topUp.session.payment_intent);
    if (random() < 0.7) standIn.payments.closeDispute(id, pick(["won", "lost"]));
  },
};

/** The entries that an account must have by what Stripe has: `id → nano-USD`. */
function owed(sessions) {
  const entries = {};
  for (const session of sessions) {
    if (session.payment_status === "paid") entries[`checkout:${session.id}`] = session.amount_total * NANO_PER_CENT;
    const ofIt = (one) => session.payment_intent !== null && one.payment_intent === session.payment_intent;
    for (const { id, amount, status } of standIn.store.all("refund").filter(ofIt)) {
      entries[`refund:${id}`] = -amount * NANO_PER_CENT;
      if (status === "failed") entries[`refund:${id}:reversed`] = amount * NANO_PER_CENT;
    }
    for (const { id, amount, status } of standIn.store.all("dispute").filter(ofIt)) {
      entries[`dispute:${id}`] = -amount * NANO_PER_CENT;
      if (status === "won") entries[`dispute:${id}:won`] = amount * NANO_PER_CENT;
    }
  }
  return entries;
}

/** How a top-up must be listed by what Stripe has. */
function standing(session) {
  if (session.status === "expired") return "expired";
  if (session.payment_status !== "paid") {
    const intent = standIn.store.get("payment_intent", session.payment_intent ?? "");
    return session.status === "complete" && intent.status === "requires_payment_method" ? "failed" : "pending";
  }
  const ofIt = (one) => one.payment_intent === session.payment_intent;
  if (standIn.store.all("dispute").some((one) => ofIt(one) && one.status !== "won")) return "disputed";
  const back = standIn.store
    .all("refund")
    .filter((one) => ofIt(one) && one.status !== "failed")
    .reduce((sum, { amount }) => sum + amount, 0);
  return back === 0 ? "paid" : back === session.amount_total ? "refunded" : "partially_refunded";
}

function forged(event) {
  const good = signed(event, SECRETS[0]);
  const now = Math.floor(Date.now() / 1_000);
  return pick([
    () => signed(event, "whsec_a_secret_that_somebody_guessed"),
    () => ({ ...good, payload: good.payload.replace(/"amount(_total)?": (\d+)/, '"amount$1": 9$2') + " " }),
    () => signed(event, SECRETS[0], now - 301 - below(1_000_000)),
    () => ({ ...good, header: good.header.replace(/v1=.*/, `v1=${"0".repeat(64)}`) }),
    () => ({ ...good, header: null }),
    () => ({ ...good, header: good.header.replace(/t=\d+/, `t=${now + 1_000}`) }),
  ])();
}

async function deliverAll(deliveries) {
  const waiting = [...deliveries];
  const wrong = [];
  const worker = async () => {
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      const status = await gateway.deliver(next.sent);
      if (status !== next.status) wrong.push([next.status, status, next.type]);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  assert.deepEqual(wrong, []);
}

test(`a storm of webhooks (seed ${SEED}) credits each payment once`, async () => {
  standIn.webhooks.hold();
  const accounts = [];
  for (let n = 0; n < ACCOUNTS; n += 1)
    accounts.push({ ...(await gateway.account({ usd: "0" })), sessions: [], begun: [] });
  for (const account of accounts) {
    for (let n = 0; n < TOP_UPS; n += 1) {
      const topUp = await gateway.topUp(account, `${5 + below(50)}.${10 + below(90)}`);
      account.begun.push(topUp);
      account.sessions.push(topUp.session);
      await FATES[n < 9 ? Object.keys(FATES)[n] : pick(Object.keys(FATES))](topUp);
    }
  }
  const events = standIn.store.all("event").reverse();
  const again = Array.from({ length: DELIVERIES - events.length }, () => pick(events));
  assert.ok(events.length > 500 && again.length > 0, `${events.length} events`);
  const good = [...events, ...again].map((event) => ({
    sent: signed(event, pick(SECRETS)),
    status: 200,
    type: event.type,
  }));
  const bad = Array.from({ length: FORGED }, () => pick(events)).map((event) => ({
    sent: forged(event),
    status: 400,
    type: event.type,
  }));
  await deliverAll(shuffled([...good, ...bad]));

  const checked = async () => {
    for (const account of accounts) {
      const expected = owed(account.sessions);
      const entries = await gateway.entries(account);
      assert.deepEqual(Object.fromEntries(entries.map(([id, , amount]) => [id, amount])), expected);
      assert.equal(entries.length, Object.keys(expected).length, "each once");
      const sum = Object.values(expected).reduce((a, b) => a + b, 0);
      assert.equal(Number((await gateway.balance(account)).balance), sum);
      const listed = (await gateway.api(account, "GET", "topups?limit=200")).body.data;
      assert.deepEqual(
        Object.fromEntries(listed.map(({ id, status }) => [id, status])),
        Object.fromEntries(account.begun.map(({ id, session }) => [id, standing(session)])),
      );
      for (const { status, receipt_url: receipt } of listed)
        assert.equal(receipt === null, ["pending", "failed", "expired"].includes(status), status);
    }
  };
  await checked();

  // Late, and once more: nothing moves.
  const now = Math.floor(Date.now() / 1_000);
  await deliverAll(
    shuffled(events)
      .slice(0, 100)
      .map((event) => ({ sent: signed(event, SECRETS[1], now - 290), status: 200, type: event.type })),
  );
  await gateway.worker.scheduled({ cron: "* * * * *" });
  await checked();

  // D1 has the same journal.
  for (const account of accounts) {
    const rows = Object.keys(owed(account.sessions)).length;
    const deadline = performance.now() + 20_000;
    let report;
    do report = await gateway.audit(account);
    while (report.delivered_seq < rows && performance.now() < deadline);
    assert.deepEqual(
      [report.rows, report.delivered_seq, report.missing, report.differing, report.problems],
      [rows, rows, 0, 0, []],
    );
  }
});
