// Stripe's API, as far as a gateway needs it: which calls there are, and what each takes.
import { createHash } from "node:crypto";
import {
  boolean,
  check,
  integer,
  invalid,
  list,
  metadata,
  object,
  oneOf,
  parseForm,
  range,
  required,
  string,
  StripeError,
  url,
} from "./params.mjs";

const currency = oneOf("usd");
const expand = { expand: list(string()) };
const paging = { limit: integer(1), starting_after: string(), ending_before: string(), ...expand };

const SESSION = {
  mode: required(oneOf("payment")),
  success_url: required(url),
  cancel_url: url,
  client_reference_id: string(200),
  customer: string(),
  customer_creation: oneOf("always", "if_required"),
  customer_email: string(),
  expires_at: integer(),
  line_items: required(
    list(
      object({
        quantity: integer(1),
        price_data: required(
          object({
            currency: required(currency),
            unit_amount: required(integer()),
            product_data: required(object({ name: required(string()), description: string() })),
          }),
        ),
      }),
    ),
  ),
  metadata,
  payment_intent_data: object({
    description: string(),
    metadata,
    setup_future_usage: oneOf("off_session", "on_session"),
  }),
  ...expand,
};

const INTENT = {
  amount: required(integer(50)),
  currency: required(currency),
  customer: required(string()),
  payment_method: required(string()),
  off_session: required(boolean),
  confirm: required(boolean),
  automatic_payment_methods: object({ enabled: required(boolean), allow_redirects: oneOf("always", "never") }),
  return_url: url,
  description: string(),
  metadata,
  ...expand,
};

const REFUND = { payment_intent: required(string()), amount: integer(1), reason: string(), metadata, ...expand };

/** What may be asked for in full, by the kind of what names it. */
const EXPANDABLE = {
  payment_intent: "payment_intent",
  latest_charge: "charge",
  payment_method: "payment_method",
  customer: "customer",
  charge: "charge",
};

/** Fields of objects that are the stand-in's own. */
const INNER = new Set(["line_name", "payment_intent_data"]);

/** The calls for `payments` and `store`, by method and path; `:id` stands for any segment. */
function calls({ payments, store }) {
  const { must } = payments;
  const get = (kind) => ({ shape: expand, run: (_, id) => must(kind, id) });
  const all = (kind, fields = {}, fits = () => true) => ({
    shape: { ...paging, created: range, ...fields },
    run: (params) =>
      page(
        store.all(kind).filter((one) => within(one.created, params.created) && fits(one, params)),
        params,
      ),
  });
  const sameOrAny = (field) => (one, params) => params[field] === undefined || one[field] === params[field];
  return {
    "POST /v1/checkout/sessions": { shape: SESSION, run: (params) => payments.createSession(params) },
    "GET /v1/checkout/sessions": all(
      "checkout.session",
      { status: oneOf("open", "complete", "expired"), payment_intent: string() },
      (one, params) => sameOrAny("status")(one, params) && sameOrAny("payment_intent")(one, params),
    ),
    "GET /v1/checkout/sessions/:id": {
      shape: expand,
      run: (_, id) => (payments.isOpen(must("checkout.session", id)), must("checkout.session", id)),
    },
    "POST /v1/checkout/sessions/:id/expire": {
      shape: expand,
      run: (_, id) => payments.expire(must("checkout.session", id)),
    },
    "POST /v1/payment_intents": { shape: INTENT, run: (params) => payments.createIntent(params) },
    "GET /v1/payment_intents": all("payment_intent", { customer: string() }, sameOrAny("customer")),
    "GET /v1/payment_intents/:id": get("payment_intent"),
    "POST /v1/customers": {
      shape: { email: string(), name: string(), metadata, ...expand },
      run: (params) => store.add("cus", "customer", { email: null, metadata: {}, ...params }),
    },
    "GET /v1/customers/:id": get("customer"),
    "GET /v1/payment_methods/:id": get("payment_method"),
    "POST /v1/payment_methods/:id/detach": {
      shape: expand,
      run: (_, id) => payments.detach(must("payment_method", id)),
    },
    "GET /v1/charges/:id": get("charge"),
    "POST /v1/refunds": { shape: REFUND, run: (params) => payments.createRefund(params) },
    "GET /v1/refunds": all("refund", { payment_intent: string() }, sameOrAny("payment_intent")),
    "GET /v1/refunds/:id": get("refund"),
    "GET /v1/disputes": all("dispute", { payment_intent: string() }, sameOrAny("payment_intent")),
    "GET /v1/disputes/:id": get("dispute"),
    "GET /v1/events": all(
      "event",
      { type: string(), delivery_success: boolean },
      (one, { type, delivery_success: success }) =>
        (type === undefined || one.type === type) &&
        (success === undefined || success === (one.pending_webhooks === 0)),
    ),
    "GET /v1/events/:id": get("event"),
  };
}

/**
 * Answers calls: `answer({ method, path, query, body, headers })` gives `{ status, body, headers }`. `secretKey` is
 * who may call, `apiVersion` the version that is spoken.
 */
export function openApi({ payments, store, secretKey, apiVersion }) {
  const routes = Object.entries(calls({ payments, store })).map(([route, call]) => {
    const [method, path] = route.split(" ");
    return { method, pattern: new RegExp(`^${path.replace(":id", "([^/]+)")}$`), call };
  });

  const once = ({ method, path, body, headers }, run) => {
    const key = method === "POST" && headers["idempotency-key"];
    if (!key) return run();
    if (key.length > 255) throw invalid("Idempotency-Key must be at most 255 characters.");
    const digest = createHash("sha256").update(`${method} ${path}\n${body}`).digest("hex");
    const first = store.idempotent.get(key);
    if (first && first.digest !== digest) {
      const message =
        "Keys for idempotent requests can only be used with the same parameters they were first used with.";
      throw new StripeError(400, { type: "idempotency_error", message });
    }
    if (first) return { ...first.answer, headers: { "idempotent-replayed": "true" } };
    const answer = run();
    // What was refused before anything was done may be sent again, mended.
    if (answer.status !== 400 && answer.status !== 404) store.idempotent.set(key, { digest, answer });
    return answer;
  };

  return {
    answer(request) {
      const { method, path, query, body, headers } = request;
      return caught(() => {
        if (headers.authorization !== `Bearer ${secretKey}`) {
          throw new StripeError(401, { type: "invalid_request_error", message: "Invalid API Key provided." });
        }
        const version = headers["stripe-version"];
        if (version !== undefined && version !== apiVersion) throw invalid(`Invalid Stripe API version: ${version}`);
        const found = routes
          .map((route) => ({ ...route, match: method === route.method && path.match(route.pattern) }))
          .find(({ match }) => match);
        if (!found)
          throw new StripeError(404, {
            type: "invalid_request_error",
            message: `Unrecognized request URL (${method}: ${path}).`,
          });
        return once(request, () =>
          caught(() => {
            const params = check(parseForm(method === "GET" ? query : body), found.call.shape);
            const made = found.call.run(params, decodeURIComponent(found.match[1] ?? ""));
            return { status: 200, body: expanded(store, made, params.expand ?? []) };
          }),
        );
      });
    },
  };
}

function caught(run) {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof StripeError)) throw error;
    return { status: error.status, body: { error: error.error } };
  }
}

/** A copy of what is told of an object, with what was asked for in full. */
function expanded(store, made, names) {
  if (made.object === "list")
    return {
      ...made,
      data: made.data.map((one) =>
        expanded(
          store,
          one,
          names.map((name) => name.replace(/^data\./, "")),
        ),
      ),
    };
  const copy = shown(made);
  for (const name of names) {
    const kind = EXPANDABLE[name];
    if (!kind || !(name in copy)) throw invalid(`This property cannot be expanded (${name}).`, { param: "expand" });
    if (copy[name] !== null) copy[name] = shown(store.get(kind, copy[name]));
  }
  return copy;
}

/** An object as Stripe shows it. */
export function shown(made) {
  return structuredClone(Object.fromEntries(Object.entries(made).filter(([name]) => !INNER.has(name))));
}

function page(all, { limit = 10, starting_after: after, ending_before: before }) {
  if (limit > 100) throw invalid("Invalid limit: must be at most 100", { param: "limit" });
  const at = (id) => {
    const index = all.findIndex((one) => one.id === id);
    if (index === -1) throw invalid(`No such object: ${id}`, { code: "resource_missing", param: "starting_after" });
    return index;
  };
  const from = after === undefined ? 0 : at(after) + 1;
  const to = before === undefined ? all.length : at(before);
  const data = all.slice(from, Math.min(to, from + limit));
  return { object: "list", data, has_more: from + limit < to, url: "/v1" };
}

function within(created, { gt = -1, gte = 0, lt = Infinity, lte = Infinity } = {}) {
  return created > gt && created >= gte && created < lt && created <= lte;
}
