import assert from "node:assert/strict";
import { test } from "node:test";
import type { Key } from "../src/api/types.ts";
import { changeOf, EMPTY, formOf, limitsOf } from "../src/pages/keys/form.ts";

const NOW = Date.parse("2026-11-24T12:00:00Z");

test("a name alone is a key without limits", () => {
  assert.deepEqual(limitsOf({ ...EMPTY, name: "a" }, NOW), { limits: {} });
});

test("everything that can be limited", () => {
  const form = {
    ...EMPTY,
    name: "a",
    budget: "$5.50",
    period: "daily" as const,
    perMinute: "60",
    atOnce: "4",
    ends: "7",
    models: "gpt-4o, claude-*",
    addresses: "203.0.113.0/24\n2001:db8::/32\n",
  };
  assert.deepEqual(limitsOf(form, NOW), {
    limits: {
      budget: { usd: "5.5", period: "daily" },
      requests_per_minute: 60,
      max_running: 4,
      expires_at: "2026-12-01T12:00:00.000Z",
      models: ["gpt-4o", "claude-*"],
      addresses: ["203.0.113.0/24", "2001:db8::/32"],
    },
  });
});

test("what is wrong is said at its field", () => {
  const form = {
    ...EMPTY,
    permissions: [],
    budget: "0",
    perMinute: "1.5",
    atOnce: "-1",
    ends: "own",
    endsAt: "2020-01-01T00:00",
    models: "two words",
    addresses: "home",
  };
  const result = limitsOf(form, NOW);
  assert.ok("wrong" in result);
  assert.deepEqual(Object.keys(result.wrong).sort(), [
    "addresses",
    "atOnce",
    "budget",
    "endsAt",
    "models",
    "name",
    "perMinute",
    "permissions",
  ]);
});

test("the form of a key that is there asks for what it has", () => {
  const limits = {
    budget: { usd: "0.000000001", period: "total" as const },
    expires_at: "2027-01-01T00:00:00.000Z",
    models: ["a", "b"],
    requests_per_minute: 3,
  };
  const key = { name: "a", permissions: ["inference"], limits } as unknown as Key;
  assert.deepEqual(limitsOf(formOf(key), NOW), { limits });
});

test("issue 13: only what was changed in the form is sent, and what was emptied is null", () => {
  const limits = {
    budget: { usd: "5", period: "monthly" as const },
    expires_at: "2027-01-01T00:00:30.000Z",
    requests_per_minute: 3,
    models: ["a"],
  };
  const before = formOf({ name: "a", permissions: ["inference"], limits } as unknown as Key);
  const changed = (part: Partial<typeof before>) => {
    const form = { ...before, ...part };
    const result = limitsOf(form, NOW);
    assert.ok("limits" in result);
    return changeOf(before, form, result.limits);
  };
  assert.deepEqual(changed({}), {});
  assert.deepEqual(changed({ name: "b", perMinute: "60" }), { requests_per_minute: 60 });
  assert.deepEqual(changed({ budget: "" }), { budget: null });
  assert.deepEqual(changed({ period: "daily" }), { budget: { usd: "5", period: "daily" } });
  assert.deepEqual(changed({ ends: "never", models: "", atOnce: "2" }), {
    max_running: 2,
    expires_at: null,
    models: null,
  });
});
