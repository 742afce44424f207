// The parameters of Stripe's API: form fields with brackets in their names, read into objects and held against
// the shape of a call. A parameter that the call does not know is refused, as Stripe does.

/** A call that Stripe would refuse. `status` and `error` are what it answers. */
export class StripeError extends Error {
  constructor(status, error) {
    super(error.message);
    this.status = status;
    this.error = error;
  }
}

/** An error of the request itself. */
export function invalid(message, more = {}) {
  return new StripeError(400, { type: "invalid_request_error", message, ...more });
}

/** `a[b][0]=x&c=y` as `{ a: { b: { 0: "x" } }, c: "y" }`; lists stay objects with numbers for names. */
export function parseForm(text) {
  const root = Object.create(null);
  for (const [name, value] of new URLSearchParams(text)) {
    const [, first, rest] = name.match(/^([^[\]]+)((?:\[[^[\]]*\])*)$/) ?? [];
    if (first === undefined) throw invalid(`Invalid parameter name: ${name}`);
    const keys = [first, ...[...rest.matchAll(/\[([^[\]]*)\]/g)].map(([, key]) => key)];
    let at = root;
    for (const [index, key] of keys.entries()) {
      const own = key === "" ? Object.keys(at).length : key;
      if (index === keys.length - 1) at[own] = value;
      else at = at[own] = typeof at[own] === "object" ? at[own] : Object.create(null);
    }
  }
  return root;
}

/** Reads `given` by `shape`, an object of the functions below. */
export function check(given, shape, path = "") {
  const name = (key) => (path === "" ? key : `${path}[${key}]`);
  for (const key of Object.keys(given)) {
    if (!Object.hasOwn(shape, key))
      throw invalid(`Received unknown parameter: ${name(key)}`, { code: "parameter_unknown", param: name(key) });
  }
  const read = {};
  for (const [key, { type, isRequired }] of Object.entries(shape)) {
    if (given[key] === undefined || given[key] === "") {
      if (isRequired)
        throw invalid(`Missing required param: ${name(key)}.`, { code: "parameter_missing", param: name(key) });
      continue;
    }
    read[key] = type(given[key], name(key));
  }
  return read;
}

const optional = (type) => ({ type, isRequired: false });
/** The same, and it must be there. */
export const required = ({ type }) => ({ type, isRequired: true });

function plain(value, param) {
  if (typeof value !== "string") throw invalid(`Invalid string: ${param}`, { param });
  return value;
}

export const string = (most = 5_000) =>
  optional((value, param) => {
    if (plain(value, param).length > most)
      throw invalid(`Invalid string: ${param} must be at most ${most} characters`, { param });
    return value;
  });

export const integer = (least = 0) =>
  optional((value, param) => {
    if (!/^-?\d{1,15}$/.test(plain(value, param)) || Number(value) < least) {
      throw invalid(`Invalid integer: ${value}`, { code: "parameter_invalid_integer", param });
    }
    return Number(value);
  });

export const boolean = optional((value, param) => {
  if (!["true", "false"].includes(plain(value, param))) throw invalid(`Invalid boolean: ${value}`, { param });
  return value === "true";
});

export const oneOf = (...allowed) =>
  optional((value, param) => {
    if (!allowed.includes(plain(value, param)))
      throw invalid(`Invalid ${param}: must be one of ${allowed.join(", ")}`, { param });
    return value;
  });

export const url = optional((value, param) => {
  // {CHECKOUT_SESSION_ID} stands for the session's id in the addresses to return to.
  if (!URL.canParse(plain(value, param))) throw invalid("Not a valid URL", { code: "url_invalid", param });
  return value;
});

export const object = (shape) => optional((value, param) => check(nested(value, param), shape, param));

export const list = ({ type }) =>
  optional((value, param) =>
    Object.entries(nested(value, param)).map(([index, item]) => type(item, `${param}[${index}]`)),
  );

/** Up to 50 pairs, as Stripe takes them. */
export const metadata = optional((value, param) => {
  const pairs = Object.entries(nested(value, param));
  const fits = ([key, text]) => key.length <= 40 && typeof text === "string" && text.length <= 500;
  if (pairs.length > 50 || !pairs.every(fits)) throw invalid(`Invalid metadata: ${param}`, { param });
  return Object.fromEntries(pairs);
});

/** A time, or a range of them: `created[gte]`. */
export const range = optional((value, param) =>
  typeof value === "string"
    ? { gte: Number(value), lte: Number(value) }
    : check(value, { gt: integer(), gte: integer(), lt: integer(), lte: integer() }, param),
);

function nested(value, param) {
  if (typeof value !== "object") throw invalid(`Invalid object: ${param}`, { param });
  return value;
}
