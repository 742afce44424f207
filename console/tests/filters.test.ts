import assert from "node:assert/strict";
import { test } from "node:test";
import { keyName } from "../src/pages/usage/key-name.ts";
import { rangeProblem, readChosen } from "../src/pages/usage/filters.ts";

const NOW = Date.parse("2026-11-24T23:59:59Z");
const read = (search: string) => readChosen(new URLSearchParams(search), NOW);

test("an empty address asks for thirty days by model", () => {
  const { range, from, to, by, filters } = read("");
  assert.deepEqual([range, from, to, by], ["30", "2026-10-26", "2026-11-24", "model"]);
  assert.deepEqual(filters, { from, to });
});

test("an address says everything that can be chosen", () => {
  const { range, from, to, by, filters } = read(
    "from=2026-01-01&to=2026-01-31&by=key&key_id=key_1&model=gpt-4o&status=lost&endpoint=/v1/messages",
  );
  assert.deepEqual([range, from, to, by], ["own", "2026-01-01", "2026-01-31", "key"]);
  assert.deepEqual(filters, { from, to, key_id: "key_1", model: "gpt-4o", status: "lost", endpoint: "/v1/messages" });
});

test("what is wrong in an address is passed over", () => {
  assert.equal(read("from=2026-02-01&to=2026-01-01").range, "30");
  assert.equal(read("from=yesterday&to=today&days=7").range, "7");
  assert.equal(read("from=2025-01-01&to=2026-11-24").range, "30");
  assert.deepEqual([read("days=99").range, read("by=moon").by], ["30", "model"]);
});

test("two days make a time when both are whole, in their order and not too far apart", () => {
  for (const [from, to, problem] of [
    ["2026-11-24", "2026-11-24", null],
    ["2025-10-21", "2026-11-24", null],
    ["2025-10-20", "2026-11-24", /At most 400 days/],
    ["0002-11-01", "2026-11-24", /At most 400 days/],
    ["2026-11-25", "2026-11-24", /after the last/],
    ["", "2026-11-24", /Two whole dates/],
    ["2026-02-30", "2026-03-24", /Two whole dates/],
  ] as const) {
    const said = rangeProblem(from, to);
    if (problem === null) assert.equal(said, null);
    else assert.match(said ?? "", problem, from);
  }
});

test("a request without a key is the owner's", () => {
  assert.equal(keyName({ key_id: null, key_name: null }), "Owner");
  assert.equal(keyName({ key_id: "key_1", key_name: null }), "key_1");
  assert.equal(keyName({ key_id: "key_1", key_name: "CI" }), "CI");
});
