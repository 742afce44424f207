import assert from "node:assert/strict";
import { test } from "node:test";
import * as snippets from "../src/pages/docs/snippets.ts";

const ORIGIN = "https://api.example.com";
const made = Object.entries(snippets).flatMap(([name, make]) =>
  typeof make === "function" ? [[name, make(ORIGIN).text] as const] : [],
);

test("every snippet names the reader's own gateway, and no other", () => {
  assert.ok(made.length >= 12);
  for (const [name, text] of made) {
    const origins = text.match(/https?:\/\/[^/"\s\\]+/g) ?? [];
    assert.deepEqual([...new Set(origins)], [ORIGIN], name);
  }
});

test("OpenAI's clients get /v1, Anthropic's do not", () => {
  for (const [name, text] of made) {
    if (/^(openai|curl|cursor|codex)/.test(name)) assert.match(text, /example\.com\/v1/, name);
    if (/^(anthropic|claude)/.test(name)) assert.doesNotMatch(text, /example\.com\/v1/, name);
  }
});

test("no snippet holds what would be taken for a key", () => {
  for (const [name, text] of made) assert.doesNotMatch(text, /oi_[0-9a-zA-Z]/, name);
});

test("Codex is told the only protocol that it speaks", () => {
  assert.match(snippets.codex(ORIGIN).text, /wire_api = "responses"/);
});
