// Builds build/index.js, build/index_bg.wasm and the console that the Worker serves. There is only the release build,
// so that tests and laptops run the code that is deployed. A hash of all inputs skips the build of an unchanged tree:
// wrangler runs this program at every start.
import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { buildConsole } from "./build-console.mjs";
import { isProgram, ROOT } from "./processes.mjs";
import { ensureRustTarget, ensureTools, WASM_BINDGEN, WORKER_BUILD } from "./toolchain.mjs";
import { stamp } from "./stamp.mjs";
import { main, run, step, StepFailed } from "./steps.mjs";

const INPUTS = [
  "Cargo.toml",
  "Cargo.lock",
  ".cargo",
  "rust-toolchain.toml",
  "src",
  "durable_objects",
  "crates",
  "package-lock.json",
];
const OUTPUTS = ["build/index.js", "build/index_bg.wasm"];
const STAMP = path.join(ROOT, "build/.stamp");
// The lock is not in build/, because worker-build empties that folder.
const LOCK = path.join(ROOT, "target/build-worker.lock");
const ARGS = ["--release"];
// A panic must unwind, so that it ends one request and not the instance with all its streams. rustup's standard
// library for this target aborts, so the build compiles a standard library that unwinds. A stable cargo and rustc do
// this only with RUSTC_BOOTSTRAP. These settings are not in .cargo/config.toml, because native builds and clippy do
// not need them.
const UNWINDING = { RUSTC_BOOTSTRAP: "1", RUSTFLAGS: "-Cpanic=unwind", CARGO_UNSTABLE_BUILD_STD: "std,panic_unwind" };

/**
 * Installs the tools that the machine lacks, then builds the Worker. Resolves to whether anything was built. Builds
 * that start at the same time (a test run, and a `wrangler dev` that saw a changed file) run one after the other.
 */
export async function buildWorker() {
  await ensureRustTarget();
  await ensureTools();
  const unlock = await lock();
  try {
    const isConsoleNew = await buildConsole();
    // The hash is taken before the build, so that a change during the build causes another build.
    const inputs = stamp([ARGS, UNWINDING, await run("rustc", ["--version"])], INPUTS);
    if (read(STAMP) === inputs && OUTPUTS.every((file) => existsSync(path.join(ROOT, file)))) return isConsoleNew;
    rmSync(STAMP, { force: true });
    await step("building the Worker", () =>
      run(WORKER_BUILD, ARGS, { env: { ...process.env, ...toolPaths(), ...UNWINDING } }),
    );
    writeFileSync(STAMP, inputs);
    return true;
  } finally {
    unlock();
  }
}

// worker-build uses the helpers that these variables name. Without the variables it would download them.
function toolPaths() {
  const npmTool = (name) => path.join(ROOT, "node_modules/.bin", name);
  const helpers = {
    WASM_BINDGEN_BIN: WASM_BINDGEN,
    WASM_OPT_BIN: npmTool("wasm-opt"),
    ESBUILD_BIN: npmTool("esbuild"),
  };
  for (const [variable, file] of Object.entries(helpers)) {
    if (!existsSync(file)) throw new StepFailed(`${file} is missing (${variable}): run npm ci --ignore-scripts.`);
  }
  return helpers;
}

/** Waits for the build lock. Resolves to the function that releases it. */
async function lock() {
  // The lock file contains the id of its process. It is written under another name and then linked, so that no process
  // ever reads half of it.
  const aside = `${LOCK}.${process.pid}`;
  mkdirSync(path.dirname(LOCK), { recursive: true });
  writeFileSync(aside, String(process.pid));
  try {
    if (!take(aside)) {
      await step(`waiting for another build to end (${path.relative(ROOT, LOCK)})`, async () => {
        while (!take(aside)) await sleep(200);
      });
    }
  } finally {
    rmSync(aside);
  }
  return () => rmSync(LOCK, { force: true });
}

function take(aside) {
  const holder = read(LOCK);
  if (holder !== null && isGone(Number(holder))) rmSync(LOCK, { force: true });
  try {
    linkSync(aside, LOCK);
    return true;
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  }
}

function isGone(pid) {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return error.code === "ESRCH";
  }
}

function read(file) {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (error.code === "ENOENT") return null;
    throw error;
  }
}

if (isProgram(import.meta)) await main(buildWorker);
