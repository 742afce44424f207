// `npm run simulate -- --seeds 1000 --commands 10000`: accounts under crashes, a bad network and a bad
// D1; `--seed N` replays one. `npm run simulate -- --help` says the rest.
import { spawnSync } from "node:child_process";
import { ROOT } from "./processes.mjs";
import { main, run, step } from "./steps.mjs";

await main(async () => {
  const cargo = ["--release", "-q", "-p", "simulation"];
  await step("building the simulation", () => run("cargo", ["build", ...cargo], { cwd: ROOT }));
  const { status } = spawnSync("cargo", ["run", ...cargo, "--", ...process.argv.slice(2)], { cwd: ROOT, stdio: "inherit" });
  process.exitCode = status ?? 1;
});
