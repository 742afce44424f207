// The stand-in for Stripe: its API, its Checkout page and its webhooks, so that payments can be tried without an
// account there. No money moves.
//
//   node dev/payments/server.mjs --port N --secret-key sk_test_… --webhook-secret whsec_… --webhook-url URL [--state FILE]
//
// The API under /v1, Checkout under /c/pay/{session}, receipts, and at / every payment with what may happen to it:
// refunds, disputes, the end of a bank's debit.
import http from "node:http";
import { parseArgs } from "node:util";
import Stripe from "stripe";
import { isProgram } from "../processes.mjs";
import { openApi, shown } from "./api.mjs";
import { cardOf } from "./cards.mjs";
import { checkoutPage, paymentsPage, plainPage, receiptPage } from "./pages.mjs";
import { StripeError } from "./params.mjs";
import { openPayments } from "./payments.mjs";
import { openStore } from "./store.mjs";
import { openWebhooks } from "./webhooks.mjs";

const MAX_BODY_BYTES = 1 << 20;

// The pages load nothing, and nobody may frame them.
const PAGE_HEADERS = {
  "content-type": "text/html; charset=utf-8",
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
};

/**
 * Starts it on 127.0.0.1; port 0 takes any free one. `file` keeps its objects. Resolves to `{ url, secretKey,
 * webhookSecret, store, payments, webhooks, requests, answerNext, breakDown, close() }`: `payments` and `webhooks` are
 * as their files say, `requests` is what the API was asked, `answerNext(answer, { done })` has it answer the next call
 * so, which is done all the same or not, and while `breakDown(true)` holds it answers 503 and does nothing.
 */
export async function startPayments({
  port = 0,
  secretKey = "sk_test_stand_in",
  webhookSecret = `whsec_${"0".repeat(32)}`,
  webhookUrl,
  file,
  retryMs,
} = {}) {
  const apiVersion = Stripe.API_VERSION;
  const store = openStore(file);
  const inner = openWebhooks({ store, secret: webhookSecret, apiVersion, firstRetryMs: retryMs });
  const webhooks = { ...inner, emit: (type, object) => inner.emit(type, shown(object)) };
  let url;
  const payments = openPayments({ store, webhooks, origin: () => url });
  const api = openApi({ payments, store, secretKey, apiVersion });
  const requests = [];
  const prepared = [];
  const outage = { answer: null };
  const server = http.createServer(
    (request, response) => void serve(request, response, { api, store, payments, requests, prepared, outage }),
  );
  await new Promise((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${server.address().port}`;
  if (webhookUrl) webhooks.deliverTo(webhookUrl);
  return {
    url,
    secretKey,
    webhookSecret,
    store,
    payments,
    webhooks,
    requests,
    answerNext: (answer, { done = false } = {}) => void prepared.push({ answer, done }),
    breakDown: (isDown) => void (outage.answer = isDown ? { answer: { status: 503, body: {} }, done: false } : null),
    close: () =>
      new Promise((resolve) => {
        webhooks.close();
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}

async function serve(request, response, known) {
  try {
    const { pathname: path, searchParams } = new URL(request.url, "http://localhost");
    const body = await read(request);
    if (path.startsWith("/v1/")) {
      const asked = { method: request.method, path, query: searchParams.toString(), body, headers: request.headers };
      known.requests.push(asked);
      const prepared = known.prepared.shift() ?? known.outage.answer;
      const own = prepared && !prepared.done ? null : known.api.answer(asked);
      const { status, body: answer, headers } = prepared?.answer ?? own;
      response.writeHead(status, { "content-type": "application/json", "request-id": "req_stand_in", ...headers });
      return response.end(JSON.stringify(answer, null, 2));
    }
    const { status = 200, location, html } = show(request.method, path, new URLSearchParams(body), known);
    response.writeHead(status, location ? { location } : PAGE_HEADERS);
    response.end(html);
  } catch (error) {
    const expected = error instanceof StripeError;
    if (!expected) console.error(error);
    if (!response.headersSent) response.writeHead(expected ? error.status : 500, PAGE_HEADERS);
    response.end(plainPage("It did not work", expected ? error.message : "Something went wrong."));
  }
}

/** A page: `{ status?, html }`, or where to go instead, `{ status, location }`. */
function show(method, path, form, { store, payments }) {
  const [, sessionId] = path.match(/^\/c\/pay\/([^/]+)$/) ?? [];
  if (sessionId) {
    const session = payments.must("checkout.session", sessionId);
    if (method === "POST") return payAt(session, form, payments);
    if (session.status === "complete") return { status: 303, location: returnUrl(session) };
    if (!payments.isOpen(session))
      return { status: 410, html: plainPage("This page has ended", "Begin the top-up again.") };
    return { html: checkoutPage(session) };
  }
  const [, chargeId] = path.match(/^\/receipts\/([^/]+)$/) ?? [];
  if (chargeId) return { html: receiptPage(payments.must("charge", chargeId)) };
  if (path !== "/") return { status: 404, html: plainPage("There is no such page", "") };
  if (method === "POST") {
    act(form.get("action"), form.get("id") ?? "", payments);
    return { status: 303, location: "/" };
  }
  return { html: paymentsPage(store) };
}

function payAt(session, form, payments) {
  const action = form.get("action") ?? "pay";
  const card =
    action === "decline"
      ? { brand: "visa", last4: "0002", declined: "generic_decline" }
      : cardOf(form.get("number") ?? "");
  if (action !== "bank" && !card)
    return { status: 402, html: checkoutPage(session, "This is none of the test cards.") };
  const wrong = action === "bank" ? payments.payByBank(session) : payments.pay(session, card);
  return wrong === null
    ? { status: 303, location: returnUrl(session) }
    : { status: 402, html: checkoutPage(session, wrong) };
}

function returnUrl({ success_url: url, id }) {
  return url.replaceAll("{CHECKOUT_SESSION_ID}", id);
}

function act(action, id, payments) {
  const acts = {
    refund: () => payments.createRefund({ payment_intent: id }),
    dispute: () => payments.dispute(id),
    won: () => payments.closeDispute(id, "won"),
    lost: () => payments.closeDispute(id, "lost"),
    debit_succeeds: () => payments.endBankDebit(payments.must("checkout.session", id), true),
    debit_fails: () => payments.endBankDebit(payments.must("checkout.session", id), false),
  };
  if (!Object.hasOwn(acts, action))
    throw new StripeError(400, { type: "invalid_request_error", message: "There is no such action." });
  acts[action]();
}

async function read(request) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > MAX_BODY_BYTES)
      throw new StripeError(413, { type: "invalid_request_error", message: "The body is too large." });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

if (isProgram(import.meta)) {
  const options = ["port", "secret-key", "webhook-secret", "webhook-url", "state"];
  const { values } = parseArgs({ options: Object.fromEntries(options.map((name) => [name, { type: "string" }])) });
  const { url } = await startPayments({
    port: Number(values.port ?? 0),
    secretKey: values["secret-key"],
    webhookSecret: values["webhook-secret"],
    webhookUrl: values["webhook-url"],
    file: values.state,
  });
  console.log(`payments stand-in on ${url}`);
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(0));
  process.on("disconnect", () => process.exit(0)); // whoever started it is gone
}
