import assert from "node:assert/strict";
import { test } from "node:test";
import { formatDotenv, parseDotenv, withBlock, withoutBlock } from "../dotenv.mjs";

test("a file is read by dotenv's rules", () => {
  const text = [
    "# comment",
    "PLAIN = a value # comment",
    "export EXPORTED=x",
    "YAML: y",
    "EMPTY=",
    "HASH=a#b",
    `SINGLE='a "b" # c \\n $D'`,
    `DOUBLE="line\\nbreak 'x'"`,
    'BACKTICK=`it\'s "both"`',
    "not a variable",
    "TWICE=1",
    "TWICE=2\r",
  ].join("\n");
  assert.deepEqual(parseDotenv(text), {
    PLAIN: "a value",
    EXPORTED: "x",
    YAML: "y",
    EMPTY: "",
    HASH: "a",
    SINGLE: 'a "b" # c \\n $D',
    DOUBLE: "line\nbreak 'x'",
    BACKTICK: `it's "both"`,
    TWICE: "2",
  });
});

test("written values are read back unchanged", () => {
  for (const value of [
    "",
    "plain",
    "with # hash",
    "$A ${B}",
    "it's",
    `a "b"`,
    `it's "both"`,
    "two\nlines",
    "back\\slash",
    "ends\\",
    "'\"`",
  ]) {
    assert.deepEqual(parseDotenv(formatDotenv({ X: value })), { X: value });
  }
});

test("a value that fits in no quotes is refused, and the message names it", () => {
  assert.throws(() => formatDotenv({ ODD: "'\"`#" }), /ODD/);
});

test("a dollar sign is escaped where wrangler expands it", () => {
  assert.equal(formatDotenv({ X: "a$B" }, { expanded: true }), "X='a\\$B'\n");
});

test("the block sets only variables that the user did not set, and is removed completely", () => {
  const own = "# mine\nA=1\n";
  const made = withBlock(own, { A: "x", B: "y" });
  assert.deepEqual(parseDotenv(made), { A: "1", B: "y" });
  assert.equal(withoutBlock(made), own);
  assert.equal(withBlock(made, { A: "x", B: "y" }), made);

  const changed = withBlock(made, { A: "x", B: "z", C: "new" });
  assert.deepEqual(parseDotenv(changed), { A: "1", B: "z", C: "new" });
  assert.equal(withBlock(changed, { A: "x" }), own);
});

test("lines that the user wrote after the block are kept", () => {
  const made = `${withBlock("", { B: "y" })}C=3\n`;
  assert.equal(withoutBlock(made), "C=3\n");
  assert.deepEqual(parseDotenv(withBlock(made, { B: "y", C: "x" })), { B: "y", C: "3" });
});
