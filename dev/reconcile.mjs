// `npm run reconcile` checks that the journals of all accounts are correct and that D1 has the same rows.
import { readFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { parseDotenv } from "./dotenv.mjs";
import { signToken } from "./jwt.mjs";
import { ROOT } from "./processes.mjs";
import { main, StepFailed } from "./steps.mjs";

const HELP = `npm run reconcile -- [--account ID] [--repair] [--state DIR | --url ORIGIN]

Checks for each account that no row is missing, that each balance follows from the one before, that all amounts
add up to the balance, and that D1 has the same rows. The exit code is 1 if there is any problem.

  --account ID   checks only this account
  --repair       asks an account to deliver the rows again that D1 lacks
  --state DIR    checks the gateway that npm start runs with this state folder (default .wrangler/state)
  --url ORIGIN   checks a deployed gateway; its OPERATOR_SECRET must be in the environment`;

await main(async () => {
  const { values } = parseArgs({
    options: {
      account: { type: "string" },
      repair: { type: "boolean", default: false },
      state: { type: "string", default: path.join(ROOT, ".wrangler/state") },
      url: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return console.log(HELP);
  const gateway = values.url ? { origin: values.url, secret: process.env.OPERATOR_SECRET } : local(values.state);
  if (!gateway.secret) throw new StepFailed("OPERATOR_SECRET is not set.");
  const found = { accounts: 0, rows: 0, unsound: 0 };
  for await (const account of values.account ? [values.account] : accounts(gateway)) {
    const report = await call(gateway, "POST", "/operator/audit", { account_id: account, repair: values.repair });
    found.accounts += 1;
    found.rows += report.rows;
    if (report.problems.length > 0) found.unsound += 1;
    show(account, report);
  }
  console.log(`${found.accounts} accounts, ${found.rows} rows, ${found.unsound} with problems`);
  if (found.unsound > 0) process.exitCode = 1;
});

/** Returns the gateway that `npm start` runs with this state folder. */
function local(state) {
  const folder = path.resolve(process.env.INIT_CWD ?? ".", state);
  try {
    const { base_url: origin } = JSON.parse(readFileSync(path.join(folder, "first-run.json"), "utf8"));
    return { origin, secret: parseDotenv(readFileSync(path.join(folder, "worker.env"), "utf8")).OPERATOR_SECRET };
  } catch (error) {
    throw new StepFailed(`${folder} is not a state folder of npm start: ${error.message}`);
  }
}

async function* accounts(gateway) {
  let after = "";
  for (;;) {
    const { data } = await call(gateway, "GET", `/operator/accounts?after=${after}`);
    if (data.length === 0) return;
    yield* data;
    after = data.at(-1);
  }
}

function show(account, report) {
  const behind = report.rows - report.delivered_seq;
  const waiting = behind > 0 ? `, ${behind} not yet in D1` : "";
  console.log(`${account}: ${report.rows} rows, balance ${report.balance} nano-USD${waiting}`);
  for (const problem of report.problems) console.log(`  ${problem}`);
  if (report.repaired) console.log("  the account delivers its rows to D1 again");
}

async function call({ origin, secret }, method, route, body) {
  const authorization = `Bearer ${signToken({ aud: "operator" }, secret)}`;
  const request = { method, headers: { authorization, "content-type": "application/json" } };
  const response = await fetch(`${origin}${route}`, { ...request, ...(body && { body: JSON.stringify(body) }) });
  const text = await response.text();
  if (!response.ok) throw new StepFailed(`${method} ${route} answered ${response.status}: ${text}`);
  return JSON.parse(text);
}
