import assert from "node:assert/strict";
import { test } from "node:test";
import { burn } from "../src/lib/burn.ts";

const NOW = Date.parse("2026-11-24T12:00:00Z");

test("seven days are averaged, older ones are not", () => {
  const days = [
    { day: "2026-11-10", cost_usd: "100" },
    { day: "2026-11-18", cost_usd: "0.000000001" },
    { day: "2026-11-24", cost_usd: "7" },
  ];
  assert.deepEqual(burn(days, "10", NOW), { perDay: 1_000_000_001n, daysLeft: 9n });
});

test("a young account is averaged over the days that it has", () => {
  assert.deepEqual(
    burn(
      [
        { day: "2026-11-23", cost_usd: "1" },
        { day: "2026-11-24", cost_usd: "3" },
      ],
      "20",
      NOW,
    ),
    {
      perDay: 2_000_000_000n,
      daysLeft: 10n,
    },
  );
});

test("nothing spent lasts for ever, and nothing left lasts no day", () => {
  assert.deepEqual(burn([], "10", NOW), { perDay: 0n, daysLeft: null });
  assert.deepEqual(burn([{ day: "2026-11-24", cost_usd: "0" }], "10", NOW), { perDay: 0n, daysLeft: null });
  assert.equal(burn([{ day: "2026-11-24", cost_usd: "1" }], "-0.5", NOW).daysLeft, 0n);
});
