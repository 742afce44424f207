import assert from "node:assert/strict";
import { test } from "node:test";
import { chartData } from "../src/chart/series.ts";

const row = (day: string, group: string, cost_usd: string) => ({ day, group, cost_usd, requests: 1 });

test("days without requests are there, and sums are exact", () => {
  const { series, days, total, requests } = chartData(
    [row("2026-11-22", "a", "0.1"), row("2026-11-22", "b", "0.2"), row("2026-11-24", "a", "0.000000001")],
    ["2026-11-22", "2026-11-23", "2026-11-24"],
  );
  assert.deepEqual(series, [
    { id: "b", name: "b", total: 200_000_000n },
    { id: "a", name: "a", total: 100_000_001n },
  ]);
  assert.deepEqual(
    days.map((day) => day.exact),
    [
      [200_000_000n, 100_000_000n],
      [0n, 0n],
      [0n, 1n],
    ],
  );
  assert.deepEqual([total, requests], [300_000_001n, 3]);
});

test("the small groups are one, and none is lost", () => {
  const rows = Array.from({ length: 9 }, (_, index) => row("2026-11-24", `m${index}`, `${index + 1}`));
  const { series, total } = chartData(rows, ["2026-11-24"]);
  assert.deepEqual(
    series.map(({ name }) => name),
    ["m8", "m7", "m6", "m5", "m4", "Other"],
  );
  assert.equal(series.at(-1)?.total, 10_000_000_000n);
  assert.equal(total, 45_000_000_000n);
});

test("six groups all have their name", () => {
  const rows = Array.from({ length: 6 }, (_, index) => row("2026-11-24", `m${index}`, "1"));
  assert.ok(!chartData(rows, ["2026-11-24"]).series.some(({ name }) => name === "Other"));
});

test("days outside of the range do not count", () => {
  assert.equal(chartData([row("2026-10-01", "a", "5")], ["2026-11-24"]).days[0]?.total, 0n);
});

test("issue 13: groups of one name are series of their own", () => {
  const rows = [
    row("2026-11-24", "key_1", "1"),
    row("2026-11-24", "key_2", "2"),
    row("2026-11-24", "key_3", "4"),
    row("2026-11-24", "Other", "8"),
  ];
  const names: Record<string, string> = { key_1: "CI", key_2: "CI", key_3: "Laptop" };
  const { series, days } = chartData(rows, ["2026-11-24"], (id) => names[id] ?? id);
  assert.deepEqual(
    series.map(({ id, name }) => [id, name]),
    [
      ["Other", "Other"],
      ["key_3", "Laptop"],
      ["key_2", "CI (key_2)"],
      ["key_1", "CI (key_1)"],
    ],
  );
  assert.deepEqual(days[0]?.exact, [8_000_000_000n, 4_000_000_000n, 2_000_000_000n, 1_000_000_000n]);
});
