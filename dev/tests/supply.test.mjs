// What is installed is pinned, and what is secret is not committed.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { ROOT } from "../processes.mjs";

const read = (file) => readFileSync(path.join(ROOT, file), "utf8");

test("issue 13: git takes no file that holds secrets", () => {
  const isIgnored = (file) => spawnSync("git", ["check-ignore", "-q", "--no-index", file], { cwd: ROOT }).status === 0;
  for (const file of [
    "stripe.env",
    ".env",
    ".env.local",
    ".env.production",
    "console/.env",
    ".dev.vars",
    ".dev.vars.production",
    "key.pem",
    "tests/key.pem",
  ]) {
    assert.ok(isIgnored(file), file);
  }
  for (const file of [".env.example", ".dev.vars.example", "wrangler.toml"]) assert.ok(!isIgnored(file), file);
  const kept = execFileSync("git", ["ls-files"], { cwd: ROOT, encoding: "utf8" }).split("\n");
  assert.deepEqual(
    kept.filter((file) => /(^|\/)(\.env|\.dev\.vars|stripe\.env)|\.pem$/.test(file) && !file.endsWith(".example")),
    [],
  );
});

test("issue 13: the gateway has no second address", () => {
  const settings = read("wrangler.toml");
  assert.match(settings, /^workers_dev = false$/m);
  assert.match(settings, /^preview_urls = false$/m);
});
