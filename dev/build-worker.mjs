// Builds build/index.js and build/index_bg.wasm, and the console that the Worker serves. There is one flavour, the release build as it is
// deployed: tests and laptops prove what ships. A stamp over everything that goes in makes an
// unchanged tree cost nothing, which matters because wrangler runs this at each of its starts.
import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { buildConsole } from "./build-console.mjs";
import { isProgram, ROOT } from "./processes.mjs";
import { ensureRustTarget, ensureTools, WASM_BINDGEN, WORKER_BUILD } from "./toolchain.mjs";
import { stamp } from "./stamp.mjs";
import { main, run, step, StepFailed } from "./steps.mjs";

const INPUTS = ["Cargo.toml", "Cargo.lock", ".cargo", "rust-toolchain.toml", "src", "durable_objects", "crates", "package-lock.json"];
const OUTPUTS = ["build/index.js", "build/index_bg.wasm"];
const STAMP = path.join(ROOT, "build/.stamp");
// Not in build/, which worker-build clears.
const LOCK = path.join(ROOT, "target/build-worker.lock");
const ARGS = ["--release"];
// A panic unwinds, so that it ends one request and not the instance with every stream that runs there.
// The standard library that rustup has for this target aborts, so a copy that unwinds is compiled along.
// Cargo and rustc take that from a stable release when RUSTC_BOOTSTRAP is set. None of it is in
// .cargo/config.toml: native builds and clippy need nothing of it.
const UNWINDING = { RUSTC_BOOTSTRAP: "1", RUSTFLAGS: "-Cpanic=unwind", CARGO_UNSTABLE_BUILD_STD: "std,panic_unwind" };

/**
 * Builds the Worker, and first installs whatever the machine lacks for it. Resolves to whether there
 * was anything to build. Two at a time (a test run, and a `wrangler dev` that saw a file change) take
 * turns.
 */
export async function buildWorker() {
  await ensureRustTarget();
  await ensureTools();
  const unlock = await lock();
  try {
    const isConsoleNew = await buildConsole();
    // Taken before the build: what changes during it makes the next one run.
    const inputs = stamp([ARGS, UNWINDING, await run("rustc", ["--version"])], INPUTS);
    if (read(STAMP) === inputs && OUTPUTS.every((file) => existsSync(path.join(ROOT, file)))) return isConsoleNew;
    rmSync(STAMP, { force: true });
    await step("building the Worker", () => run(WORKER_BUILD, ARGS, { env: { ...process.env, ...toolPaths(), ...UNWINDING } }));
    writeFileSync(STAMP, inputs);
    return true;
  } finally {
    unlock();
  }
}

// worker-build takes its helpers from these, and would otherwise download them.
function toolPaths() {
  const npmTool = (name) => path.join(ROOT, "node_modules/.bin", name);
  const helpers = { WASM_BINDGEN_BIN: WASM_BINDGEN, WASM_OPT_BIN: npmTool("wasm-opt"), ESBUILD_BIN: npmTool("esbuild") };
  for (const [variable, file] of Object.entries(helpers)) {
    if (!existsSync(file)) throw new StepFailed(`${file} is missing (${variable}): run npm ci --ignore-scripts.`);
  }
  return helpers;
}

/** Waits for its turn; resolves to the function that ends it. */
async function lock() {
  // The file appears whole, with the number of the process that holds it: written aside, then linked.
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
