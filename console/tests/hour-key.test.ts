import assert from "node:assert/strict";
import { test } from "node:test";
import type { Key } from "../src/api/types.ts";
import { hourKeyOf, shownKey } from "../src/pages/playground/hour-key.ts";

const NOW = Date.parse("2026-11-24T12:00:00Z");
const ACCOUNT = "oi_1aaaaaaaaaaaaaaaa";
const HELD = `${ACCOUNT}bcdefghijklmnopqrstuvwxyz012345`;
const key = (rest: Partial<Key> = {}): Key => ({
  id: "key_hour",
  name: "Playground",
  start: HELD.slice(0, 24),
  permissions: ["inference"],
  limits: { budget: { usd: "1", period: "total" }, expires_at: "2026-11-24T12:30:00Z" },
  parent_id: null,
  replaced_by: null,
  created_at: "2026-11-24T11:30:00Z",
  revoked_at: null,
  last_used_at: null,
  spent_usd: "0",
  running: 0,
  ...rest,
});

test("the held key is found by its beginning", () => {
  const other = key({ id: "key_other", start: `${ACCOUNT}zzzz` });
  assert.equal(hourKeyOf([other, key()], HELD, NOW)?.id, "key_hour");
});

test("a key that the playground did not make, or that has ended, is left alone", () => {
  const left: Partial<Key>[] = [
    { name: "Production" },
    { start: "" },
    { start: ACCOUNT },
    { limits: { budget: { usd: "1", period: "total" } } },
    { limits: { expires_at: "2026-11-24T12:30:00Z" } },
    { revoked_at: "2026-11-24T11:40:00Z" },
    { limits: { budget: { usd: "1", period: "total" }, expires_at: "2026-11-24T12:00:00Z" } },
  ];
  for (const rest of left) assert.equal(hourKeyOf([key(rest)], HELD, NOW), undefined, JSON.stringify(rest));
});

test("two keys of an account are shown differently, and no key whole", () => {
  assert.equal(shownKey(HELD), `${ACCOUNT}bcde…`);
  assert.notEqual(shownKey(HELD), shownKey(`${ACCOUNT}wxyz${HELD.slice(24)}`));
  assert.equal(shownKey("oi_short"), "oi_s…");
});
