// What happens to money: sessions are paid, cards are charged, money goes back. Each change is an event.
import { randomBytes } from "node:crypto";
import { invalid, StripeError } from "./params.mjs";

const SESSION_S = 24 * 60 * 60;

/** The payments of `store`, told through `webhooks`; `origin()` is where the pages are. */
export function openPayments({ store, webhooks, origin }) {
  const { emit } = webhooks;
  const now = () => Math.floor(Date.now() / 1_000);

  function createSession(params) {
    if (params.customer && params.customer_creation)
      throw invalid("You may only specify one of these parameters: customer, customer_creation.");
    const customer = params.customer ? must("customer", params.customer).id : null;
    const total = params.line_items.reduce(
      (sum, { quantity = 1, price_data: { unit_amount: each } }) => sum + quantity * each,
      0,
    );
    if (total < 50)
      throw invalid("The Checkout Session's total amount must convert to at least 50 cents.", {
        code: "amount_too_small",
      });
    const session = store.add("cs_test", "checkout.session", {
      amount_subtotal: total,
      amount_total: total,
      cancel_url: params.cancel_url ?? null,
      client_reference_id: params.client_reference_id ?? null,
      currency: params.line_items[0].price_data.currency,
      customer,
      customer_creation: params.customer_creation ?? "if_required",
      expires_at: params.expires_at ?? now() + SESSION_S,
      metadata: params.metadata ?? {},
      mode: params.mode,
      payment_intent: null,
      payment_intent_data: params.payment_intent_data ?? {},
      payment_method_types: ["card", "us_bank_account"],
      payment_status: "unpaid",
      status: "open",
      success_url: params.success_url,
      line_name: params.line_items[0].price_data.product_data.name,
      url: null,
    });
    return store.change(session, { url: `${origin()}/c/pay/${session.id}` });
  }

  /** Pays an open session with a card; resolves to what was wrong with it, or null. */
  function pay(session, card) {
    if (!isOpen(session)) return "This page has ended.";
    const intent = intentOf(session, card);
    if (card.declined) {
      decline(intent, card.declined);
      emit("payment_intent.payment_failed", intent);
      return `Your card was declined (${card.declined}).`;
    }
    charge(intent);
    complete(session, intent, "paid");
    if (card.disputed) dispute(intent.id);
    return null;
  }

  /** Pays by a bank's debit, which takes its time: it ends by `endBankDebit`. */
  function payByBank(session) {
    if (!isOpen(session)) return "This page has ended.";
    const intent = store.change(intentOf(session, { brand: null, last4: "6789" }), { status: "processing" });
    complete(session, intent, "unpaid");
    return null;
  }

  function endBankDebit(session, succeeds) {
    const intent = must("payment_intent", session.payment_intent);
    if (intent.status !== "processing") throw invalid("This payment is not processing.");
    if (succeeds) {
      charge(intent);
      store.change(session, { payment_status: "paid" });
      emit("checkout.session.async_payment_succeeded", session);
    } else {
      decline(intent, "debit_not_authorized");
      emit("payment_intent.payment_failed", intent);
      emit("checkout.session.async_payment_failed", session);
    }
  }

  function expire(session) {
    if (session.status !== "open") throw invalid('Only Checkout Sessions with a status in ["open"] can be expired.');
    store.change(session, { status: "expired", url: null });
    emit("checkout.session.expired", session);
    return session;
  }

  function isOpen(session) {
    if (session.status === "open" && session.expires_at <= now()) expire(session);
    return session.status === "open";
  }

  function intentOf(session, card) {
    const known = session.payment_intent && store.get("payment_intent", session.payment_intent);
    const saves = session.payment_intent_data.setup_future_usage;
    if (!session.customer && (saves || session.customer_creation === "always")) {
      store.change(session, { customer: store.add("cus", "customer", { email: null, metadata: {} }).id });
    }
    const method = addMethod(card, saves ? session.customer : null);
    const intent =
      known ??
      addIntent({
        amount: session.amount_total,
        currency: session.currency,
        customer: session.customer,
        metadata: session.payment_intent_data.metadata ?? {},
      });
    store.change(session, { payment_intent: intent.id });
    return store.change(intent, { payment_method: method.id, setup_future_usage: saves ?? null });
  }

  function addMethod({ brand, last4, ...does }, customer) {
    const fields = brand
      ? { type: "card", card: { brand, last4, exp_month: 12, exp_year: 2034 } }
      : { type: "us_bank_account", us_bank_account: { last4 } };
    const method = store.add("pm", "payment_method", { customer, metadata: {}, ...fields });
    store.card.set(method.id, does);
    return method;
  }

  function addIntent(fields) {
    return store.add("pi", "payment_intent", {
      amount_received: 0,
      client_secret: randomBytes(12).toString("hex"),
      last_payment_error: null,
      latest_charge: null,
      payment_method: null,
      status: "requires_payment_method",
      ...fields,
    });
  }

  function complete(session, intent, paymentStatus) {
    store.change(session, { status: "complete", payment_status: paymentStatus, payment_intent: intent.id, url: null });
    emit("checkout.session.completed", session);
  }

  function charge(intent) {
    const { amount, currency, customer, metadata, payment_method: method } = intent;
    const made = store.add("ch", "charge", {
      amount,
      amount_refunded: 0,
      currency,
      customer,
      metadata,
      disputed: false,
      paid: true,
      payment_intent: intent.id,
      payment_method: method,
      refunded: false,
      status: "succeeded",
      receipt_url: null,
    });
    store.change(made, { receipt_url: `${origin()}/receipts/${made.id}` });
    store.change(intent, {
      status: "succeeded",
      amount_received: amount,
      latest_charge: made.id,
      last_payment_error: null,
    });
    emit("charge.succeeded", made);
    emit("payment_intent.succeeded", intent);
  }

  function decline(intent, reason) {
    const code = reason === "authentication_required" ? reason : "card_declined";
    const error = { type: "card_error", code, decline_code: reason, message: "Your card was declined." };
    store.change(intent, { status: "requires_payment_method", last_payment_error: error });
    return error;
  }

  /** An off-session payment of a saved method: confirmed at once. */
  function createIntent(params) {
    const method = must("payment_method", params.payment_method);
    const customer = must("customer", params.customer);
    if (!params.return_url && params.automatic_payment_methods?.allow_redirects !== "never") {
      throw invalid(
        "Because some payment methods might redirect your customer off of your page, you must provide a `return_url`, or set `automatic_payment_methods[allow_redirects]` to `never`.",
      );
    }
    if (method.customer !== customer.id) {
      throw invalid("The provided PaymentMethod is not attached to the customer.", {
        code: "payment_method_customer_mismatch",
        param: "payment_method",
      });
    }
    const { amount, currency, metadata = {} } = params;
    const intent = addIntent({ amount, currency, customer: customer.id, metadata, payment_method: method.id });
    const does = store.card.get(method.id);
    const refused = does.declined ?? does.offSession;
    if (refused) {
      const error = decline(intent, refused);
      emit("payment_intent.payment_failed", intent);
      throw new StripeError(402, { ...error, payment_intent: structuredClone(intent) });
    }
    charge(intent);
    if (does.disputed) dispute(intent.id);
    return intent;
  }

  function detach(method) {
    if (!method.customer)
      throw invalid("The payment method you provided is not attached to a customer so detachment is impossible.", {
        param: "payment_method",
      });
    return store.change(method, { customer: null });
  }

  function createRefund({ payment_intent: id, amount, metadata = {} }) {
    const intent = must("payment_intent", id);
    const paid = must("charge", intent.latest_charge);
    const left = paid.amount - paid.amount_refunded;
    if (left === 0) throw invalid(`Charge ${paid.id} has already been refunded.`, { code: "charge_already_refunded" });
    const back = amount ?? left;
    if (back > left) throw invalid(`Refund amount is greater than unrefunded amount on charge.`, { param: "amount" });
    const refund = store.add("re", "refund", {
      amount: back,
      charge: paid.id,
      currency: paid.currency,
      metadata,
      payment_intent: intent.id,
      reason: null,
      status: "succeeded",
    });
    store.change(paid, {
      amount_refunded: paid.amount_refunded + back,
      refunded: paid.amount_refunded + back === paid.amount,
    });
    emit("refund.created", refund);
    emit("charge.refunded", paid);
    if (store.card.get(intent.payment_method).refundsFail) failRefund(refund.id);
    return refund;
  }

  function failRefund(id) {
    const refund = must("refund", id);
    const paid = must("charge", refund.charge);
    store.change(refund, { status: "failed", failure_reason: "expired_or_canceled_card" });
    store.change(paid, { amount_refunded: paid.amount_refunded - refund.amount, refunded: false });
    emit("refund.failed", refund);
    return refund;
  }

  function dispute(intentId) {
    const intent = must("payment_intent", intentId);
    const paid = must("charge", intent.latest_charge);
    if (paid.disputed) throw invalid("This charge is disputed already.");
    store.change(paid, { disputed: true });
    const opened = store.add("du", "dispute", {
      amount: paid.amount,
      balance_transactions: [],
      charge: paid.id,
      currency: paid.currency,
      metadata: {},
      payment_intent: intent.id,
      reason: "fraudulent",
      status: "needs_response",
    });
    emit("charge.dispute.created", opened);
    emit("charge.dispute.funds_withdrawn", opened);
    return opened;
  }

  function closeDispute(id, status) {
    const closed = store.change(must("dispute", id), { status });
    emit("charge.dispute.closed", closed);
    if (status === "won") emit("charge.dispute.funds_reinstated", closed);
    return closed;
  }

  function must(kind, id) {
    const found = store.get(kind, id);
    if (found) return found;
    const name = kind.split(".").at(-1);
    throw new StripeError(404, {
      type: "invalid_request_error",
      code: "resource_missing",
      message: `No such ${name}: '${id}'`,
      param: name,
    });
  }

  return {
    createSession,
    pay,
    payByBank,
    endBankDebit,
    expire,
    isOpen,
    createIntent,
    detach,
    createRefund,
    failRefund,
    dispute,
    closeDispute,
    must,
  };
}
