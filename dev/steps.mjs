// The steps of a command. A long step shows its elapsed time on standard error; a failed step ends the command with a
// sentence.
import { endAll, endOnSignals, isEnding, launch } from "./processes.mjs";

// A step that is shorter than this prints nothing.
const TICK_MS = 1_000;
// Without a terminal a line cannot be rewritten, so a new line is printed only after this many ticks.
const TICKS_A_PLAIN_LINE = 15;

/** The failure of a step. The message is for the user and is printed without a stack. */
export class StepFailed extends Error {}

/**
 * Runs `work` and shows a line with the elapsed time: "building the Worker ... 42 s". Resolves to the result of
 * `work`.
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
 * Runs a command silently and resolves to its standard output. Throws `StepFailed`, with all output of the command,
 * if the command cannot be started or does not exit with 0.
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
      else
        reject(new StepFailed(`${printed.trimEnd()}\n\n${[command, ...args].join(" ")}: ${signal ?? `exit ${code}`}`));
    });
  });
}

/** Runs `work` as a command line program: a signal ends it, and a failed step makes it exit with 1. */
export async function main(work) {
  endOnSignals();
  try {
    await work();
  } catch (error) {
    if (isEnding()) return; // this program ended the child itself, so its failure is expected
    console.error(error instanceof StepFailed ? error.message : error);
    await endAll();
    process.exit(1);
  }
}
