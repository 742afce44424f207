// `npm run memory`: how much memory a thousand streams at once take, and whether it comes back; and whether
// anything is left of streams that are cut.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { main, StepFailed } from "../../dev/steps.mjs";
import { catalogue } from "../chaos/cases.mjs";
import { cutModels, cutStreams } from "../chaos/cuts.mjs";
import { randomNumbers } from "../crash/load.mjs";
import { chatBody, completionChunks } from "../e2e/chat.mjs";
import { startGateway } from "../e2e/harness.mjs";
import { events } from "../e2e/upstream.mjs";
import { attacks } from "./attacks.mjs";
import { ISOLATE_MB, MEASURED, meterOf } from "./isolate.mjs";

// What V8 keeps or lets go as it pleases, also behind a collection.
const HEAP_NOISE_MB = 2;

const HELP = `npm run memory -- [--streams N] [--rounds N] [--attacks NAME]

Runs the Worker on workerd and, round after round, so many chat streams through it at once; each stays open
until all of them have begun. Prints, in MB, while all are open and when all have ended: the WebAssembly memory,
the JavaScript heap with the buffers behind it, and the resident memory of the workerd process. Then as many
rounds of so many streams that are cut at random points, by the upstream or by the client, measured behind each.
Then the attacks on memory, each in an isolate of its own beside the requests of another customer; with --attacks those
alone whose names hold NAME, and no streams. Ends with 1 when WebAssembly memory and heap together reach the 128 MB of an isolate, when either grew after the
second round (of the heap ${HEAP_NOISE_MB} MB are noise), when a stream was lost, or one that was cut was not settled once.`;

// An account admits 300 requests in a second.
const PACE_MS = 6;
const LANES = 12;
const SEED = 7;

await main(async () => {
  const options = {
    streams: { type: "string", default: "1000" },
    rounds: { type: "string", default: "3" },
    attacks: { type: "string" },
  };
  const { values } = parseArgs({ options: { ...options, help: { type: "boolean", short: "h", default: false } } });
  const [streams, rounds] = [Number(values.streams), Number(values.rounds)];
  if (values.help) return console.log(HELP);
  if (![streams, rounds].every((n) => Number.isSafeInteger(n) && n > 0)) throw new StepFailed(HELP);
  if (values.attacks === undefined) await measureStreams(streams, rounds);
  const problems = await attacks(values.attacks);
  for (const problem of problems) console.log(`PROBLEM: ${problem}`);
  if (problems.length > 0) process.exitCode = 1;
});

async function measureStreams(streams, rounds) {
  const before = new Set(workerds());
  const gateway = await start();
  const meter = await meterOf(gateway);
  const pid = workerds().find((pid) => !before.has(pid));
  try {
    const account = await gateway.account({ usd: "100000" });
    const measure = async () => ({ ...(await meter.read()), rss: residentMb(pid) });
    console.log("round  moment   wasm    heap     rss   (MB)");
    const show = (round, moment, { wasm, heap, rss }) =>
      console.log(
        `${String(round).padStart(5)}  ${moment.padEnd(5)} ${[wasm, heap, rss].map((mb) => mb.toFixed(1).padStart(7)).join(" ")}`,
      );
    show(0, "start", await measure());
    const open = [];
    let lost = 0;
    for (let round = 1; round <= rounds; round += 1) {
      const running = openStreams(gateway, account, streams);
      await running.open;
      open.push(await measure());
      show(round, "open", open.at(-1));
      lost += await running.end();
      await meter.inspector.collectGarbage();
      show(round, "ended", await measure());
    }
    const [cut, problems] = [[], []];
    const random = randomNumbers(SEED);
    for (let round = 1; round <= rounds; round += 1) {
      await cutStreams(gateway, { count: streams, lanes: LANES, random }, problems);
      await meter.inspector.collectGarbage();
      cut.push(await measure());
      show(round, "cut", cut.at(-1));
    }
    const most = Math.max(...[...open, ...cut].map(({ wasm, heap }) => wasm + heap));
    const [of, ofCut] = [growth(open), growth(cut)];
    const said = ({ wasm, heap }) => `${wasm.toFixed(1)} MB of WebAssembly and ${heap.toFixed(1)} MB of heap`;
    console.log(`at most ${most.toFixed(1)} MB in the isolate; ${lost} streams lost`);
    console.log(`more after the second round: ${said(of)} with all open, ${said(ofCut)} behind those that were cut`);
    for (const { problem } of problems) console.log(`PROBLEM: ${problem}`);
    const grew = [of, ofCut].some(({ wasm, heap }) => wasm > 0 || heap > HEAP_NOISE_MB);
    if (most >= ISOLATE_MB || grew || lost + problems.length > 0) process.exitCode = 1;
  } finally {
    meter.close();
    await gateway.close();
  }
}

/** By how much the last round is above the second. */
function growth(rounds) {
  const [second, last] = [rounds[1] ?? rounds[0], rounds.at(-1)];
  return { wasm: last.wasm - second.wasm, heap: last.heap - second.heap };
}

async function start() {
  const folder = mkdtempSync(path.join(os.tmpdir(), "memory-"));
  try {
    const file = path.join(folder, "catalog.toml");
    writeFileSync(file, catalogue([{ model: "chat", upstream: "chat" }, ...cutModels()]));
    return await startGateway({ catalogue: file, ...MEASURED });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Starts streams that stay open: `open` resolves when all have begun, `end()` to how many were lost. */
function openStreams(gateway, { key }, streams) {
  const [first, ...rest] = completionChunks("chat");
  const agent = new http.Agent({ maxSockets: Infinity });
  let end;
  const ended = new Promise((resolve) => (end = resolve));
  gateway.upstream.forget();
  gateway.upstream.answer("chat", async (response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(`data: ${JSON.stringify(first)}\n\n`);
    await ended;
    response.end(events(rest));
  });
  let begun;
  const open = new Promise((resolve) => (begun = resolve));
  let count = 0;
  const one = (n) =>
    new Promise((resolve) => {
      const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
      const request = http.request(
        `${gateway.url}/v1/chat/completions`,
        { method: "POST", headers, agent },
        async (response) => {
          let text = "";
          response.once("data", () => ++count === streams && begun());
          try {
            for await (const part of response) text += part;
          } catch {
            // A stream that breaks is a lost one.
          }
          if (response.statusCode !== 200) begun();
          resolve(response.statusCode === 200 && text.endsWith("data: [DONE]\n\n"));
        },
      );
      request.once("error", () => resolve(begun() ?? false));
      setTimeout(() => request.end(chatBody("chat", { stream: true, max_tokens: 100 })), n * PACE_MS);
    });
  const all = Array.from({ length: streams }, (_, n) => one(n));
  return {
    open,
    async end() {
      end();
      const whole = await Promise.all(all);
      agent.destroy();
      await sleep(1_000); // settles
      return whole.filter((whole) => !whole).length;
    },
  };
}

/** The workerd processes that this one has started. */
function workerds() {
  const stat = (pid) => {
    try {
      return readFileSync(`/proc/${pid}/stat`, "utf8");
    } catch {
      return "";
    }
  };
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => new RegExp(`^\\d+ \\(workerd\\) . ${process.pid} `).test(stat(pid)));
}

function residentMb(pid) {
  const [, kb] = readFileSync(`/proc/${pid}/status`, "utf8").match(/^VmRSS:\s+(\d+) kB/m);
  return Number(kb) / 1024;
}
