// `npm run fuzz -- --seconds 600`: every fuzz target, as many at once as there are cores, in so many
// seconds altogether. `--target NAME` runs one of them all that time. What is found lies in
// fuzz/artifacts; an input worth keeping goes to fuzz/corpus, which `npm test` replays.
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { ROOT } from "../../dev/processes.mjs";
import { main, run, step, StepFailed } from "../../dev/steps.mjs";

const CARGO_FUZZ = { crate: "cargo-fuzz", version: "0.13.2" };
const BINARY = path.join(ROOT, ".tools/bin/cargo-fuzz");
const TARGETS = ["sse", "envelope", "request", "stream", "answer"];
// cargo-fuzz needs flags that a stable compiler accepts only with RUSTC_BOOTSTRAP.
const ENV = { ...process.env, RUSTC_BOOTSTRAP: "1", CARGO_NET_GIT_FETCH_WITH_CLI: "true" };
// An input that takes longer than this counts as a defect.
const TIMEOUT_SECONDS = 10;

await main(async () => {
  const { seconds, targets } = options();
  await ensureCargoFuzz();
  await step("building the fuzz targets", () => fuzz(["build", "--sanitizer", "none"]));
  const jobs = Math.min(os.availableParallelism(), targets.length);
  const each = Math.max(1, Math.floor((seconds * jobs) / targets.length));
  const waiting = [...targets];
  const failed = [];
  await step(`fuzzing ${targets.join(", ")}, ${each} s each`, () =>
    Promise.all(
      Array.from({ length: jobs }, async () => {
        for (let target = waiting.shift(); target !== undefined; target = waiting.shift()) {
          const report = await fuzzed(target, each).catch((error) => failed.push({ target, error }));
          if (typeof report === "string") console.log(`${target}: ${report}`);
        }
      }),
    ),
  );
  for (const { target, error } of failed) console.error(`${target}: ${error.message}\n`);
  console.log(`${targets.length - failed.length} of ${targets.length} targets found nothing`);
  if (failed.length > 0) throw new StepFailed("fuzzing found defects");
});

function options() {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string", default: "60" },
      target: { type: "string", multiple: true, default: TARGETS },
    },
  });
  const seconds = Number(values.seconds);
  if (!Number.isInteger(seconds) || seconds < 1)
    throw new StepFailed(`--seconds ${values.seconds}: not a number of seconds.`);
  const unknown = values.target.find((target) => !TARGETS.includes(target));
  if (unknown) throw new StepFailed(`--target ${unknown}: there are ${TARGETS.join(", ")}.`);
  return { seconds, targets: values.target };
}

async function ensureCargoFuzz() {
  const printed = existsSync(BINARY) ? await run(BINARY, ["--version"]).catch(() => "") : "";
  if (printed.includes(CARGO_FUZZ.version)) return;
  const args = ["install", "-q", "--root", path.join(ROOT, ".tools"), `${CARGO_FUZZ.crate}@${CARGO_FUZZ.version}`];
  await step(`installing ${CARGO_FUZZ.crate} ${CARGO_FUZZ.version}`, () => run("cargo", args));
}

function fuzz(args) {
  return run(BINARY, ["fuzz", ...args], { cwd: ROOT, env: ENV });
}

/** Runs one target. Resolves to libFuzzer's last message. */
async function fuzzed(target, seconds) {
  // libFuzzer writes new inputs into the first folder, so the first folder is not the corpus of the repository.
  const grown = mkdtempSync(path.join(os.tmpdir(), `fuzz-${target}-`));
  const kept = path.join(ROOT, "fuzz/corpus", target);
  mkdirSync(kept, { recursive: true });
  cpSync(kept, grown, { recursive: true });
  const limits = [
    `-max_total_time=${seconds}`,
    `-timeout=${TIMEOUT_SECONDS}`,
    "-max_len=65536",
    "-print_final_stats=1",
  ];
  const binary = path.join(ROOT, "fuzz/target", await hostTriple(), "release", target);
  const artifacts = path.join(ROOT, "fuzz/artifacts", target);
  mkdirSync(artifacts, { recursive: true });
  await run(binary, [...limits, `-artifact_prefix=${artifacts}/`, grown]);
  return `${readdirSync(grown).length} inputs, no defect`;
}

async function hostTriple() {
  return (await run("rustc", ["-vV"])).match(/^host: (.+)$/m)[1];
}
