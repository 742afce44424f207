import assert from "node:assert/strict";
import { test } from "node:test";
import { firstCommand } from "../src/pages/keys/first-command.ts";

test("the first command has the key itself, and uses it by its name", () => {
  assert.equal(
    firstCommand("oi_1abc", "https://gateway.example.com"),
    'export ONEINTERFACE_API_KEY=oi_1abc\ncurl https://gateway.example.com/v1/models -H "Authorization: Bearer $ONEINTERFACE_API_KEY"',
  );
});
