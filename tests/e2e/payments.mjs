// A gateway with the stand-in for Stripe behind it.
import assert from "node:assert/strict";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ROOT } from "../../dev/processes.mjs";
import { startPayments } from "../../dev/payments/server.mjs";
import { startGateway } from "./harness.mjs";

const WEBHOOK_SECRET = "whsec_the_one_that_is_in_force_today";
const LIMIT_MS = 10_000;
const POLL_MS = 20;

/** The secrets that sign webhooks of such a gateway: the one in force, and the one before it. */
export const SECRETS = [WEBHOOK_SECRET, "whsec_the_one_that_was_in_force_before"];

/**
 * Starts both. `entry` names a module of this folder that stands before the Worker. Resolves to the gateway with
 * `standIn` and the methods below; webhooks are delivered by themselves.
 */
export async function startPaid({ entry, vars = {}, ...options } = {}) {
  const standIn = await startPayments({ webhookSecret: WEBHOOK_SECRET, retryMs: 20 });
  const gateway = await startGateway({
    ...options,
    entry: entry && path.join(ROOT, "tests/e2e", entry),
    vars: {
      STRIPE_API_URL: standIn.url,
      STRIPE_SECRET_KEY: standIn.secretKey,
      STRIPE_WEBHOOK_SECRETS: SECRETS.join(","),
      CONSOLE_URL: "http://127.0.0.1:5173",
      ...vars,
    },
  });
  standIn.webhooks.deliverTo(`${gateway.url}/webhooks/stripe`);

  const paid = {
    ...gateway,
    standIn,

    /** A call of the account's API as its owner: `{ status, body }`. */
    async api(account, method, path, body, { key = gateway.session(account), headers } = {}) {
      const response = await gateway.fetch(`/console/api/${path}`, {
        key,
        method,
        headers,
        ...(body && { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      return { status: response.status, body: text === "" ? null : JSON.parse(text) };
    },

    /** Begins a top-up: `{ id, session }`, the session as the stand-in has it. */
    async topUp(account, usd = "20", more = {}) {
      const { status, body } = await paid.api(account, "POST", "topups", { amount_usd: usd, ...more });
      assert.equal(status, 201, JSON.stringify(body));
      const session = standIn.store.get("checkout.session", body.checkout_url.split("/").at(-1));
      return { id: body.id, url: body.checkout_url, session };
    },

    /** Presses a button of the Checkout page; resolves to the page's answer. */
    press: ({ url }, fields = {}) =>
      fetch(url, {
        method: "POST",
        redirect: "manual",
        body: new URLSearchParams({ action: "pay", number: "4242424242424242", ...fields }),
      }),

    /** The account's top-ups, the newest first. */
    topUps: async (account) => (await paid.api(account, "GET", "topups")).body.data,

    /** The journal's entries of money in and back, in order: `[id, kind, nano-USD]`. */
    entries: async (account) =>
      (await gateway.journal(account))
        .filter(({ usage }) => usage === null)
        .map((row) => [row.id, row.kind, row.amount_nano]),

    /** Sends an event as Stripe does: `{ payload, header }`; resolves to the status. */
    async deliver({ payload, header }) {
      const response = await gateway.fetch("/webhooks/stripe", {
        method: "POST",
        body: payload,
        headers: header === null ? {} : { "stripe-signature": header },
      });
      await response.text();
      return response.status;
    },

    async close() {
      await gateway.close();
      await standIn.close();
    },
  };
  return paid;
}

/** Waits until `read` resolves to something that `fits`; resolves to it. */
export async function until(read, fits) {
  const deadline = performance.now() + LIMIT_MS;
  for (;;) {
    const seen = await read();
    if (fits(seen)) return seen;
    if (performance.now() > deadline) assert.fail(`it stays ${JSON.stringify(seen)}`);
    await sleep(POLL_MS);
  }
}
