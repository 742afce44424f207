// The suite of real clients. They are a package of their own, with a lock of its own: 770 MB, which
// nobody needs who only wants a gateway.
import { existsSync, statSync } from "node:fs";
import path from "node:path";
import { run, step } from "../../dev/steps.mjs";
import { LeftOut } from "../left-out.mjs";

const FOLDER = import.meta.dirname;
// npm writes this file last, so it is missing after an interrupted install.
const INSTALLED = path.join(FOLDER, "node_modules/.package-lock.json");
const LOCK = path.join(FOLDER, "package-lock.json");

/** Installs Claude Code and Codex where they are not there; throws `LeftOut` where npm cannot. */
export async function ensureClients() {
  if (isCurrent()) return;
  // Without install scripts: the programs lie in packages for each platform and need none.
  const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  await step("installing Claude Code and Codex (770 MB, once)", () => run("npm", args, { cwd: FOLDER })).catch(
    (error) => {
      throw new LeftOut(`Claude Code and Codex could not be installed: ${error.message}`);
    },
  );
}

function isCurrent() {
  return existsSync(INSTALLED) && statSync(INSTALLED).mtimeMs >= statSync(LOCK).mtimeMs;
}
