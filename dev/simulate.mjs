// `npm run simulate -- --seeds 1000 --commands 10000` simulates accounts with crashes and with a network and a D1 that
// fail. `--seed N` repeats one run; `npm run simulate -- --help` lists all options.
import { spawnSync } from "node:child_process";
import { ROOT } from "./processes.mjs";
import { main, run, step } from "./steps.mjs";

await main(async () => {
  const cargo = ["--release", "-q", "-p", "simulation"];
  await step("building the simulation", () => run("cargo", ["build", ...cargo], { cwd: ROOT }));
  const { status } = spawnSync("cargo", ["run", ...cargo, "--", ...process.argv.slice(2)], {
    cwd: ROOT,
    stdio: "inherit",
  });
  process.exitCode = status ?? 1;
});
