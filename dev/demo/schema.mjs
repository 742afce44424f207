// Makes a small value that a JSON schema accepts, with every property present.

// The depth from which only required properties are filled in, so that a recursive schema ends.
const MAX_DEPTH = 6;
// No value fits a schema that always requires itself. Below this depth the function returns a text for it.
const GIVE_UP_DEPTH = 40;

const STRINGS = {
  "date-time": "2025-01-01T12:00:00Z",
  date: "2025-01-01",
  time: "12:00:00",
  duration: "P1D",
  email: "demo@example.com",
  hostname: "example.com",
  ipv4: "192.0.2.1",
  ipv6: "2001:db8::1",
  uri: "https://example.com/",
  uuid: "00000000-0000-4000-8000-000000000000",
};

/** Returns a value that `schema` accepts. The $refs of `schema` point into `root`. */
export function instanceOf(schema, root = schema, depth = 0) {
  if (schema === undefined || schema === true || depth > GIVE_UP_DEPTH) return "demo";
  if (schema.$ref !== undefined) return instanceOf(follow(schema.$ref, root), root, depth + 1);
  if ("const" in schema) return schema.const;
  if (schema.enum?.length > 0) return schema.enum[0];
  if ("default" in schema) return schema.default;
  if (schema.examples?.length > 0) return schema.examples[0];
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices?.length > 0)
    return instanceOf({ ...without(schema, ["anyOf", "oneOf"]), ...shallowest(choices, depth) }, root, depth + 1);
  if (schema.allOf?.length > 0) return instanceOf(merge(schema, root), root, depth + 1);
  return OF_TYPE[typeOf(schema)]?.(schema, root, depth) ?? null;
}

const OF_TYPE = {
  object: ({ properties = {}, required = [] }, root, depth) => {
    const wanted = Object.keys(properties).filter((name) => depth < MAX_DEPTH || required.includes(name));
    return Object.fromEntries(wanted.map((name) => [name, instanceOf(properties[name], root, depth + 1)]));
  },
  array: ({ items, prefixItems, minItems = 0, maxItems = Infinity }, root, depth) => {
    if (prefixItems) return prefixItems.map((item) => instanceOf(item, root, depth + 1));
    const length = Math.min(depth < MAX_DEPTH ? Math.max(minItems, 1) : minItems, maxItems);
    return Array.from({ length }, () => instanceOf(items, root, depth + 1));
  },
  string: ({ format, minLength = 0, maxLength = Infinity }) =>
    (STRINGS[format] ?? "demo".padEnd(minLength, " demo")).slice(0, maxLength),
  integer: (schema) => Math.ceil(number(schema)),
  number,
  boolean: () => true,
  null: () => null,
};

function number({ minimum, exclusiveMinimum, maximum, exclusiveMaximum, multipleOf = 1 }) {
  const least = minimum ?? (exclusiveMinimum === undefined ? -Infinity : exclusiveMinimum + multipleOf);
  const most = maximum ?? (exclusiveMaximum === undefined ? Infinity : exclusiveMaximum - multipleOf);
  const value = Math.min(Math.max(multipleOf, least), most);
  return Math.ceil(value / multipleOf) * multipleOf;
}

function typeOf({ type, properties, items, prefixItems }) {
  if (Array.isArray(type)) return type.find((name) => name !== "null") ?? "null";
  return type ?? (properties ? "object" : items || prefixItems ? "array" : "string");
}

// From MAX_DEPTH on, prefers a choice that contains no further schema.
function shallowest(choices, depth) {
  const ends = (choice) => choice.type === "null" || "const" in choice || choice.enum;
  return (depth >= MAX_DEPTH && choices.find(ends)) || choices.find((choice) => choice.type !== "null") || choices[0];
}

function merge(schema, root) {
  const parts = schema.allOf.map((part) => (part.$ref === undefined ? part : follow(part.$ref, root)));
  const all = [without(schema, ["allOf"]), ...parts];
  return {
    ...Object.assign({}, ...all),
    ...(all.some((part) => part.properties) && {
      properties: Object.assign({}, ...all.map((part) => part.properties)),
    }),
    ...(all.some((part) => part.required) && { required: all.flatMap((part) => part.required ?? []) }),
  };
}

function without(schema, names) {
  return Object.fromEntries(Object.entries(schema).filter(([name]) => !names.includes(name)));
}

/** Returns the schema at a local reference such as #/$defs/Step, or true (any value) if there is none. */
function follow(reference, root) {
  const steps = reference.replace(/^#\/?/, "").split("/").filter(Boolean);
  const unescaped = (step) => decodeURIComponent(step).replaceAll("~1", "/").replaceAll("~0", "~");
  return steps.reduce((schema, step) => schema?.[unescaped(step)], root) ?? true;
}
