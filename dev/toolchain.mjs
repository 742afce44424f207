// What a fresh machine lacks: the wasm target, the source of Rust's standard library, and the tools that
// turn a crate into a Worker. All of it comes from the registries (what rustup has excepted) and nothing
// else is downloaded prebuilt.
// Each function is quick when there is nothing to do. The versions are read from Cargo.lock: the
// command-line tools must be the same release as the crates that they work for.
import { existsSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import path from "node:path";
import { run, step, StepFailed } from "./steps.mjs";
import { ROOT } from "./processes.mjs";

const TARGET = "wasm32-unknown-unknown";
const TOOLS = path.join(ROOT, ".tools");

/** The paths of the tools that `ensureTools` installs. */
export const WASM_BINDGEN = path.join(TOOLS, "bin/wasm-bindgen");
export const WORKER_BUILD = path.join(TOOLS, "bin/worker-build");

/** Makes sure that cargo is there and can compile for wasm, the standard library included. */
export async function ensureRustTarget() {
  // rustup installs the toolchain of rust-toolchain.toml when it is first asked for, and that takes
  // its time; where rustup may not do so by itself, the answer says what is missing.
  const printed = await step("finding the Rust toolchain", () =>
    run("rustc", ["--print", "target-libdir", "--print", "sysroot", "--target", TARGET]),
  ).catch(orNoRust);
  const [libraries, sysroot] = printed.trim().split("\n");
  if (!existsSync(libraries)) await fromRustup(`the Rust target ${TARGET}`, "target", "add", TARGET);
  // The standard library is compiled along with the Worker (see build-worker.mjs).
  const source = path.join(sysroot, "lib/rustlib/src/rust/library/Cargo.lock");
  if (!existsSync(source)) await fromRustup("the source of Rust's standard library", "component", "add", "rust-src");
}

function fromRustup(what, ...args) {
  return step(`adding ${what}`, () => run("rustup", args)).catch(orNoRust);
}

/** Installs wasm-bindgen and worker-build into .tools/bin, where they are not there in the right version. */
export async function ensureTools() {
  // worker-build is released together with the `worker` crate, under the same number. wasm-bindgen goes
  // through the whole module in each build, so it is optimised a little; worker-build only starts others.
  const tools = [
    {
      crate: "wasm-bindgen-cli",
      binary: WASM_BINDGEN,
      version: lockedVersion("wasm-bindgen"),
      optLevel: "1",
      flags: ["--no-default-features"],
    },
    { crate: "worker-build", binary: WORKER_BUILD, version: lockedVersion("worker"), optLevel: "0", flags: [] },
  ];
  const missing = [];
  for (const tool of tools) {
    if ((await installedVersion(tool.binary)) !== tool.version) missing.push(tool);
  }
  for (const tool of missing) {
    await step(`installing ${tool.crate} ${tool.version} (minutes, once)`, () => install(tool));
  }
  // The objects are of no use once the binaries are there.
  if (missing.length > 0) await rm(path.join(TOOLS, "target"), { recursive: true, force: true });
}

function install({ crate, binary, version, optLevel, flags }) {
  // Not --locked: the lock files published with the two name releases that a mirror may not have.
  const args = ["install", "-q", "--debug", "--force", "--root", TOOLS, "--bin", path.basename(binary), ...flags];
  const env = {
    ...process.env,
    CARGO_PROFILE_DEV_OPT_LEVEL: optLevel,
    CARGO_PROFILE_DEV_DEBUG: "0",
    CARGO_TARGET_DIR: path.join(TOOLS, "target"),
  };
  return run("cargo", [...args, `${crate}@${version}`], { env });
}

async function installedVersion(binary) {
  if (!existsSync(binary)) return null;
  const printed = await run(binary, ["--version"]).catch(() => "");
  return printed.match(/\d+\.\d+\.\d+/)?.[0] ?? null;
}

function lockedVersion(crate) {
  const lock = readFileSync(path.join(ROOT, "Cargo.lock"), "utf8");
  const version = lock.match(new RegExp(`^name = "${crate}"\\nversion = "([^"]+)"`, "m"))?.[1];
  if (!version) throw new StepFailed(`Cargo.lock has no crate ${crate}.`);
  return version;
}

function orNoRust(error) {
  if (!/ENOENT/.test(error.message)) throw error;
  throw new StepFailed(
    "Rust was not found, or it is not rustup's: install it with rustup (https://rustup.rs), open a new shell, and try again.",
  );
}
