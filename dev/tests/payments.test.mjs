// The stand-in for Stripe, as Stripe's own package sees it.
import assert from "node:assert/strict";
import http from "node:http";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import Stripe from "stripe";
import { startPayments } from "../payments/server.mjs";

let standIn;
let stripe;
let endpoint;

before(async () => {
  standIn = await startPayments({ retryMs: 5 });
  stripe = clientOf(standIn);
  endpoint = await startEndpoint(standIn.webhookSecret);
  standIn.webhooks.deliverTo(endpoint.url);
});
after(async () => {
  await standIn.close();
  await endpoint.close();
});

function clientOf({ url, secretKey }, options = {}) {
  const { hostname: host, port } = new URL(url);
  return new Stripe(secretKey, {
    host,
    port: Number(port),
    protocol: "http",
    maxNetworkRetries: 0,
    telemetry: false,
    ...options,
  });
}

/** An endpoint as Stripe's documentation has it: the package checks each event. */
async function startEndpoint(secret) {
  const events = [];
  const answers = [];
  const server = http.createServer(async (request, response) => {
    const chunks = await Array.fromAsync(request);
    const event = new Stripe("sk_test_1").webhooks.constructEvent(
      Buffer.concat(chunks),
      request.headers["stripe-signature"],
      secret,
    );
    events.push(event);
    response.writeHead(answers.shift() ?? 200).end();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const types = () =>
    events
      .map(({ type }) => type)
      .filter((type) => !/^(charge\.(succeeded|refunded)|payment_intent\.succeeded)$/.test(type));
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    events,
    answers,
    types,
    close: () => (server.closeAllConnections(), new Promise((done) => server.close(done))),
  };
}

const SESSION = {
  mode: "payment",
  success_url: "http://127.0.0.1:1/credits?id={CHECKOUT_SESSION_ID}",
  cancel_url: "http://127.0.0.1:1/credits?cancelled=1",
  client_reference_id: "acct_1",
  line_items: [{ quantity: 1, price_data: { currency: "usd", unit_amount: 2_000, product_data: { name: "Credit" } } }],
  metadata: { account_id: "acct_1" },
  payment_intent_data: { metadata: { account_id: "acct_1" } },
};

const press = (session, fields) =>
  fetch(session.url, {
    method: "POST",
    redirect: "manual",
    body: new URLSearchParams({ action: "pay", number: "4242 4242 4242 4242", ...fields }),
  });

async function eventsOf(run) {
  endpoint.events.length = 0;
  const result = await run();
  await standIn.webhooks.delivered();
  return [endpoint.types(), result];
}

test("a session is paid at its page, and told", async () => {
  const session = await stripe.checkout.sessions.create(SESSION);
  assert.deepEqual(
    [session.payment_status, session.status, session.amount_total, session.payment_intent],
    ["unpaid", "open", 2_000, null],
  );
  const shown = await (await fetch(session.url)).text();
  assert.match(shown, /Pay \$20\.00/);
  assert.doesNotMatch(shown, /<script/);
  const [types, paid] = await eventsOf(() => press(session));
  assert.deepEqual([paid.status, paid.headers.get("location")], [303, `http://127.0.0.1:1/credits?id=${session.id}`]);
  assert.deepEqual(types, ["checkout.session.completed"]);
  const told = endpoint.events.find(({ type }) => type === "checkout.session.completed");
  assert.deepEqual(
    [told.livemode, told.data.object.payment_status, told.data.object.metadata],
    [false, "paid", { account_id: "acct_1" }],
  );
  const intent = await stripe.paymentIntents.retrieve(told.data.object.payment_intent, {
    expand: ["latest_charge", "payment_method"],
  });
  assert.deepEqual([intent.status, intent.amount_received, intent.metadata.account_id], ["succeeded", 2_000, "acct_1"]);
  assert.equal(intent.payment_method.card.last4, "4242");
  assert.match(await (await fetch(intent.latest_charge.receipt_url)).text(), /\$20\.00/);
  const { data } = await stripe.checkout.sessions.list({ status: "complete", limit: 1 });
  assert.equal(data[0].id, session.id);
  assert.equal((await press(session)).status, 402, "once");
});

test("a card can be declined, and the customer can leave or try again", async () => {
  const session = await stripe.checkout.sessions.create(SESSION);
  assert.match(await (await fetch(session.url)).text(), /cancelled=1/);
  for (const [fields, words] of [
    [{ number: "4000000000009995" }, /insufficient_funds/],
    [{ action: "decline" }, /declined/],
    [{ number: "1234" }, /none of the test cards/],
  ]) {
    const answer = await press(session, fields);
    assert.equal(answer.status, 402);
    assert.match(await answer.text(), words);
  }
  assert.equal((await press(session)).status, 303);
  const { data } = await stripe.paymentIntents.list({ limit: 1 });
  assert.equal(data[0].status, "succeeded");
});

test("a bank's debit ends later, and a session expires", async () => {
  for (const [succeeds, expected] of [
    [true, "checkout.session.async_payment_succeeded"],
    [false, "checkout.session.async_payment_failed"],
  ]) {
    const session = await stripe.checkout.sessions.create(SESSION);
    const [types] = await eventsOf(async () => {
      await press(session, { action: "bank" });
      assert.equal((await stripe.checkout.sessions.retrieve(session.id)).payment_status, "unpaid");
      await fetch(standIn.url, {
        method: "POST",
        redirect: "manual",
        body: new URLSearchParams({ id: session.id, action: succeeds ? "debit_succeeds" : "debit_fails" }),
      });
    });
    assert.deepEqual(
      types.filter((type) => type.startsWith("checkout")).sort(),
      ["checkout.session.completed", expected].sort(),
    );
  }
  const session = await stripe.checkout.sessions.create(SESSION);
  const [types] = await eventsOf(() => stripe.checkout.sessions.expire(session.id));
  assert.deepEqual(types, ["checkout.session.expired"]);
  assert.equal((await press(session)).status, 402);
});

test("a saved card is charged while nobody is there, and declined when it needs its owner", async () => {
  for (const [number, declined] of [
    ["4242424242424242", null],
    ["4000002760003184", "authentication_required"],
  ]) {
    const created = await stripe.checkout.sessions.create({
      ...SESSION,
      customer_creation: "always",
      payment_intent_data: { setup_future_usage: "off_session" },
    });
    await press(created, { number });
    const session = await stripe.checkout.sessions.retrieve(created.id, { expand: ["payment_intent"] });
    const params = {
      amount: 1_000,
      currency: "usd",
      customer: session.customer,
      payment_method: session.payment_intent.payment_method,
      automatic_payment_methods: { enabled: true, allow_redirects: "never" },
      off_session: true,
      confirm: true,
      metadata: { kind: "auto" },
    };
    const again = () => stripe.paymentIntents.create(params, { idempotencyKey: `auto ${number}` });
    if (declined) {
      for (const attempt of [again, again])
        await assert.rejects(attempt, { type: "StripeCardError", statusCode: 402, code: declined });
    } else {
      const [first, second] = [await again(), await again()];
      assert.deepEqual([first.status, second.id], ["succeeded", first.id]);
      assert.equal(second.lastResponse.headers["idempotent-replayed"], "true");
      await assert.rejects(
        stripe.paymentIntents.create({ ...params, amount: 2_000 }, { idempotencyKey: `auto ${number}` }),
        { type: "StripeIdempotencyError" },
      );
    }
    await stripe.paymentMethods.detach(params.payment_method);
    await assert.rejects(stripe.paymentIntents.create(params), { statusCode: 400 });
    await assert.rejects(stripe.paymentMethods.detach(params.payment_method), { statusCode: 400 });
  }
});

test("money goes back: refunds, failed ones, disputes won and lost", async () => {
  const session = await stripe.checkout.sessions.create(SESSION);
  await press(session);
  const { payment_intent } = await stripe.checkout.sessions.retrieve(session.id);
  let [types, refund] = await eventsOf(() => stripe.refunds.create({ payment_intent, amount: 500 }));
  assert.deepEqual([types, refund.status, refund.amount], [["refund.created"], "succeeded", 500]);
  await assert.rejects(stripe.refunds.create({ payment_intent, amount: 1_501 }), { statusCode: 400 });
  [types] = await eventsOf(() => standIn.payments.failRefund(refund.id));
  assert.deepEqual([types, (await stripe.refunds.retrieve(refund.id)).status], [["refund.failed"], "failed"]);
  [types] = await eventsOf(() => {
    const { id } = standIn.payments.dispute(payment_intent);
    standIn.payments.closeDispute(id, "won");
  });
  assert.deepEqual(
    types.sort(),
    ["closed", "created", "funds_reinstated", "funds_withdrawn"].map((name) => `charge.dispute.${name}`),
  );
  const { data } = await stripe.disputes.list({ payment_intent });
  assert.deepEqual(
    data.map(({ status, amount }) => [status, amount]),
    [["won", 2_000]],
  );
  const page = await (await fetch(standIn.url)).text();
  assert.match(page, /dispute of \$20\.00: won/);
});

test("what Stripe would refuse is refused", async () => {
  const raw = (headers, body = "mode=payment") =>
    fetch(`${standIn.url}/v1/checkout/sessions`, {
      method: "POST",
      body,
      headers: { authorization: `Bearer ${standIn.secretKey}`, ...headers },
    });
  assert.equal((await raw({ authorization: "Bearer sk_test_other" })).status, 401);
  assert.equal((await raw({ "stripe-version": "2019-01-01" })).status, 400);
  assert.equal(
    (await fetch(`${standIn.url}/v1/nothing`, { headers: { authorization: `Bearer ${standIn.secretKey}` } })).status,
    404,
  );
  for (const [change, param] of [
    [{ colour: "red" }, "colour"],
    [{ success_url: undefined }, "success_url"],
    [{ success_url: "nowhere" }, "success_url"],
    [{ mode: "subscription" }, "mode"],
    [
      {
        line_items: [
          { quantity: 1, price_data: { currency: "usd", unit_amount: "many", product_data: { name: "Credit" } } },
        ],
      },
      "line_items[0][price_data][unit_amount]",
    ],
    [
      {
        line_items: [
          { quantity: 1, price_data: { currency: "usd", unit_amount: 1, product_data: { title: "Credit" } } },
        ],
      },
      "line_items[0][price_data][product_data][title]",
    ],
    [{ metadata: { a: "x".repeat(501) } }, "metadata"],
  ]) {
    await assert.rejects(
      stripe.checkout.sessions.create({ ...SESSION, ...change }),
      { type: "StripeInvalidRequestError", param },
      param,
    );
  }
  await assert.rejects(stripe.refunds.create({ payment_intent: "pi_none" }), {
    statusCode: 404,
    code: "resource_missing",
  });
});

test("an event is told until it is taken", async () => {
  endpoint.events.length = 0;
  endpoint.answers.push(500, 400, 302);
  const session = await stripe.checkout.sessions.create(SESSION);
  await stripe.checkout.sessions.expire(session.id);
  await standIn.webhooks.delivered();
  assert.deepEqual([endpoint.events.length, new Set(endpoint.events.map(({ id }) => id)).size], [4, 1]);
  const { data } = await stripe.events.list({ delivery_success: true, limit: 1 });
  assert.equal(data[0].data.object.id, session.id);
});

test("what was begun is there after a restart", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "payments-"));
  const file = path.join(folder, "payments.json");
  try {
    const first = await startPayments({ file });
    const { id } = await clientOf(first).checkout.sessions.create(SESSION, { idempotencyKey: "one" });
    const deadline = performance.now() + 5_000;
    while (!existsSync(file) && performance.now() < deadline) await sleep(5);
    await first.close();
    const second = await startPayments({ file });
    assert.equal((await clientOf(second).checkout.sessions.create(SESSION, { idempotencyKey: "one" })).id, id);
    await second.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});
