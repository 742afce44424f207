// Child processes. Each child leads its own process group, so that its own children (wrangler starts workerd, cargo
// starts rustc) end with it. The one rule: every process is started by `launch`, so that `endAll` ends them all.
import { spawn } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import path from "node:path";

export const ROOT = path.resolve(import.meta.dirname, "..");

/** Returns whether the module with this `import.meta` is the program itself and not an import. */
export function isProgram({ filename }) {
  // The path on the command line may contain a symbolic link; the path of a module never does.
  const [, typed] = process.argv;
  return typed !== undefined && existsSync(typed) && realpathSync(typed) === filename;
}

// The time between SIGTERM and SIGKILL. It may be short: workerd's SQLite files survive a kill at any moment.
const GRACE_MS = 2_000;

const running = new Set();
let ending = false;
let exitCode = 130; // interrupted

// This handler kills the children if the process ends without `endAll`.
process.on("exit", () => running.forEach((child) => signalGroup(child, "SIGKILL")));

/** Starts `command` in the root of the repository as the leader of a new process group. The options are those of `spawn`. */
export function launch(command, args, options = {}) {
  const child = spawn(command, args, { cwd: ROOT, ...options, detached: true });
  if (child.pid !== undefined) {
    running.add(child);
    child.once("exit", () => {
      // When a child ends, its own children are killed too.
      signalGroup(child, "SIGKILL");
      running.delete(child);
    });
  }
  return child;
}

/** Ends one child and all processes that it started. Resolves when the child has ended. */
function end(child) {
  return new Promise((resolve) => {
    const final = setTimeout(() => signalGroup(child, "SIGKILL"), GRACE_MS);
    child.once("exit", () => {
      clearTimeout(final);
      resolve();
    });
    signalGroup(child, "SIGTERM");
  });
}

/** Ends every child that still runs, because this process is ending. */
export function endAll() {
  ending = true;
  return Promise.all([...running].map(end));
}

function signalGroup(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    // The group is empty or, on macOS, contains only zombies.
    if (error.code !== "ESRCH" && error.code !== "EPERM") throw error;
  }
}

/** Returns whether this process is ending. The end of a child is then expected. */
export function isEnding() {
  return ending;
}

/** Makes SIGINT, SIGTERM and SIGHUP end every child and then this process, with the exit code of an interruption. */
export function endOnSignals() {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, async () => {
      // A Ctrl-C often arrives twice: once from the terminal and once from npm.
      if (ending) return;
      await endAll();
      process.exit(exitCode);
    });
  }
}

/** Makes a signal the normal end of this process: the process then exits with 0. */
export function expectSignal() {
  exitCode = 0;
}
