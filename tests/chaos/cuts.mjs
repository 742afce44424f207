// Streams that are cut at random points, by the upstream or by the client: each must be settled once, and no
// hold may stay open.
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { checkAccount } from "../crash/check.mjs";
import { eventStream } from "../e2e/upstream.mjs";
import { DIALECTS } from "./cases.mjs";
import { send } from "./clients.mjs";
import { frames } from "./failures.mjs";

const USD = "1000";
const PIECE_BYTES = 200;
const PACE_MS = 3;
// A stream is some 2 to 6 kB for its client.
const BYTES_OF_A_PERCENT = 30;
// By when a hold must be resolved once nobody asks for anything: a client that left before it had read
// anything is found out after 10 s, and an upstream whose model has finished is read for 5 s more.
const SETTLE_LIMIT_MS = 45_000;
const POLL_MS = 200;

/** How a stream ends: the connection breaks, the body ends, the client leaves. */
const WAYS = ["breaks", "ends", "client"];

const PAIRS = DIALECTS.flatMap((client) => DIALECTS.map((upstream) => ({ client, upstream })));

// So many models of each dialect, that none of them meets one failure after the other and is left alone for it.
const MODELS = 100;

/** The models that the streams go to. */
export function cutModels() {
  return DIALECTS.flatMap((upstream) =>
    Array.from({ length: MODELS }, (_, n) => ({ model: `cut-${upstream}-${n}`, upstream })),
  );
}

/** Cuts `count` streams, `lanes` at once; pushes what is wrong onto `problems`. */
export async function cutStreams(gateway, { count, lanes, random }, problems) {
  const wrong = (problem) => void problems.push({ kind: "streams that were cut", problem });
  for (const { model, upstream } of cutModels())
    gateway.upstream.answer(model, (http, seen) => answer(http, seen, upstream));
  const waiting = Array.from({ length: count }, (_, n) => ({
    ...PAIRS[n % PAIRS.length],
    model: n % MODELS,
    way: WAYS[random(WAYS.length)],
    percent: random(101),
  }));
  const accounts = await Promise.all(Array.from({ length: lanes }, () => gateway.account({ usd: USD })));
  await Promise.all(
    accounts.map(async (account) => {
      let sent = 0;
      for (let one = waiting.shift(); one !== undefined; one = waiting.shift(), sent += 1) {
        await play(gateway, account, one).catch((error) => wrong(`${JSON.stringify(one)}: ${error.message}`));
      }
      await resolved(gateway, account);
      await checkAccount(gateway, account, (violation) => wrong(`${account.accountId}: ${violation}`));
      const rows = (await gateway.journal(account)).filter(({ kind }) => kind === "usage");
      if (rows.length !== sent) wrong(`${account.accountId} sent ${sent} streams and has ${rows.length} usage rows`);
      const odd = rows.find(({ usage }) => usage.billing_status === "expired" || usage.outcome === "lost");
      if (odd) wrong(`${odd.id} was never resolved and expired`);
    }),
  );
  gateway.upstream.forget();
}

/** Answers with as much of a stream as the words of the request say. */
function answer(http, seen, upstream) {
  const [, way, percent] = JSON.stringify(seen.json).match(/cut (\w+) at (\d+)/);
  const wire = frames(upstream, seen).join("");
  const shown = way === "client" ? wire : wire.slice(0, (wire.length * Number(percent)) / 100);
  return eventStream(shown, { sizes: [PIECE_BYTES], delayMs: PACE_MS, end: way === "breaks" ? "cut" : "end" })(http);
}

/** One client: reads to the end, or until it has had its share, and leaves. */
async function play({ url }, { key }, { client, upstream, model, way, percent }) {
  const sent = send(url, key, {
    client,
    model: `cut-${upstream}-${model}`,
    mode: "stream",
    words: `cut ${way} at ${percent}`,
  });
  const [response] = await once(sent, "response");
  // 503: it was cut before there was anything to hand on.
  const { statusCode: status } = response;
  if (status !== 200 && (status !== 503 || way === "client")) throw new Error(`status ${status}`);
  const share = way === "client" ? percent * BYTES_OF_A_PERCENT : Infinity;
  let had = 0;
  for await (const part of response) if ((had += part.length) >= share) break;
  sent.destroy();
}

async function resolved(gateway, account) {
  const deadline = performance.now() + SETTLE_LIMIT_MS;
  while ((await gateway.balance(account)).held > 0n && performance.now() < deadline) await sleep(POLL_MS);
}
