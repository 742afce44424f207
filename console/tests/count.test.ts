import assert from "node:assert/strict";
import { test } from "node:test";
import { plural, showTokens } from "../src/lib/count.ts";

test("windows are said as their makers say them", () => {
  for (const [tokens, shown] of [
    [128_000, "128K"],
    [131_072, "128K"],
    [1_000_000, "1M"],
    [1_048_576, "1M"],
    [2_000_000, "2M"],
    [8_191, "8.2K"],
    [512, "512"],
  ] as const) {
    assert.equal(showTokens(tokens), shown, `${tokens}`);
  }
});

test("one is not many", () => {
  assert.deepEqual([plural(0, "row"), plural(1, "row"), plural(12_000, "row")], ["0 rows", "1 row", "12,000 rows"]);
});
