import assert from "node:assert/strict";
import { test } from "node:test";
import type { TopUp } from "../src/api/types.ts";
import { outcomeOf } from "../src/pages/credits/outcome.ts";

const of = (status: TopUp["status"]) => outcomeOf({ status, amount_usd: "20" });

test("nothing is said of a payment that is not told yet", () => {
  assert.equal(of("pending"), null);
});

test("only of a payment that never came it is said that nothing was charged", () => {
  for (const status of ["paid", "refunded", "partially_refunded", "disputed"] as const) {
    assert.match(of(status)?.text ?? "", /^\$20\.00 came in/, status);
  }
  for (const status of ["failed", "expired"] as const) {
    assert.match(of(status)?.text ?? "", /Nothing was charged/, status);
  }
});
