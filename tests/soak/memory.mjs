// Measures the resident memory of the workerd processes that this process has started.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/** Returns the sum in bytes. */
export function residentBytes() {
  const found = (process.platform === "linux" ? fromProc() : fromPs()).filter(
    ({ parent, name }) => parent === process.pid && /workerd/.test(name),
  );
  if (found.length === 0) throw new Error("no workerd of this process runs");
  return found.reduce((sum, { kilobytes }) => sum + kilobytes * 1024, 0);
}

// Small Linux images have no ps.
function fromProc() {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const status = readFileSync(`/proc/${pid}/status`, "utf8");
        const field = (name) => status.match(new RegExp(`^${name}:\\s*(.*)$`, "m"))?.[1] ?? "";
        return [
          { name: field("Name"), parent: Number(field("PPid")), kilobytes: Number.parseInt(field("VmRSS"), 10) || 0 },
        ];
      } catch {
        return []; // the process has ended in the meantime
      }
    });
}

function fromPs() {
  const lines = execFileSync("ps", ["-A", "-o", "ppid=,rss=,comm="], { encoding: "utf8" }).trim().split("\n");
  return lines.map((line) => {
    const [parent, kilobytes, ...name] = line.trim().split(/\s+/);
    return { parent: Number(parent), kilobytes: Number(kilobytes), name: name.join(" ") };
  });
}
