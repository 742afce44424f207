// `npm run catalog -- check|apply|secret-hosts ...`: the operator's commands of xtask, which say
// themselves what they take (`npm run catalog -- --help`).
import { spawnSync } from "node:child_process";
import { ROOT } from "./processes.mjs";
import { main, run, step } from "./steps.mjs";

await main(async () => {
  await step("building the operator's commands", () => run("cargo", ["build", "-q", "-p", "xtask"]));
  // Not through `launch`: the command may ask, and only the terminal's own process group hears answers.
  const command = ["run", "-q", "-p", "xtask", "--", "catalog", ...process.argv.slice(2)];
  const { status } = spawnSync("cargo", command, { cwd: ROOT, stdio: "inherit" });
  process.exitCode = status ?? 1;
});
