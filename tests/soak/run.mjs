// `npm run soak -- --minutes 30` runs the Worker under a mixed load with faults. Afterwards all money must be accounted
// for, and the memory must not have grown.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { main, step, StepFailed } from "../../dev/steps.mjs";
import { catalogue } from "../chaos/cases.mjs";
import { checkAccount } from "../crash/check.mjs";
import { randomNumbers } from "../crash/load.mjs";
import { startGateway } from "../e2e/harness.mjs";
import { SoakLoad, soakModels } from "./load.mjs";
import { residentBytes } from "./memory.mjs";

const HELP = `npm run soak -- [--minutes N] [--rate N] [--accounts N] [--most N] [--seed N]

Sends N requests a second (--rate, default 20) for so many minutes (default 30), from each dialect to each,
whole and streamed. Of all requests 5 % each meet an upstream that refuses, one that falls silent, a stream
that breaks, and a client that leaves. Never more than --most (default 200) run at once. Ends with 1 when
there was an internal_error, a request without a fault was not answered whole, memory grew (in a run of at
least 10 minutes), or any account is not sound, here or in D1.`;

const USD = "100000";
const SAMPLE_MS = 2_000;
// The first part of the run is a warm-up that fills caches and heaps.
const WARM_UP = 1 / 3;
// The share by which memory may grow after the warm-up: V8 collects garbage at any time, and the accounts keep their rows.
const GROWTH = 0.2;
// A shorter run is all warm-up: its memory is printed but not judged.
const MEMORY_MINUTES = 10;
const SETTLE_LIMIT_MS = 60_000;

await main(async () => {
  const options = { minutes: "30", rate: "20", accounts: "8", most: "200", seed: String(Date.now() % 1_000_000) };
  const named = Object.entries(options).map(([name, value]) => [name, { type: "string", default: value }]);
  const { values } = parseArgs({
    options: { ...Object.fromEntries(named), help: { type: "boolean", short: "h", default: false } },
  });
  if (values.help) return console.log(HELP);
  const numbers = Object.fromEntries(Object.keys(options).map((name) => [name, Number(values[name])]));
  if (Object.values(numbers).some((n) => !(n > 0)) || !Number.isSafeInteger(numbers.accounts))
    throw new StepFailed(HELP);
  const gateway = await start();
  try {
    const found = await soak(gateway, numbers);
    show(found, numbers);
    if (found.problems.length > 0) process.exitCode = 1;
  } finally {
    await gateway.close();
  }
});

async function start() {
  const folder = mkdtempSync(path.join(os.tmpdir(), "soak-"));
  try {
    const file = path.join(folder, "catalog.toml");
    writeFileSync(file, catalogue(soakModels()));
    return await startGateway({ catalogue: file });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function soak(gateway, { minutes, rate, accounts: count, most, seed }) {
  const accounts = [];
  for (let n = 0; n < count; n += 1) accounts.push(await gateway.account({ usd: USD }));
  const load = new SoakLoad(gateway, accounts, { random: randomNumbers(seed), rate, most });
  const samples = [];
  const ended = new AbortController();
  const sampling = sample(gateway, samples, ended.signal);
  await step(`${rate} requests a second for ${minutes} minutes`, () => load.run(minutes * 60_000));
  ended.abort();
  await sampling;

  const problems = [...load.problems];
  await step("what the accounts and D1 say in the end", async () => {
    for (const account of accounts) {
      const wrong = (problem) => void problems.push(`${account.accountId}: ${problem}`);
      await resolved(gateway, account);
      await checkAccount(gateway, account, wrong);
      const rows = (await gateway.journal(account)).filter(({ kind }) => kind === "usage").length;
      if (rows !== load.sent.get(account))
        wrong(`${load.sent.get(account)} requests were sent, ${rows} have a usage row`);
    }
  });
  problems.push(...gateway.logs().filter((line) => /panic|internal/i.test(line)));
  const memory = growth(samples);
  if (minutes >= MEMORY_MINUTES && memory.share > GROWTH)
    problems.push(`memory grew by ${Math.round(memory.share * 100)} %`);
  return { seen: load.seen, memory, problems };
}

async function sample(gateway, samples, signal) {
  const started = performance.now();
  while (!signal.aborted) {
    samples.push({ ms: performance.now() - started, bytes: residentBytes() });
    gateway.upstream.requests.length = 0; // what was asked is not looked at
    await sleep(SAMPLE_MS, undefined, { signal }).catch(() => {});
  }
}

async function resolved(gateway, account) {
  const deadline = performance.now() + SETTLE_LIMIT_MS;
  while ((await gateway.balance(account)).held > 0n && performance.now() < deadline) await sleep(SAMPLE_MS);
}

/** The straight line through the samples behind the warm-up, by least squares: where it begins, and by what share of that it rises. */
function growth(samples) {
  const rest = samples.slice(Math.floor(samples.length * WARM_UP));
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [ms, bytes] = [mean(rest.map((one) => one.ms)), mean(rest.map((one) => one.bytes))];
  const square = rest.reduce((sum, one) => sum + (one.ms - ms) ** 2, 0);
  const slope = square === 0 ? 0 : rest.reduce((sum, one) => sum + (one.ms - ms) * (one.bytes - bytes), 0) / square;
  const first = bytes + slope * (rest[0].ms - ms);
  const rise = slope * (rest.at(-1).ms - rest[0].ms);
  return {
    first,
    rise,
    share: rise / first,
    most: Math.max(...samples.map((one) => one.bytes)),
    minutes: (rest.at(-1).ms - rest[0].ms) / 60_000,
  };
}

function show({ seen, memory, problems }, { minutes, rate, seed }) {
  const mb = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MB`;
  for (const [name, count] of Object.entries(seen).sort()) console.log(`${String(count).padStart(7)}  ${name}`);
  console.log(
    `workerd: ${mb(memory.first)} resident after the warm-up, ${mb(memory.rise)} more in ${memory.minutes.toFixed(1)} minutes, at most ${mb(memory.most)}`,
  );
  for (const problem of problems.slice(0, 20)) console.log(`PROBLEM: ${problem}`);
  console.log(`${minutes} minutes at ${rate} a second, seed ${seed}: ${problems.length} problems`);
}
