import assert from "node:assert/strict";
import { test } from "node:test";
import { EventParser } from "../src/lib/sse.ts";

const STREAM =
  ': keep-alive\r\n\r\nevent: balance\r\ndata: {"a":1}\r\n\r\ndata: one\ndata:two\n\nevent: none\n\ndata\n\n';
const EVENTS = [
  { event: "balance", data: '{"a":1}' },
  { event: "message", data: "one\ntwo" },
  { event: "message", data: "" },
];

test("any split of the text gives the same events", () => {
  for (let size = 1; size <= STREAM.length; size++) {
    const parser = new EventParser();
    const events = [];
    for (let at = 0; at < STREAM.length; at += size) events.push(...parser.push(STREAM.slice(at, at + size)));
    assert.deepEqual(events, EVENTS, `pieces of ${size}`);
  }
});

test("an event without its empty line is not told", () => {
  assert.deepEqual(new EventParser().push("data: half\n"), []);
});
