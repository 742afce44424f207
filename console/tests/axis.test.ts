import assert from "node:assert/strict";
import { test } from "node:test";
import { axisOf, axisUsd } from "../src/chart/axis.ts";

const marks = (highest: number) => axisOf(highest).ticks.map(axisUsd);

test("marks are round, and reach the highest bar", () => {
  assert.deepEqual(marks(10), ["$0", "$5", "$10"]);
  assert.deepEqual(marks(0.0058), ["$0", "$0.002", "$0.004", "$0.006"]);
  assert.deepEqual(marks(241.87), ["$0", "$100", "$200", "$300"]);
  assert.deepEqual(marks(3_000), ["$0", "$1,000", "$2,000", "$3,000"]);
  assert.deepEqual(marks(0), ["$0", "$1"]);
  for (const highest of [0.000000001, 0.00195, 0.3, 7, 99.99, 123_456]) {
    const { ticks } = axisOf(highest);
    assert.ok((ticks.at(-1) ?? 0) >= highest * 0.999_999, String(highest));
    assert.ok(ticks.length >= 2 && ticks.length <= 4, String(highest));
  }
});

test("the room grows with the longest mark", () => {
  for (const highest of [5, 0.0015, 0.000000125, 1_250_000]) {
    const longest = Math.max(...marks(highest).map((text) => text.length));
    assert.ok(axisOf(highest).width > longest * 6.8, String(highest));
  }
});
