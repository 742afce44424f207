// Builds console/dist, the web app that the Worker serves. The console is an npm package of its own, with its own
// lock file, and its packages are in console/node_modules. A hash of all inputs skips the build of an unchanged tree.
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { ROOT } from "./processes.mjs";
import { stamp } from "./stamp.mjs";
import { run, step } from "./steps.mjs";

export const CONSOLE = path.join(ROOT, "console");
const INPUTS = ["package-lock.json", "vite.config.ts", "tsconfig.json", "index.html", "public", "src"];
const OUTPUT = path.join(CONSOLE, "dist/index.html");
// The stamp is outside dist/, because everything in dist/ is uploaded.
const STAMP = path.join(CONSOLE, "node_modules/.dist-stamp");
// npm writes this file last, so an interrupted install leaves no such file.
const INSTALLED = path.join(CONSOLE, "node_modules/.package-lock.json");
const LOCK = path.join(CONSOLE, "package-lock.json");

/** Builds the console if an input has changed. Resolves to whether it was built. */
export async function buildConsole() {
  await ensureConsolePackages();
  const inputs = stamp(
    [],
    INPUTS.map((file) => path.join("console", file)),
  );
  if (existsSync(OUTPUT) && existsSync(STAMP) && readFileSync(STAMP, "utf8") === inputs) return false;
  rmSync(STAMP, { force: true });
  await step("building the console", () => consoleTool("vite/bin/vite.js", "build", "--logLevel", "warn"));
  writeFileSync(STAMP, inputs);
  return true;
}

/** Installs the console's packages if they are older than its lock file. */
export async function ensureConsolePackages() {
  if (existsSync(INSTALLED) && statSync(INSTALLED).mtimeMs >= statSync(LOCK).mtimeMs) return;
  // No package needs an install script.
  const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  await step("installing the console's packages (about 20 s)", () => run("npm", args, { cwd: CONSOLE }));
}

/** Runs a program of the console's packages, in the console's folder. */
export function consoleTool(file, ...args) {
  return run(process.execPath, [path.join(CONSOLE, "node_modules", file), ...args], { cwd: CONSOLE });
}
