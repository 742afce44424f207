import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page, UsageRow } from "../src/api/types.ts";
import { withRow } from "../src/api/usage-pages.ts";

const row = (seq: number) =>
  ({
    seq,
    created_at: "2026-11-24T23:59:59Z",
    key_id: "key_1",
    model: "gpt-4o",
    endpoint: "/v1/messages",
    status: "completed",
  }) as UsageRow;
const PAGES = [{ data: [row(3), row(2)] }, { data: [row(1)] }] as Page<UsageRow>[];
const seqs = (filters: Parameters<typeof withRow>[2], seq = 4) =>
  withRow(PAGES, row(seq), filters).map(({ data }) => data.map((one) => one.seq));

test("a new request stands at the head of each list that it fits", () => {
  for (const filters of [
    {},
    { from: "2026-11-24", to: "2026-11-24" },
    { key_id: "key_1", model: "gpt-4o", endpoint: "/v1/messages", status: "completed" },
  ]) {
    assert.deepEqual(seqs(filters), [[4, 3, 2], [1]]);
  }
});

test("and of no other, and never twice", () => {
  for (const filters of [
    { from: "2026-11-25" },
    { to: "2026-11-23" },
    { key_id: "key_2" },
    { model: "o3" },
    { endpoint: "/mcp" },
    { status: "lost" },
  ]) {
    assert.deepEqual(seqs(filters), [[3, 2], [1]]);
  }
  assert.deepEqual(seqs({}, 1), [[3, 2], [1]]);
  assert.deepEqual(withRow([], row(4), {}), []);
});
