// The demo upstream and the keys that are set: read by the same command that applies the catalogue.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { writeOverlay } from "../database.mjs";
import { ROOT } from "../processes.mjs";

let folder;
before(() => (folder = mkdtempSync(path.join(tmpdir(), "overlay-"))));
after(() => rmSync(folder, { recursive: true }));

/** The models of the shipped catalogue that the demo answers for while these keys are set. */
function laidBehind(...secrets) {
  const file = writeOverlay(path.join(folder, "demo.toml"), "http://127.0.0.1:8788/v1", secrets);
  const printed = execFileSync("cargo", ["run", "-q", "-p", "xtask", "--", "catalog", "sql", "--overlay", file], {
    cwd: ROOT,
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  const routes = printed.split("\n").flatMap((line) => {
    const found = line.match(
      /^INSERT INTO routes .* VALUES \((?:null|'[^']*'), '([^']+)', \d+, (?:null|\d+), '([^']+)'/,
    );
    return found ? [{ model: found[1], upstream: found[2] }] : [];
  });
  const of = (id) => new Set(routes.filter(({ upstream }) => upstream === id).map(({ model }) => model));
  return { demo: of("demo"), openai: of("openai"), anthropic: of("anthropic") };
}

test("issue 13: the demo answers for no model whose provider has a key", () => {
  const without = laidBehind();
  assert.ok(without.openai.size > 0 && without.anthropic.size > 0, "the catalogue has both");
  for (const model of [...without.openai, ...without.anthropic])
    assert.ok(without.demo.has(model), `${model} is answered without a key`);

  const withOne = laidBehind("OPENAI_API_KEY", "SOMETHING_ELSE");
  for (const model of withOne.openai) assert.ok(!withOne.demo.has(model), `${model} is the provider's`);
  for (const model of [...withOne.anthropic].filter((model) => !withOne.openai.has(model)))
    assert.ok(withOne.demo.has(model), `${model} is still the demo's`);
});
