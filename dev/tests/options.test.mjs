import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { HELP, parseOptions } from "../options.mjs";
import { ROOT } from "../processes.mjs";
import { StepFailed } from "../steps.mjs";

test("the defaults are those of plain wrangler dev", () => {
  assert.deepEqual(parseOptions([], "/elsewhere"), {
    help: false,
    fresh: false,
    port: 8787,
    state: path.join(ROOT, ".wrangler/state"),
    secrets: path.join(ROOT, ".dev.vars"),
    secretsNamed: false,
    catalog: path.join(ROOT, "catalog.toml"),
    ownCatalog: false,
    isDefault: true,
  });
});

test("paths are relative to the user's current directory", () => {
  const args = ["--port", "9000", "--state", "s", "--catalog", "../c.toml", "--secrets", "/abs/keys", "--fresh"];
  assert.deepEqual(parseOptions(args, "/home/user"), {
    help: false,
    fresh: true,
    port: 9000,
    state: "/home/user/s",
    secrets: "/abs/keys",
    secretsNamed: true,
    catalog: "/home/c.toml",
    ownCatalog: true,
    isDefault: false,
  });
});

test("another state or other secrets are not what plain wrangler dev reads", () => {
  assert.equal(parseOptions(["--state", "s"]).isDefault, false);
  assert.equal(parseOptions(["--secrets", "s"]).isDefault, false);
  assert.equal(parseOptions(["--port", "9000"]).isDefault, true);
});

test("wrong options are refused", () => {
  for (const args of [["--port", "0"], ["--port", "65536"], ["--port", "x"], ["--wat"], ["stray"], ["--state"]]) {
    assert.throws(
      () => parseOptions(args),
      (error) => error instanceof StepFailed && error.message.endsWith(HELP),
      args.join(" "),
    );
  }
});
