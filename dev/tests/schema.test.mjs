import assert from "node:assert/strict";
import { test } from "node:test";
import { instanceOf } from "../demo/schema.mjs";

const step = {
  type: "object",
  properties: { text: { type: "string" }, next: { anyOf: [{ $ref: "#/$defs/step" }, { type: "null" }] } },
  required: ["text", "next"],
};

const CASES = [
  [{ type: "string" }, "demo"],
  [{ type: "string", minLength: 6 }, "demo demo".slice(0, 6)],
  [{ type: "string", maxLength: 2 }, "de"],
  [{ type: "string", format: "date" }, "2025-01-01"],
  [{ type: "integer" }, 1],
  [{ type: "integer", minimum: 3 }, 3],
  [{ type: "integer", maximum: -2 }, -2],
  [{ type: "number", exclusiveMinimum: 5 }, 6],
  [{ type: "integer", multipleOf: 4, minimum: 5 }, 8],
  [{ type: "boolean" }, true],
  [{ type: ["null", "string"] }, "demo"],
  [{ type: "null" }, null],
  [{ const: 7 }, 7],
  [{ enum: ["c", "f"] }, "c"],
  [{ type: "string", default: "given" }, "given"],
  [{ type: "array", items: { type: "integer" }, minItems: 2 }, [1, 1]],
  [{ type: "array", items: { type: "integer" }, maxItems: 0 }, []],
  [{ type: "array", prefixItems: [{ type: "integer" }, { type: "boolean" }] }, [1, true]],
  [{ anyOf: [{ type: "null" }, { type: "integer" }] }, 1],
  [
    { allOf: [{ properties: { a: { type: "integer" } } }, { properties: { b: { type: "boolean" } } }] },
    { a: 1, b: true },
  ],
  [{ properties: { city: { type: "string" }, days: { type: "integer", minimum: 3 } } }, { city: "demo", days: 3 }],
  [{ $ref: "#/$defs/a~1b", $defs: { "a/b": { type: "integer" } } }, 1],
  [{ type: "object" }, {}],
  [undefined, "demo"],
];

for (const [schema, expected] of CASES) {
  test(`${JSON.stringify(schema)} is filled in`, () => assert.deepEqual(instanceOf(schema), expected));
}

test("a schema that contains itself has a finite value", () => {
  const value = instanceOf({ $ref: "#/$defs/step", $defs: { step } });
  let depth = 0;
  for (let at = value; at !== null; at = at.next) {
    assert.equal(at.text, "demo");
    depth += 1;
  }
  assert.ok(depth > 1 && depth < 10, `${depth} deep`);
});
