// `npm run reconcile`: are the journals of all accounts sound, and does D1 have the same?
import { readFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { parseDotenv } from "./dotenv.mjs";
import { signToken } from "./jwt.mjs";
import { ROOT } from "./processes.mjs";
import { main, StepFailed } from "./steps.mjs";

const HELP = `npm run reconcile -- [--account ID] [--repair] [--state DIR | --url ORIGIN]

Checks each account: rows without a gap, each balance from the one before, the sum of all amounts, and
D1's copy row by row. Ends with 1 when anything is wrong.

  --account ID   one account alone
  --repair       where D1 lacks rows, has the account deliver them again
  --state DIR    the gateway that npm start runs on this state (default .wrangler/state)
  --url ORIGIN   a deployed gateway, with its OPERATOR_SECRET in the environment`;

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

/** The gateway that `npm start` runs on this state folder. */
function local(state) {
  const folder = path.resolve(process.env.INIT_CWD ?? ".", state);
  try {
    const { base_url: origin } = JSON.parse(readFileSync(path.join(folder, "first-run.json"), "utf8"));
    return { origin, secret: parseDotenv(readFileSync(path.join(folder, "worker.env"), "utf8")).OPERATOR_SECRET };
  } catch (error) {
    throw new StepFailed(`${folder} is no state of npm start: ${error.message}`);
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
  const waiting = behind > 0 ? `, ${behind} still on their way to D1` : "";
  console.log(`${account}: ${report.rows} rows, balance ${report.balance} nano-USD${waiting}`);
  for (const problem of report.problems) console.log(`  ${problem}`);
  if (report.repaired) console.log("  D1 is being filled again");
}

async function call({ origin, secret }, method, route, body) {
  const authorization = `Bearer ${signToken({ aud: "operator" }, secret)}`;
  const request = { method, headers: { authorization, "content-type": "application/json" } };
  const response = await fetch(`${origin}${route}`, { ...request, ...(body && { body: JSON.stringify(body) }) });
  const text = await response.text();
  if (!response.ok) throw new StepFailed(`${method} ${route} answered ${response.status}: ${text}`);
  return JSON.parse(text);
}
