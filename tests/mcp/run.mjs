// The suite of the protocol's own clients and its conformance suite. They are a package of their own, with a
// lock of its own, which nobody needs who only wants a gateway.
import { existsSync, statSync } from "node:fs";
import path from "node:path";
import { run, step } from "../../dev/steps.mjs";
import { LeftOut } from "../left-out.mjs";

const FOLDER = import.meta.dirname;
// npm writes this file last, so it is missing after an interrupted install.
const INSTALLED = path.join(FOLDER, "node_modules/.package-lock.json");
const LOCK = path.join(FOLDER, "package-lock.json");

/** Installs them where they are not there; throws `LeftOut` where npm cannot. */
export async function ensureJudges() {
  if (isCurrent()) return;
  const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  await step("installing the MCP clients", () => run("npm", args, { cwd: FOLDER })).catch((error) => {
    throw new LeftOut(`the MCP clients could not be installed: ${error.message}`);
  });
}

function isCurrent() {
  return existsSync(INSTALLED) && statSync(INSTALLED).mtimeMs >= statSync(LOCK).mtimeMs;
}
