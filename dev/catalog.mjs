// `npm run catalog -- check|apply|secret-hosts|sql ...` runs the operator's commands of xtask;
// `npm run catalog -- --help` describes them.
import { spawnSync } from "node:child_process";
import { ROOT } from "./processes.mjs";
import { main, run, step } from "./steps.mjs";

await main(async () => {
  await step("building the operator's commands", () => run("cargo", ["build", "-q", "-p", "xtask"]));
  // `launch` would put the command into another process group. The command may ask a question, and only the terminal's
  // own process group can read the answer.
  const command = ["run", "-q", "-p", "xtask", "--", "catalog", ...process.argv.slice(2)];
  const { status } = spawnSync("cargo", command, { cwd: ROOT, stdio: "inherit" });
  process.exitCode = status ?? 1;
});
