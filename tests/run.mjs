// `npm test`: every fast suite, one after the other, the same on every machine and in a fresh clone.
//
//   npm test [-- --only NAME,NAME…]
//
// A suite that the machine has no tools for is left out and named; with REQUIRE_ALL_SUITES=1 that is a
// failure. The last line is "N passed, N failed"; the exit code is 0 when none failed.
import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { ROOT } from "../dev/processes.mjs";
import { consoleTool, ensureConsolePackages, ensureRustTarget } from "../dev/setup.mjs";
import { main, run, step, StepFailed } from "../dev/steps.mjs";
import { chromium } from "./browser/run.mjs";
import { ensureClients } from "./clients/run.mjs";
import { clearOldBundles, ensureBundle, prepare } from "./e2e/bundle.mjs";
import { LeftOut } from "./left-out.mjs";
import { ensureJudges } from "./mcp/run.mjs";
import { python } from "./python/run.mjs";

// A suite of tests that hang ends too; the slowest single file takes half of this on a busy machine.
const FILE_LIMIT_MS = 300_000;
// Each test file runs a workerd of its own; two cores are what a small machine has.
const WORKERS_AT_ONCE = 2;

const DENY_WARNINGS = ["--", "-D", "warnings"];

// As `npm run schema` in console/ writes it.
const SCHEMA = ["openapi.json", "--default-non-nullable=false", "-o", "src/api/schema.d.ts"];

const SUITES = {
  async format() {
    await shown("format", "cargo", ["fmt", "--all", "--check"]);
    await shown("format of JavaScript", ...biome("format"));
  },
  async lint() {
    await shown("lint of JavaScript", ...biome("lint", "--error-on-warnings"));
    await shown("lint", "cargo", ["clippy", "-q", "--workspace", "--all-targets", ...DENY_WARNINGS]);
    // What is compiled for workerd alone.
    const packages = ["-p", "oneinterface", "-p", "account"];
    await shown("lint for workerd", "cargo", [
      "clippy",
      "-q",
      "--target",
      "wasm32-unknown-unknown",
      ...packages,
      ...DENY_WARNINGS,
    ]);
  },
  native: () => shown("native", "cargo", ["test", "-q", "--workspace"], { env: testEnv() }),
  dev: () => nodeTests("dev", "dev/tests"),
  async console() {
    await ensureConsolePackages();
    await step("console: types of the API", () => consoleTool("openapi-typescript/bin/cli.js", ...SCHEMA, "--check"));
    await step("console: types", () => consoleTool("typescript/bin/tsc", "--noEmit"));
    await nodeTests("console", "console/tests");
  },
  async bundle() {
    clearOldBundles(await ensureBundle());
  },
  async worker() {
    await prepare();
    await nodeTests("worker", "tests/e2e");
  },
  python,
  async browser() {
    chromium();
    await prepare();
    await nodeTests("browser", "tests/browser");
  },
  async clients() {
    await ensureClients();
    await prepare();
    await nodeTests("clients", "tests/clients");
  },
  async mcp() {
    await ensureJudges();
    await prepare();
    await nodeTests("mcp", "tests/mcp");
  },
};

await main(async () => {
  const names = chosen();
  await ensureRustTarget();
  announceRecordings();
  const results = [];
  for (const name of names) results.push(await runSuite(name));
  const count = (wanted) => results.filter((result) => result === wanted).length;
  console.log(`${count("ok")} passed, ${count("FAILED")} failed`);
  process.exitCode = count("FAILED") === 0 ? 0 : 1;
});

function chosen() {
  const { values } = parseArgs({ options: { only: { type: "string" } } });
  const all = Object.keys(SUITES);
  const names = values.only?.split(",") ?? all;
  const unknown = names.filter((name) => !all.includes(name));
  if (unknown.length > 0) throw new StepFailed(`There is no suite ${unknown.join(", ")}; there are ${all.join(", ")}.`);
  return names;
}

/** Runs a suite and prints its line; resolves to "ok", "FAILED" or "left out". */
async function runSuite(name) {
  const started = performance.now();
  const line = (result, note = "") => {
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(`${result.padEnd(8)}  ${name.padEnd(8)}  ${seconds.padStart(6)} s${note && `  ${note}`}`);
    return result;
  };
  try {
    await SUITES[name]();
    return line("ok");
  } catch (error) {
    if (error instanceof LeftOut && process.env.REQUIRE_ALL_SUITES !== "1") return line("left out", error.message);
    console.log(error instanceof StepFailed ? error.message : error);
    return line("FAILED");
  }
}

function nodeTests(label, folder) {
  const files = readdirSync(path.join(ROOT, folder)).filter((file) => /\.test\.(mjs|ts)$/.test(file));
  const options = [
    "--test",
    `--test-concurrency=${WORKERS_AT_ONCE}`,
    `--test-timeout=${FILE_LIMIT_MS}`,
    "--test-reporter=spec",
  ];
  return shown(label, process.execPath, [...options, ...files.map((file) => path.join(folder, file))], {
    env: testEnv(),
  });
}

/** The command that runs Biome over the repository, as biome.jsonc says; it comes from npm. */
function biome(...args) {
  return [process.execPath, [path.join(ROOT, "node_modules/@biomejs/biome/bin/biome"), ...args]];
}

/** Runs a command under a line with the time elapsed. */
function shown(label, ...command) {
  return step(label, () => run(...command));
}

/** Recordings of real providers are no part of the repository; the tests that replay them skip without. */
function announceRecordings() {
  const { RECORDED_DIR } = testEnv();
  if (!existsSync(RECORDED_DIR))
    console.log(`the recorded streams are left out: ${RECORDED_DIR} is not there (RECORDED_DIR)`);
}

function testEnv() {
  return { ...process.env, RECORDED_DIR: path.resolve(ROOT, process.env.RECORDED_DIR ?? "../shared/recorded") };
}
