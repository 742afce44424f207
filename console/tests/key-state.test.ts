import assert from "node:assert/strict";
import { test } from "node:test";
import type { Key } from "../src/api/types.ts";
import { showAgo } from "../src/lib/time.ts";
import { endingWith, endOf, shownStart } from "../src/pages/keys/state.ts";

const NOW = Date.parse("2026-11-24T12:00:00Z");
const key = (id: string, rest: Partial<Key> = {}): Key => ({
  id,
  name: "CI",
  start: "",
  permissions: ["inference"],
  limits: {},
  parent_id: null,
  replaced_by: null,
  created_at: "2026-11-01T00:00:00Z",
  revoked_at: null,
  last_used_at: null,
  spent_usd: "0",
  running: 0,
  ...rest,
});

test("issue 13: the keys that end with a key are those that descend from it and still count", () => {
  const fresh = key("key_new");
  const old = key("key_old", {
    parent_id: "key_new",
    replaced_by: "key_new",
    limits: { expires_at: "2026-11-25T12:00:00Z" },
  });
  const over = key("key_over", {
    parent_id: "key_new",
    replaced_by: "key_new",
    limits: { expires_at: "2026-11-24T12:00:00Z" },
  });
  const ended = key("key_ended", { parent_id: "key_new", revoked_at: "2026-11-24T11:00:00Z" });
  const child = key("key_child", { parent_id: "key_new" });
  const grandchild = key("key_grandchild", { parent_id: "key_child" });
  const other = key("key_other", { parent_id: "key_else" });
  const all = [fresh, old, over, ended, child, grandchild, other];
  assert.deepEqual(endingWith(all, fresh, NOW), [old, child, grandchild]);
  assert.deepEqual(endingWith(all, child, NOW), [grandchild]);
  assert.deepEqual(endingWith(all, grandchild, NOW), []);
  const circle = [key("key_a", { parent_id: "key_b" }), key("key_b", { parent_id: "key_a" })];
  assert.deepEqual(endingWith([...circle, fresh], fresh, NOW), []);
});

test("an end warns within a week, and far away it is a date", () => {
  assert.deepEqual(endOf("2026-11-30T12:00:00Z", NOW), { said: showAgo("2026-11-30T12:00:00Z", NOW), isNear: true });
  assert.deepEqual(endOf("2026-12-24T12:00:00Z", NOW), { said: showAgo("2026-12-24T12:00:00Z", NOW), isNear: false });
  const far = endOf("2029-12-31T12:00:00Z", NOW);
  assert.equal(far.isNear, false);
  assert.match(far.said, /2029/);
});

test("a key is shown by its first characters, else by its id", () => {
  assert.equal(shownStart(key("key_1", { start: "oi_1abc" })), "oi_1abc…");
  assert.equal(shownStart(key("key_1")), "key_1");
});
