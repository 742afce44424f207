// Builds console/dist, the web app that the Worker serves. Its packages are a package of their own, with a lock of
// its own, in console/node_modules. A stamp over everything that goes in makes an unchanged tree cost nothing.
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { ROOT } from "./processes.mjs";
import { stamp } from "./stamp.mjs";
import { run, step } from "./steps.mjs";

/** The folder of the web app. */
export const CONSOLE = path.join(ROOT, "console");
const INPUTS = ["package-lock.json", "vite.config.ts", "tsconfig.json", "index.html", "public", "src"];
const OUTPUT = path.join(CONSOLE, "dist/index.html");
// Beside dist/, which is uploaded as it is.
const STAMP = path.join(CONSOLE, "node_modules/.dist-stamp");
// npm writes this file last, so it is missing after an interrupted install.
const INSTALLED = path.join(CONSOLE, "node_modules/.package-lock.json");
const LOCK = path.join(CONSOLE, "package-lock.json");

/** Builds the console where something has changed. Resolves to whether there was anything to build. */
export async function buildConsole() {
  await ensureConsolePackages();
  const inputs = stamp([], INPUTS.map((file) => path.join("console", file)));
  if (existsSync(OUTPUT) && existsSync(STAMP) && readFileSync(STAMP, "utf8") === inputs) return false;
  rmSync(STAMP, { force: true });
  await step("building the console", () => consoleTool("vite/bin/vite.js", "build", "--logLevel", "warn"));
  writeFileSync(STAMP, inputs);
  return true;
}

/** Installs the console's packages where they are not those of its lock. */
export async function ensureConsolePackages() {
  if (existsSync(INSTALLED) && statSync(INSTALLED).mtimeMs >= statSync(LOCK).mtimeMs) return;
  // Without install scripts: nothing here needs one.
  const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  await step("installing the console's packages (about 20 s)", () => run("npm", args, { cwd: CONSOLE }));
}

/** Runs a program out of the console's packages, in its folder. */
export function consoleTool(file, ...args) {
  return run(process.execPath, [path.join(CONSOLE, "node_modules", file), ...args], { cwd: CONSOLE });
}
