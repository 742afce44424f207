// `npm run size` prints the size of the Worker and the time of its start-up.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { ROOT } from "./processes.mjs";
import { buildWorker } from "./setup.mjs";
import { main, step } from "./steps.mjs";
import { wrangler } from "./wrangler.mjs";

// Cloudflare's limits for the size of a script and for the CPU time of its global scope.
const LIMIT_BYTES = 64 * 1024 * 1024;
const LIMIT_STARTUP_MS = 1_000;
// One profile has only a few samples, so the program takes the median of several profiles.
const PROFILES = 5;

await main(async () => {
  await buildWorker();
  const wasm = readFileSync(path.join(ROOT, "build/index_bg.wasm"));
  const gzipped = gzipSync(wasm, { level: 9 });
  const startupMs = await step("profiling the start-up", startup);
  console.log(
    `wasm       ${kilobytes(wasm.length)} raw (limit ${kilobytes(LIMIT_BYTES)}), ${kilobytes(gzipped.length)} gzipped`,
  );
  console.log(`start-up   ${startupMs.toFixed(1)} ms on this machine (limit ${LIMIT_STARTUP_MS} ms on Cloudflare's)`);
});

/** Resolves to the median CPU time of the Worker's global scope in milliseconds, as workerd measures it on the bundle. */
async function startup() {
  const folder = mkdtempSync(path.join(tmpdir(), "startup-"));
  try {
    const profile = path.join(folder, "startup.cpuprofile");
    const measured = [];
    for (let n = 0; n < PROFILES; n += 1) {
      await wrangler("check", "startup", "--outfile", profile);
      measured.push(activeMs(JSON.parse(readFileSync(profile, "utf8"))));
    }
    return measured.sort((a, b) => a - b)[Math.floor(PROFILES / 2)];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Sums the time in a V8 CPU profile that is not idle, as `wrangler check startup` does. Deltas are in microseconds. */
function activeMs({ nodes, samples, timeDeltas }) {
  const idle = new Set(nodes.filter((node) => node.callFrame.functionName === "(idle)").map((node) => node.id));
  const active = timeDeltas.filter((_, index) => !idle.has(samples[index]));
  return active.reduce((total, us) => total + us, 0) / 1000;
}

function kilobytes(bytes) {
  return `${(bytes / 1000).toFixed(1)} kB`;
}
