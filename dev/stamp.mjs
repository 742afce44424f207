// Stamps: a hash over what goes into a step, kept beside what came out, so that a step with the same
// input is skipped.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { ROOT } from "./processes.mjs";

// Tests and what they compare with never reach a product.
const LEFT_OUT = ["tests", "snapshots", "benches"];

/**
 * A hash over `facts` (anything JSON can say) and the contents of `files`: paths from the root, or
 * absolute ones; a folder stands for everything in it.
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
