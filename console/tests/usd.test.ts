import assert from "node:assert/strict";
import { test } from "node:test";
import { hasDecimalComma, fromJsonNumber, parseUsd, readUsd, showUsd, sumUsd, toUsd } from "../src/lib/usd.ts";

test("amounts are read and written exactly", () => {
  for (const [text, nano] of [
    ["0", 0n],
    ["0.000000001", 1n],
    ["-0.000000001", -1n],
    ["12.5", 12_500_000_000n],
    ["9007199254740993.000000001", 9_007_199_254_740_993_000_000_001n],
  ] as const) {
    assert.equal(parseUsd(text), nano, text);
    assert.equal(toUsd(nano), text);
  }
  for (const wrong of ["", "1e3", "1.", ".5", "0.0000000001", "+1", "NaN", "1,000"]) {
    assert.throws(() => parseUsd(wrong), RangeError, wrong);
  }
});

test("amounts are shown in full, never rounded to nothing", () => {
  for (const [amount, shown] of [
    ["0", "$0.00"],
    ["0.000000001", "$0.000000001"],
    ["1234567.5", "$1,234,567.50"],
    ["-3", "−$3.00"],
    ["999.999999999", "$999.999999999"],
    ["-0.000012345", "−$0.000012345"],
  ] as const) {
    assert.equal(showUsd(amount), shown);
  }
  assert.equal(showUsd("5", { signed: true }), "+$5.00");
  assert.equal(showUsd("0", { signed: true }), "$0.00");
});

test("a sum of ten thousand small amounts is exact, where floats are not", () => {
  const amounts = Array.from({ length: 10_000 }, () => "0.1");
  assert.equal(toUsd(sumUsd(amounts)), "1000");
  assert.notEqual(
    amounts.reduce((sum, amount) => sum + Number(amount), 0),
    1000,
  );
});

test("what people type is understood or refused", () => {
  for (const [typed, read] of [
    ["20", "20"],
    [" $1,250.50 ", "1250.5"],
    ["007", "7"],
    ["5.", "5"],
    ["0.000000001", "0.000000001"],
  ] as const) {
    assert.equal(readUsd(typed), read, typed);
  }
  for (const typed of ["", "-5", "1e3", "five", "1.2.3", "0.0000000001", "1,00"])
    assert.equal(readUsd(typed), null, typed);
  assert.equal(readUsd("5.001", 2), null);
});

test("a cost in a stream keeps its digits", () => {
  for (const [text, nano] of [
    ["0.000012345", 12_345n],
    ["1.2345e-5", 12_345n],
    ["3E2", 300_000_000_000n],
    ["1e-10", 1n],
    ["0", 0n],
  ] as const) {
    assert.equal(fromJsonNumber(text), nano, text);
  }
  for (const wrong of ["", "null", "-1", "1e", "1e9999"]) assert.equal(fromJsonNumber(wrong), null, wrong);
});

test("a decimal comma is told from one that groups", () => {
  for (const typed of ["5,00", "$5,5", " 1.234,50 ", "0,000001"]) assert.ok(hasDecimalComma(typed), typed);
  for (const typed of ["5", "5.00", "1,234", "1,234.50", "five, or so", ""]) assert.ok(!hasDecimalComma(typed), typed);
});
