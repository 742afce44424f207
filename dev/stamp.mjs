// A stamp is a hash of all inputs of a step. It is stored beside the output, so that a step with unchanged inputs is
// skipped.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { ROOT } from "./processes.mjs";

// Tests and their snapshots are not inputs of a product.
const LEFT_OUT = ["tests", "snapshots", "benches"];

/**
 * Returns a hash of `facts` (any JSON) and of the contents of `files`. The paths are absolute or relative to the root
 * of the repository; a folder means all files in it.
 */
export function stamp(facts, files) {
  const hash = createHash("sha256").update(JSON.stringify(facts));
  for (const file of files.flatMap(filesUnder)) {
    const content = readFileSync(path.resolve(ROOT, file));
    hash.update(`\0${file}\0${content.length}\0`).update(content);
  }
  return hash.digest("hex");
}

function filesUnder(name) {
  const absolute = path.resolve(ROOT, name);
  if (!statSync(absolute).isDirectory()) return [name];
  return readdirSync(absolute)
    .filter((entry) => !LEFT_OUT.includes(entry))
    .sort()
    .flatMap((entry) => filesUnder(path.join(name, entry)));
}
