// Events: each is signed by Stripe's own package and delivered until it is answered with a success.
import Stripe from "stripe";

const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 60_000;
const AT_ONCE = 8;
const PATIENCE_MS = 30_000;

/**
 * The events of `store`, for an endpoint that is told with `deliverTo(url)`. `secret` signs them, `apiVersion` is
 * what they are written in. While `held`, nothing is delivered.
 */
export function openWebhooks({ store, secret, apiVersion, firstRetryMs = FIRST_RETRY_MS }) {
  let endpoint = null;
  let held = false;
  let closed = false;
  let running = 0;
  const waiting = store
    .all("event")
    .filter(({ pending_webhooks: pending }) => pending > 0)
    .reverse()
    .map((event) => ({ event, tries: 0 }));
  const timers = new Set();
  const idle = [];

  const pump = () => {
    while (!closed && !held && endpoint && running < AT_ONCE && waiting.length > 0) {
      running += 1;
      void attempt(waiting.shift()).finally(() => {
        running -= 1;
        pump();
      });
    }
    if (running === 0 && waiting.length === 0 && timers.size === 0) idle.splice(0).forEach((resolve) => resolve());
  };

  const attempt = async (delivery) => {
    const status = await post(endpoint, signed(delivery.event, secret));
    if (status >= 200 && status < 300) return store.change(delivery.event, { pending_webhooks: 0 });
    const wait = Math.min(firstRetryMs * 2 ** delivery.tries, MAX_RETRY_MS);
    delivery.tries += 1;
    const timer = setTimeout(() => {
      timers.delete(timer);
      waiting.push(delivery);
      pump();
    }, wait);
    timers.add(timer);
  };

  return {
    /** Something happened to `object`, which is told as it is now. */
    emit(type, object) {
      const event = store.add("evt", "event", {
        api_version: apiVersion,
        data: { object: structuredClone(object) },
        pending_webhooks: 1,
        request: { id: null, idempotency_key: null },
        type,
      });
      waiting.push({ event, tries: 0 });
      pump();
      return event;
    },

    deliverTo(url) {
      endpoint = url;
      pump();
    },

    /** Nothing is delivered until `hold(false)`. */
    hold(on = true) {
      held = on;
      pump();
    },

    /** Forgets what waits, as if Stripe had given up on it. */
    drop: () => waiting.splice(0).length,

    /** Resolves once everything is delivered. */
    delivered: () => new Promise((resolve) => (idle.push(resolve), pump())),

    close() {
      closed = true;
      timers.forEach(clearTimeout);
    },
  };
}

/** An event as it is sent: `{ payload, header }`. */
export function signed({ object, ...event }, secret, timestamp) {
  const payload = JSON.stringify({ id: event.id, object, ...event }, null, 2);
  const header = Stripe.webhooks.generateTestHeaderString({ payload, secret, ...(timestamp && { timestamp }) });
  return { payload, header };
}

async function post(url, { payload, header }) {
  try {
    const headers = {
      "content-type": "application/json; charset=utf-8",
      "stripe-signature": header,
      "user-agent": "Stripe/1.0",
    };
    const response = await fetch(url, {
      method: "POST",
      headers,
      body: payload,
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    await response.body?.cancel();
    return response.status;
  } catch {
    return 0; // nobody is there
  }
}
