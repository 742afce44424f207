// `npm run chaos` plays every failure of an upstream and every disconnect of a client, in every pair of dialects, on
// the release build of the Worker.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { main, step, StepFailed } from "../../dev/steps.mjs";
import { checkAccount } from "../crash/check.mjs";
import { randomNumbers } from "../crash/load.mjs";
import { startGateway } from "../e2e/harness.mjs";
import { residentBytes } from "../soak/memory.mjs";
import { Payer } from "./bill.mjs";
import { cases, catalogue, isTimed } from "./cases.mjs";
import { cutStreams, cutModels } from "./cuts.mjs";
import { play } from "./play.mjs";

const HELP = `npm run chaos -- [--only TEXT] [--streams N] [--lanes N] [--seed N] [--list]

Plays each case once: a failure of the first upstream (alone, or with another one behind it), or a client
that leaves; whole or streamed; from each dialect to each. Compares status, envelope, what each upstream
was asked, and the bill with the rules of tests/chaos/expected.mjs. Then cuts N streams (1000) at random
points, by the upstream or by the client, and looks whether each was settled once. Ends with 1 when
anything is not as expected.

  --streams N  above 2000 memory must not grow any more from one thousand to the next
  --only TEXT  the cases whose name has TEXT in it, and no streams unless --streams is there; --list names all
  --lanes N    how many cases run at once (default 12), each for an account of its own`;

const USD = "1000";
// Cases of deadlines run a few at a time, because a busy machine would delay them.
const QUIET_LANES = 3;
const SHOWN_OF_EACH = 2;
const ROUND = 1_000;
// V8 collects garbage at any time, so growth up to this size is noise.
const GROWTH = 1.1;

await main(async () => {
  const options = { only: "", streams: undefined, lanes: "12", seed: "7" };
  const named = Object.entries(options).map(([name, value]) => [name, { type: "string", default: value }]);
  const flags = { list: { type: "boolean", default: false }, help: { type: "boolean", short: "h", default: false } };
  const { values } = parseArgs({ options: { ...Object.fromEntries(named), ...flags } });
  if (values.help) return console.log(HELP);
  const [streams, lanes, seed] = [values.streams ?? (values.only ? 0 : ROUND), values.lanes, values.seed].map(Number);
  if (![streams, lanes, seed].every(Number.isSafeInteger) || lanes < 1 || streams < 0) throw new StepFailed(HELP);
  const chosen = cases().filter(({ name }) => name.includes(values.only));
  if (values.list) return chosen.forEach(({ name }) => console.log(name));
  if (chosen.length === 0) throw new StepFailed(`No case has "${values.only}" in its name.`);

  const gateway = await start([...chosen, ...cutModels()]);
  try {
    const problems = [];
    const payers = await Promise.all(Array.from({ length: lanes }, () => Payer.make(gateway, USD)));
    const timed = chosen.filter(isTimed);
    await step(`${chosen.length - timed.length} cases`, () =>
      playAll(
        gateway,
        payers,
        chosen.filter((one) => !isTimed(one)),
        problems,
      ),
    );
    await step(`${timed.length} cases of deadlines`, () =>
      playAll(gateway, payers.slice(0, QUIET_LANES), timed, problems),
    );
    await cutInRounds(gateway, { count: streams, lanes, random: randomNumbers(seed) }, problems);
    await step("what the accounts and D1 say in the end", async () => {
      for (const { account } of payers)
        await checkAccount(gateway, account, (violation) => problems.push({ kind: "an account", problem: violation }));
    });
    const failures = gateway.logs().filter((line) => /panic|internal/i.test(line));
    for (const line of failures) problems.push({ kind: "the log", problem: line });
    show(problems, chosen.length, streams);
    if (problems.length > 0) process.exitCode = 1;
  } finally {
    await gateway.close();
  }
});

async function start(list) {
  const folder = mkdtempSync(path.join(os.tmpdir(), "chaos-"));
  try {
    const file = path.join(folder, "catalog.toml");
    writeFileSync(file, catalogue(list));
    return await startGateway({ catalogue: file });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Cuts streams, a thousand at a time, and measures the memory between rounds: after the second round it must not grow. */
async function cutInRounds(gateway, { count, lanes, random }, problems) {
  const after = [];
  for (let left = count; left > 0; left -= ROUND) {
    const now = Math.min(ROUND, left);
    await step(`${now} streams that are cut`, () => cutStreams(gateway, { count: now, lanes, random }, problems));
    after.push(residentBytes());
    console.log(`workerd has ${Math.round(after.at(-1) / 2 ** 20)} MB resident`);
  }
  const [, second, ...later] = after;
  const most = Math.max(...later);
  if (most > second * GROWTH)
    problems.push({ kind: "memory", problem: `${second} bytes after two rounds, ${most} later` });
}

/** Plays all cases. Each lane has its own account and takes the next case that is not yet played. */
async function playAll(gateway, payers, list, problems) {
  const waiting = [...list];
  const lane = async (at) => {
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
      try {
        await play(gateway, payers[at], one);
      } catch (error) {
        problems.push({ kind: one.name.split(",")[0], problem: `${one.name}: ${error.message}` });
        // A late charge of this case must not count for the next case.
        payers[at] = await Payer.make(gateway, USD);
      }
    }
  };
  await Promise.all(payers.map((_, at) => lane(at)));
}

function show(problems, played, cuts) {
  for (const [kind, some] of Map.groupBy(problems, ({ kind }) => kind)) {
    console.log(`NOT AS EXPECTED: ${kind}, ${some.length} times`);
    for (const { problem } of some.slice(0, SHOWN_OF_EACH)) console.log(`  ${problem.replaceAll("\n", "\n  ")}`);
    for (const { problem } of some.slice(SHOWN_OF_EACH)) console.log(`  ${problem.split(": ")[0]}`);
  }
  console.log(`${played} cases and ${cuts} streams that were cut: ${problems.length} not as expected`);
}
