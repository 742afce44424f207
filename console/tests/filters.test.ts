import assert from "node:assert/strict";
import { test } from "node:test";
import { readChosen } from "../src/pages/usage/filters.ts";

const NOW = Date.parse("2026-11-24T23:59:59Z");
const read = (search: string) => readChosen(new URLSearchParams(search), NOW);

test("an empty address asks for thirty days by model", () => {
  const { range, from, to, by, filters } = read("");
  assert.deepEqual([range, from, to, by], ["30", "2026-10-26", "2026-11-24", "model"]);
  assert.deepEqual(filters, { from, to });
});

test("an address says everything that can be chosen", () => {
  const { range, from, to, by, filters } = read("from=2026-01-01&to=2026-01-31&by=key&key_id=key_1&model=gpt-4o&status=lost&endpoint=/v1/messages");
  assert.deepEqual([range, from, to, by], ["own", "2026-01-01", "2026-01-31", "key"]);
  assert.deepEqual(filters, { from, to, key_id: "key_1", model: "gpt-4o", status: "lost", endpoint: "/v1/messages" });
});

test("what is wrong in an address is passed over", () => {
  assert.equal(read("from=2026-02-01&to=2026-01-01").range, "30");
  assert.equal(read("from=yesterday&to=today&days=7").range, "7");
  assert.deepEqual([read("days=99").range, read("by=moon").by], ["30", "model"]);
});
