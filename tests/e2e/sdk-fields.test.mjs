// Every top-level field of a request that the official SDKs know has a verdict: it passes, it is left out, or it is
// refused. A new version of an SDK with a new field fails here, and somebody decides what becomes of it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { ROOT } from "../../dev/processes.mjs";

const source = (name) => readFileSync(path.join(ROOT, "crates/dialect/src", name), "utf8");
const strings = (text) => [...text.matchAll(/"([a-z_]+)"/g)].map(([, name]) => name);

/** The names in a Rust constant. */
function constant(file, name) {
  const text = source(file);
  const found = text.match(new RegExp(`const ${name}: [^=]* = &?\\[([\\s\\S]*?)\\n?\\];`));
  assert.ok(found, `${name} in ${file}`);
  return found[1];
}

/** The names at the top of a list of fields, which is indented by four. */
const listed = (file) => [...constant(file, "FIELDS").matchAll(/^ {4}\(\s*"([a-z_]+)"/gm)].map(([, name]) => name);

/** The same where a field's rule stands on lines of its own. */
const listedApart = (file) =>
  [...constant(file, "FIELDS").matchAll(/^ {4}\(\n {8}"([a-z_]+)"/gm)].map(([, name]) => name);

const refused = ["PRICED_FIELDS", "STATE_FIELDS"].flatMap((name) =>
  strings(constant("policy.rs", name).replaceAll(/\/\/.*/g, "")),
);
const known = (file, more = []) => new Set([...listed(file), ...listedApart(file), ...refused, ...more]);

/** The members of an interface of an SDK. */
function members(module, name) {
  const text = readFileSync(path.join(ROOT, "node_modules", module), "utf8").replaceAll(/\/\*\*[\s\S]*?\*\//g, "");
  const found = text.match(new RegExp(`^export interface ${name} \\{\\n([\\s\\S]*?)^\\}`, "m"));
  assert.ok(found, `${name} in ${module}`);
  const names = [...found[1].matchAll(/^ {4}([a-z_]+)\??:/gm)].map(([, name]) => name);
  assert.ok(names.length > 3, `${name} in ${module}`);
  return names;
}

const OPENAI = "openai/resources";
const ANTHROPIC = "@anthropic-ai/sdk/resources";
// The SDK sends `betas` as a header. The others are refused in wire.rs.
const MESSAGES = known("anthropic_messages/fields.rs", [
  "betas",
  ...strings(constant("anthropic_messages/wire.rs", "REFUSED_FIELDS")),
]);

for (const [module, name, verdicts] of [
  [`${OPENAI}/chat/completions/completions.d.ts`, "ChatCompletionCreateParamsBase", known("openai_chat/fields.rs")],
  [`${OPENAI}/responses/responses.d.ts`, "ResponseCreateParamsBase", known("openai_responses/fields.rs")],
  [
    `${OPENAI}/completions.d.ts`,
    "CompletionCreateParamsBase",
    new Set(["user", ...strings(constant("openai_completions/wire.rs", "KNOWN_FIELDS"))]),
  ],
  [`${OPENAI}/embeddings.d.ts`, "EmbeddingCreateParams", known("openai_embeddings/fields.rs")],
  [`${ANTHROPIC}/messages/messages.d.ts`, "MessageCreateParamsBase", MESSAGES],
  [`${ANTHROPIC}/beta/messages/messages.d.ts`, "MessageCreateParamsBase", MESSAGES],
]) {
  test(`every field of ${name} (${module}) has a verdict`, () => {
    assert.deepEqual(
      members(module, name).filter((field) => !verdicts.has(field)),
      [],
    );
  });
}
