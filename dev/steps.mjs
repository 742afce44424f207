// The steps of a command: long ones show on standard error that they are alive, failed ones end it
// with a sentence.
import { endAll, endOnSignals, isEnding, launch } from "./processes.mjs";

// Also how long a step may take before it says anything.
const TICK_MS = 1_000;
// Without a terminal a line cannot be rewritten, so there only every so many ticks make one.
const TICKS_A_PLAIN_LINE = 15;

/** What a step says when it failed; its message is for the user, so it is printed without a stack. */
export class StepFailed extends Error {}

/**
 * Runs `work` under a line with the time elapsed: "building the Worker ... 42 s". Resolves to what
 * `work` resolves to.
 */
export async function step(label, work) {
  const terminal = process.stderr.isTTY;
  const started = performance.now();
  let ticks = 0;
  const show = () => {
    const line = `${label} ... ${Math.round((performance.now() - started) / 1000)} s`;
    process.stderr.write(terminal ? `\r\x1b[2K${line}` : `${line}\n`);
  };
  const ticker = setInterval(() => {
    if (terminal || ticks % TICKS_A_PLAIN_LINE === 0) show();
    ticks += 1;
  }, TICK_MS);
  try {
    return await work();
  } finally {
    clearInterval(ticker);
    if (ticks > 0) show();
    if (ticks > 0 && terminal) process.stderr.write("\n");
  }
}

/**
 * Runs a command silently and resolves to its standard output. Throws `StepFailed`, with all that it
 * printed, when it cannot be started or exits with anything but 0.
 */
export function run(command, args, { env = process.env, cwd } = {}) {
  return new Promise((resolve, reject) => {
    const child = launch(command, args, { env, ...(cwd && { cwd }), stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let printed = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      stdout += text;
      printed += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text) => (printed += text));
    child.once("error", (error) => reject(new StepFailed(`${command} could not be started: ${error.message}`)));
    child.once("close", (code, signal) => {
      if (code === 0) resolve(stdout);
      else reject(new StepFailed(`${printed.trimEnd()}\n\n${[command, ...args].join(" ")}: ${signal ?? `exit ${code}`}`));
    });
  });
}

/** Runs `work` as the whole of a command line program: signals end it, a failed step exits with 1. */
export async function main(work) {
  endOnSignals();
  try {
    await work();
  } catch (error) {
    if (isEnding()) return; // a child that was ended is no failure
    console.error(error instanceof StepFailed ? error.message : error);
    await endAll();
    process.exit(1);
  }
}
