// Top-ups through Stripe's page: what a customer does and sees, and what is refused.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { signed } from "../../dev/payments/webhooks.mjs";
import { chatBody } from "./chat.mjs";
import { SECRETS, startPaid, until } from "./payments.mjs";
import { demo } from "./upstream.mjs";

const USD = 1_000_000_000;

let gateway;
let standIn;
before(async () => {
  gateway = await startPaid();
  ({ standIn } = gateway);
  gateway.upstream.answer("chat", demo());
});
after(() => gateway?.close());

const balance = async (account) => Number((await gateway.balance(account)).balance);

test("a top-up is paid at Stripe's page, credited, and listed with its receipt", async () => {
  const account = await gateway.account({ usd: "0" });
  const { id, session, url } = await gateway.topUp(account, "20.50");
  assert.match(id, /^topup_[0-9a-v]{16}$/);
  assert.deepEqual([session.amount_total, session.client_reference_id], [2_050, account.accountId]);
  assert.deepEqual(session.metadata, { account_id: account.accountId, topup_id: id, kind: "checkout" });
  assert.deepEqual(session.payment_intent_data.metadata, session.metadata);
  assert.deepEqual(
    [session.success_url, session.cancel_url],
    [`http://127.0.0.1:5173/credits?topup=${id}`, `http://127.0.0.1:5173/credits?topup=${id}&cancelled=1`],
  );
  const { headers } = standIn.requests.find(
    ({ method, path }) => method === "POST" && path === "/v1/checkout/sessions",
  );
  assert.deepEqual([headers["idempotency-key"], headers["stripe-version"]], [id, "2026-10-28.endive"]);
  const [pending] = await gateway.topUps(account);
  assert.deepEqual(pending, {
    id,
    at: pending.at,
    kind: "checkout",
    amount_usd: "20.5",
    status: "pending",
    receipt_url: null,
  });
  assert.equal(pending.at, new Date(session.created * 1_000).toISOString());

  assert.equal((await gateway.press({ url })).status, 303);
  await standIn.webhooks.delivered();
  assert.equal(await balance(account), 20.5 * USD);
  assert.deepEqual(await gateway.entries(account), [[`checkout:${session.id}`, "credit", 20.5 * USD]]);
  const [paid] = await gateway.topUps(account);
  assert.deepEqual([paid.status, paid.id], ["paid", id]);
  assert.match(await (await fetch(paid.receipt_url)).text(), /\$20\.50/);
  const answer = await gateway.fetch("/v1/chat/completions", {
    method: "POST",
    key: account.key,
    body: chatBody("chat"),
  });
  assert.equal(answer.status, 200, await answer.text());
});

test("a declined card can be tried again, and a session that ends brings nothing", async () => {
  const account = await gateway.account({ usd: "0" });
  const declined = await gateway.topUp(account, "5");
  assert.equal((await gateway.press(declined, { number: "4000000000000002" })).status, 402);
  await standIn.webhooks.delivered();
  assert.deepEqual([(await gateway.topUps(account))[0].status, await balance(account)], ["pending", 0]);
  assert.equal((await gateway.press(declined)).status, 303);
  const left = await gateway.topUp(account, "5");
  standIn.payments.expire(left.session);
  await standIn.webhooks.delivered();
  assert.deepEqual(
    (await gateway.topUps(account)).map(({ id, status }) => [id, status]).sort(),
    [
      [declined.id, "paid"],
      [left.id, "expired"],
    ].sort(),
  );
  assert.deepEqual(await gateway.entries(account), [[`checkout:${declined.session.id}`, "credit", 5 * USD]]);
});

test("a bank's debit is credited when it has come, and not before", async () => {
  const account = await gateway.account({ usd: "0" });
  for (const [succeeds, status] of [
    [true, "paid"],
    [false, "failed"],
  ]) {
    const topUp = await gateway.topUp(account, "7");
    await gateway.press(topUp, { action: "bank" });
    await standIn.webhooks.delivered();
    const find = async () => (await gateway.topUps(account)).find(({ id }) => id === topUp.id).status;
    assert.equal(await find(), "pending");
    standIn.payments.endBankDebit(topUp.session, succeeds);
    await standIn.webhooks.delivered();
    assert.equal(await find(), status);
  }
  assert.equal(await balance(account), 7 * USD);
});

test("refunds and disputes take the money, also when it was spent, and bring it back", async () => {
  const account = await gateway.account({ usd: "0" });
  const topUp = await gateway.topUp(account, "10");
  await gateway.press(topUp);
  await standIn.webhooks.delivered();
  await gateway.grant(account, "-9"); // as if it were spent
  const { payment_intent: intent } = topUp.session;
  const status = async () => (await gateway.topUps(account))[0].status;

  const part = standIn.payments.createRefund({ payment_intent: intent, amount: 300 });
  await standIn.webhooks.delivered();
  assert.deepEqual([await balance(account), await status()], [-2 * USD, "partially_refunded"]);
  const broke = await gateway.fetch("/v1/chat/completions", {
    method: "POST",
    key: account.key,
    body: chatBody("chat"),
  });
  assert.deepEqual([broke.status, (await broke.json()).error.code], [402, "insufficient_credit"]);
  standIn.payments.failRefund(part.id);
  await standIn.webhooks.delivered();
  assert.deepEqual([await balance(account), await status()], [1 * USD, "paid"]);

  const dispute = standIn.payments.dispute(intent);
  await standIn.webhooks.delivered();
  assert.deepEqual([await balance(account), await status()], [-9 * USD, "disputed"]);
  standIn.payments.closeDispute(dispute.id, "won");
  await standIn.webhooks.delivered();
  assert.deepEqual([await balance(account), await status()], [1 * USD, "paid"]);
  const whole = standIn.payments.createRefund({ payment_intent: intent });
  await standIn.webhooks.delivered();
  assert.deepEqual([await balance(account), await status()], [-9 * USD, "refunded"]);
  const entries = (await gateway.entries(account)).filter(([, kind]) => kind === "refund" || kind === "dispute");
  assert.deepEqual(entries, [
    [`refund:${part.id}`, "refund", -3 * USD],
    [`refund:${part.id}:reversed`, "refund", 3 * USD],
    [`dispute:${dispute.id}`, "dispute", -10 * USD],
    [`dispute:${dispute.id}:won`, "dispute", 10 * USD],
    [`refund:${whole.id}`, "refund", -10 * USD],
  ]);
});

test("what went back is entered before the payment was ever told", async () => {
  const account = await gateway.account({ usd: "0" });
  const topUp = await gateway.topUp(account, "10");
  standIn.webhooks.hold();
  await gateway.press(topUp);
  const refund = standIn.payments.createRefund({ payment_intent: topUp.session.payment_intent });
  standIn.payments.failRefund(refund.id);
  const events = standIn.store.all("event").filter((event) => event.pending_webhooks > 0); // the newest first
  const ours = events.filter(({ type }) => /^(refund|checkout)/.test(type));
  assert.deepEqual(
    ours.map(({ type }) => type),
    ["refund.failed", "refund.created", "checkout.session.completed"],
  );
  for (const event of ours)
    assert.equal(await gateway.deliver(signed(event, SECRETS[1])), 200, "under the secret before, too");
  const entries = await gateway.entries(account);
  assert.deepEqual(entries, [
    [`refund:${refund.id}`, "refund", -10 * USD],
    [`refund:${refund.id}:reversed`, "refund", 10 * USD],
    [`checkout:${topUp.session.id}`, "credit", 10 * USD],
  ]);
  standIn.webhooks.hold(false);
  await standIn.webhooks.delivered();
  assert.deepEqual(await gateway.entries(account), entries);
});

test("only what Stripe signed for this gateway is taken", async () => {
  const account = await gateway.account({ usd: "0" });
  const { session } = await gateway.topUp(account, "20");
  const object = { ...session, payment_status: "paid", status: "complete" };
  const event = { id: "evt_1", object: "event", livemode: false, type: "checkout.session.completed", data: { object } };
  const good = signed(event, SECRETS[0]);
  const now = Math.floor(Date.now() / 1_000);
  for (const [what, forged] of [
    ["no signature", { ...good, header: null }],
    ["another secret", signed(event, "whsec_somebody_elses_secret_of_theirs")],
    ["another body", { ...good, payload: good.payload.replace("2000", "9999") }],
    ["too old", signed(event, SECRETS[0], now - 301)],
    ["no event", signed({ id: "evt_1" }, SECRETS[0])],
    ["real money, under a test key", signed({ ...event, livemode: true }, SECRETS[0])],
  ]) {
    assert.equal(await gateway.deliver(forged), 400, what);
  }
  assert.equal(
    (
      await gateway.fetch("/webhooks/stripe", {
        method: "POST",
        body: "x".repeat(300_000),
        headers: { "stripe-signature": good.header },
      })
    ).status,
    413,
  );
  assert.equal((await gateway.fetch("/webhooks/stripe")).status, 405);
  assert.deepEqual(await gateway.entries(account), []);
  for (const [what, other] of [
    ["another product's", { ...event, data: { object: { ...object, metadata: {} } } }],
    [
      "an account that nobody made",
      {
        ...event,
        data: { object: { ...object, metadata: { ...object.metadata, account_id: "acct_0000000000000000" } } },
      },
    ],
    ["another currency", { ...event, data: { object: { ...object, currency: "eur" } } }],
    ["an event of tomorrow", { ...event, type: "checkout.session.smiled" }],
  ]) {
    assert.equal(await gateway.deliver(signed(other, SECRETS[0])), 200, what);
  }
  assert.deepEqual(await gateway.entries(account), []);
  assert.equal(await gateway.deliver(good), 200);
  assert.deepEqual(await gateway.entries(account), [[`checkout:${session.id}`, "credit", 20 * USD]]);
  for (const line of gateway.logs()) assert.ok(!/whsec_|sk_test|cs_test_\w+.*metadata/.test(line), line);
});

test("the owner alone begins a top-up, of a whole number of cents within the limits", async () => {
  const account = await gateway.account({ usd: "0" });
  const create = (body, options) => gateway.api(account, "POST", "topups", body, options);
  for (const amount of ["4.99", "5000.01", "10.001", "-10", "1e2", "", 20, null]) {
    const { status, body } = await create({ amount_usd: amount });
    assert.deepEqual([status, body.error.code], [400, "invalid_request"], String(amount));
  }
  assert.equal((await create({ amount_usd: "20", currency: "eur" })).status, 400);
  assert.equal((await create({ amount_usd: "20" }, { key: account.key })).status, 403);
  assert.equal((await create({ amount_usd: "20" }, { key: "" })).status, 401);
  const reader = await gateway.key(account, ["account:read"]);
  const caller = await gateway.key(account, ["inference"]);
  assert.equal((await gateway.api(account, "GET", "topups", null, { key: reader })).status, 200);
  assert.equal((await gateway.api(account, "GET", "topups", null, { key: caller })).status, 403);
  assert.deepEqual(await gateway.topUps(account), []);

  const headers = { "idempotency-key": "mine" };
  const first = await create({ amount_usd: "20" }, { headers });
  assert.deepEqual(await create({ amount_usd: "20" }, { headers }), first, "the same again");
  assert.equal((await create({ amount_usd: "30" }, { headers })).status, 409);
  const other = await gateway.account({ usd: "0" });
  assert.notEqual(
    (await gateway.api(other, "POST", "topups", { amount_usd: "20" }, { headers })).body.id,
    first.body.id,
  );
  assert.equal((await gateway.topUps(account)).length, 1);
});

test("the list has pages", async () => {
  const account = await gateway.account({ usd: "0" });
  const begun = [];
  for (let n = 0; n < 5; n += 1) begun.push((await gateway.topUp(account)).id);
  const seen = [];
  let query = "?limit=2";
  for (let page = 0; page < 3; page += 1) {
    const { body } = await gateway.api(account, "GET", `topups${query}`);
    seen.push(...body.data.map(({ id }) => id));
    query = `?limit=2&cursor=${body.next_cursor}`;
    assert.equal(body.next_cursor === null, page === 2);
  }
  assert.deepEqual(seen.toSorted(), begun.toSorted());
  for (const wrong of ["?limit=0", "?limit=201", "?limit=x", "?cursor=x"]) {
    assert.equal((await gateway.api(account, "GET", `topups${wrong}`)).status, 400, wrong);
  }
});

test("a session that its owner has ended shows and begins no top-up", async () => {
  const account = await gateway.account({ usd: "0" });
  await gateway.topUp(account);
  const key = gateway.session(account);
  assert.equal((await gateway.fetch("/console/api/sessions", { method: "DELETE", key })).status, 204);
  const auto = { enabled: false, threshold_usd: "1", amount_usd: "5", monthly_cap_usd: "5" };
  for (const [method, path, body] of [
    ["GET", "topups"],
    ["POST", "topups", { amount_usd: "20" }],
    ["GET", "topups/auto"],
    ["PUT", "topups/auto", auto],
    ["DELETE", "topups/method"],
  ]) {
    assert.equal((await gateway.api(account, method, path, body, { key })).status, 401, `${method} ${path}`);
  }
  assert.equal(
    (await gateway.api(account, "GET", "topups", null, { key: account.key })).body.data.length,
    1,
    "keys go on",
  );
});

test("Stripe's words reach nobody, and a failure of it is 503", async () => {
  const account = await gateway.account({ usd: "0" });
  standIn.answerNext({
    status: 401,
    body: { error: { type: "invalid_request_error", message: "Invalid API Key provided: sk_test_secret" } },
  });
  const refused = await gateway.api(account, "POST", "topups", { amount_usd: "20" });
  assert.deepEqual([refused.status, refused.body.error.code], [503, "upstream_unavailable"]);
  assert.ok(!JSON.stringify(refused.body).includes("sk_test"));
  // Trouble that passes is tried again, as the same call.
  standIn.answerNext({ status: 500, body: "<html>" });
  standIn.requests.length = 0;
  await gateway.topUp(account);
  const keys = standIn.requests.map(({ headers }) => headers["idempotency-key"]);
  assert.deepEqual([keys.length, new Set(keys).size], [2, 1]);
  assert.equal(
    (
      await until(
        () => gateway.topUps(account),
        (list) => list.length === 1,
      )
    ).length,
    1,
  );
});
