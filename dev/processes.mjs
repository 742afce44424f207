// Child processes: each in a process group of its own, so that whatever it starts in turn (wrangler
// starts workerd, cargo starts rustc) ends with it. The one rule: nothing is started except through
// `launch`, so that `endAll` ends everything.
import { spawn } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import path from "node:path";

/** The root of the repository. */
export const ROOT = path.resolve(import.meta.dirname, "..");

/** Whether the module with this `import.meta` is the program that was started, and not imported. */
export function isProgram({ filename }) {
  // The path as it was typed may lead through a link; a module's own never does.
  const [, typed] = process.argv;
  return typed !== undefined && existsSync(typed) && realpathSync(typed) === filename;
}

// What is given between the polite signal and the final one. workerd has nothing to flush that its
// SQLite files would not survive.
const GRACE_MS = 2_000;

const running = new Set();
let ending = false;
let exitCode = 130; // interrupted

// The last resort, for an end that came without `endAll`.
process.on("exit", () => running.forEach((child) => signalGroup(child, "SIGKILL")));

/** Starts `command` in the root, as the leader of a new process group. Options as for `spawn`. */
export function launch(command, args, options = {}) {
  const child = spawn(command, args, { cwd: ROOT, ...options, detached: true });
  if (child.pid !== undefined) {
    running.add(child);
    child.once("exit", () => {
      // Its own children are not worth more than it was.
      signalGroup(child, "SIGKILL");
      running.delete(child);
    });
  }
  return child;
}

/** Ends one child with everything it started; resolves when it is gone. */
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

/** Ends every child that still runs; this process is ending too. */
export function endAll() {
  ending = true;
  return Promise.all([...running].map(end));
}

function signalGroup(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    // The group is empty already, or (macOS) holds nothing but zombies.
    if (error.code !== "ESRCH" && error.code !== "EPERM") throw error;
  }
}

/** Whether this process is ending: a child that ends now is no news. */
export function isEnding() {
  return ending;
}

/** From now on SIGINT, SIGTERM and SIGHUP end every child and then this process, as interrupted. */
export function endOnSignals() {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, async () => {
      // A terminal's Ctrl-C often arrives twice: from the terminal, and once more through npm.
      if (ending) return;
      await endAll();
      process.exit(exitCode);
    });
  }
}

/** From now on a signal is the ordinary end: the process exits with 0. */
export function expectSignal() {
  exitCode = 0;
}
