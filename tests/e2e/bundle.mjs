// The Worker as it is deployed, in a folder for the harness: what `wrangler deploy --dry-run` makes.
// The folder's name is a stamp over everything that goes in, so that one that is there is never old,
// and test files that start at the same time do not meet.
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import { buildWorker } from "../../dev/setup.mjs";
import { ROOT } from "../../dev/processes.mjs";
import { stamp } from "../../dev/stamp.mjs";
import { run, step } from "../../dev/steps.mjs";
import { wrangler } from "../../dev/wrangler.mjs";

const DIST = path.join(ROOT, "dist");

/** Builds the Worker and its bundle, where they are not there. Resolves to the bundle's folder. */
export async function ensureBundle() {
  await buildWorker();
  const built = readFileSync(path.join(ROOT, "build/.stamp"), "utf8");
  const folder = path.join(DIST, stamp([built], ["entry.mjs", "wrangler.toml", "package-lock.json"]).slice(0, 16));
  if (existsSync(folder)) return folder;
  // Made aside, so that it appears whole; wrangler does not clear what was there.
  const aside = `${folder}.${process.pid}`;
  await wrangler("deploy", "--dry-run", "--outdir", aside);
  try {
    renameSync(aside, folder);
  } catch (error) {
    rmSync(aside, { recursive: true, force: true });
    if (!existsSync(folder)) throw error; // otherwise another test file was faster
  }
  return folder;
}

/** Builds what each test file would otherwise wait for: the bundle, and the command that reads catalogues. */
export async function prepare() {
  await ensureBundle();
  await step("building the operator's commands", () => run("cargo", ["build", "-q", "-p", "xtask"]));
}

/** Deletes every bundle but `folder`. */
export function clearOldBundles(folder) {
  for (const name of readdirSync(DIST)) {
    if (path.join(DIST, name) !== folder) rmSync(path.join(DIST, name), { recursive: true });
  }
}
