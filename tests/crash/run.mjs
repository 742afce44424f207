// `npm run crash -- --kills 50` kills the gateway again and again under load and then checks that all money is
// accounted for.
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { launch } from "../../dev/processes.mjs";
import { main, step, StepFailed } from "../../dev/steps.mjs";
import { freshSecrets, startGateway } from "../e2e/harness.mjs";
import { startUpstream } from "../e2e/upstream.mjs";
import { check } from "./check.mjs";
import { Load, randomNumbers } from "./load.mjs";

const HELP = `npm run crash -- [--kills N] [--seed N] [--accounts N] [--clients N]

Runs the Worker on workerd in a process of its own, with its data on disk and clients that stream from
it, and kills that process group with SIGKILL at random moments; each time it goes on with the same data.
Then waits until every hold is resolved and checks each account, here and in D1. Ends with 1 on a
violation. The seed decides what is sent and when it is killed; where exactly that hits is the machine's.`;

// The time from the gateway's first answer to the kill, in milliseconds.
const LIFE_MS = { least: 300, most: 2_000 };
const START_LIMIT_MS = 60_000;
// A hold expires 90 s after the account's last message about the request, at an alarm that comes once a minute. The
// limit covers both and a slow machine.
const HOLDS_LIMIT_MS = 240_000;
const POLL_MS = 1_000;
const USD = "50";

await main(async () => {
  const options = { kills: "50", seed: String(Date.now() % 1_000_000), accounts: "4", clients: "20" };
  const named = Object.entries(options).map(([name, value]) => [name, { type: "string", default: value }]);
  const { values } = parseArgs({
    options: { ...Object.fromEntries(named), help: { type: "boolean", short: "h", default: false } },
  });
  if (values.help) return console.log(HELP);
  const numbers = Object.fromEntries(Object.keys(options).map((name) => [name, Number(values[name])]));
  if (Object.values(numbers).some((n) => !Number.isSafeInteger(n) || n < 0)) throw new StepFailed(HELP);
  const folder = mkdtempSync(path.join(os.tmpdir(), "crash-"));
  const upstream = await startUpstream();
  try {
    const found = await crash(folder, upstream, numbers);
    show(found, numbers);
    if (found.violations.length > 0) process.exitCode = 1;
  } finally {
    await upstream.close();
    rmSync(folder, { recursive: true, force: true });
  }
});

async function crash(folder, upstream, { kills, seed, accounts: count, clients }) {
  const settings = { state: path.join(folder, "state"), secrets: freshSecrets() };
  const tmp = path.join(folder, "tmp");
  mkdirSync(tmp);
  const random = randomNumbers(seed);
  const first = await startGateway({ ...settings, upstream });
  const accounts = [];
  // The last account runs out of credit during the run.
  for (let n = 1; n <= count; n += 1) accounts.push(await first.account({ usd: n < count ? USD : "1" }));
  await first.close();

  const launchNext = () => launchGateway({ ...settings, upstream: { url: upstream.url, host: upstream.host } }, tmp);
  let child = launchNext();
  // Clients wait for the next gateway from the moment at which this one is killed.
  let origin = child.origin;
  const load = new Load({ accounts, clients, origin: () => origin, random, upstream });
  load.start();
  await step(`killing the gateway ${kills} times`, async () => {
    for (let n = 0; n < kills; n += 1) {
      await origin;
      await sleep(LIFE_MS.least + random(LIFE_MS.most - LIFE_MS.least));
      const killed = child.kill();
      origin = killed.then(() => (child = launchNext()).origin);
      await killed;
    }
  });
  await origin;
  await load.stop();
  // One more, now that nobody asks for anything: what is behind by then is the next one's.
  await child.kill();

  const gateway = await startGateway({ ...settings, upstream, fresh: false });
  try {
    const waited = await step("waiting for the alarms that expire what was lost", () => resolved(gateway, accounts));
    await gateway.worker.scheduled({ cron: "* * * * *" });
    return { kills, waited, ...(await check(gateway, accounts, load)) };
  } finally {
    await gateway.close();
  }
}

/** Starts a process that serves. Returns `{ origin, kill }`. */
function launchGateway(settings, tmp) {
  const script = path.join(import.meta.dirname, "gateway.mjs");
  const env = { ...process.env, TMPDIR: tmp };
  const child = launch(process.execPath, [script, JSON.stringify(settings)], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  child.stderr.setEncoding("utf8").on("data", (text) => (printed = (printed + text).slice(-4_000)));
  const ended = once(child, "exit");
  const origin = (async () => {
    const line = once(createInterface({ input: child.stdout }), "line").then(([text]) => text);
    const failed = ended.then(() => new StepFailed(`the gateway ended before it served:\n${printed}`));
    const result = await Promise.race([
      line,
      failed,
      sleep(START_LIMIT_MS, new StepFailed("the gateway does not start"), { ref: false }),
    ]);
    if (result instanceof Error) throw result;
    return result;
  })();
  origin.catch(() => {}); // the caller awaits the promise later
  const kill = async () => {
    process.kill(-child.pid, "SIGKILL");
    await ended;
  };
  return { origin, kill };
}

/** Waits until no account has an open hold, without a request to the accounts. Resolves to the seconds of the wait. */
async function resolved(gateway, accounts) {
  const started = performance.now();
  const open = async (account) => (await gateway.rows(account, "SELECT 1 FROM holds WHERE state = 0")).length;
  for (;;) {
    const left = (await Promise.all(accounts.map(open))).reduce((a, b) => a + b);
    const waitedMs = performance.now() - started;
    if (left === 0 || waitedMs > HOLDS_LIMIT_MS) return { seconds: Math.round(waitedMs / 1_000), open: left };
    await sleep(POLL_MS);
  }
}

function show({ kills, waited, requests, saw, outcomes, complete, violations }, { seed }) {
  const list = (counts) =>
    Object.entries(counts)
      .map(([name, count]) => `${count} ${name}`)
      .join(", ");
  console.log(`${kills} kills, seed ${seed}; ${list(requests)}`);
  console.log(`clients saw: ${list(saw)}`);
  console.log(`usage rows (billing status, outcome): ${list(outcomes)}`);
  console.log(`complete for the client: ${list(complete)}`);
  console.log(
    `${waited.open} holds were open ${waited.seconds} s after the last restart (bounded at ${HOLDS_LIMIT_MS / 1_000} s)`,
  );
  for (const violation of violations) console.log(`VIOLATION: ${violation}`);
  console.log(
    `${violations.length} violations${violations.length > 0 ? `; again with --seed ${seed} --kills ${kills}` : ""}`,
  );
}
