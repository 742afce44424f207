// Plays one case and asserts what became of it.
import assert from "node:assert/strict";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { THEIR_WORDS, wholeOf } from "../agent/wire.mjs";
import { assertBill } from "./bill.mjs";
import { firstOf } from "./cases.mjs";
import { readError, readStream, readWhole, send, wordsOf } from "./clients.mjs";
import { ANTHROPIC_TYPES, expected, expectedOfClient } from "./expected.mjs";
import { answerTo, frames, good, PIECES, PRODUCED } from "./failures.mjs";

// Between two writes once the client has left, which the platform notices at the second one.
const PACE_MS = 20;
// How often words are repeated to nobody: for longer than the 2 s in which the upstream must be left.
const REPEATED = 150;

export async function play(gateway, payer, one) {
  await (one.leaves ? playClient : playFailure)(gateway, payer, one);
}

async function playFailure({ url, upstream }, payer, one) {
  const { failure, mode, client, model } = one;
  const first = firstOf(one);
  upstream.answer(model, (http, seen) =>
    (seen.upstream === first ? failure.answer(one.upstream) : good(one.upstream))(http, seen),
  );
  const answer = await readWhole(send(url, payer.key, one));
  const want = expected(one);
  const seen = upstream.seen(model);
  const attempts = [first, `second-${one.upstream}`].map(
    (id) => seen.filter((request) => request.upstream === id).length,
  );
  assert.deepEqual([answer.status, attempts], [want.status, want.attempts], answer.text);
  const row = await payer.paid();
  assert.ok(
    !`${answer.text}${JSON.stringify(answer.headers)}`.includes(THEIR_WORDS),
    `the provider's words: ${answer.text}`,
  );
  assert.equal(row.id, answer.headers["x-request-id"]);
  assert.equal(row.usage.upstream, attempts[1] > 0 ? `second-${one.upstream}` : first);
  if (want.code) assertRefusal(client, answer, want);
  else if (mode === "whole") assert.equal(wordsOf(client, answer.text), PIECES.join(""));
  else assertStream(client, answer.text, want);
  assertBill(row, want.bill);
}

function assertRefusal(client, answer, want) {
  const message = readError(client, answer, { code: want.code, type: ANTHROPIC_TYPES[want.status] });
  assert.match(message, want.says ?? /^[A-Z].*\.$/);
  const told = [answer.headers["x-should-retry"] ?? null, answer.headers["retry-after"]];
  assert.deepEqual(told, [want.retry, want.retryAfter]);
}

function assertStream(client, text, want) {
  const { words, ends, error } = readStream(client, text);
  assert.deepEqual({ words, ends }, { words: PIECES.slice(0, want.words).join(""), ends: want.ends }, text);
  if (error) assert.equal(error.code, "upstream_unavailable");
}

async function playClient({ url, upstream }, payer, one) {
  const { mode, model, leaves } = one;
  const [begun, gone] = [gate(), gate()];
  let left;
  upstream.answer(model, async (http, seen) => {
    await (mode === "whole" ? tellWhole : tellStream)(one, http, seen, begun, gone.opened);
  });
  const sent = send(url, payer.key, one);
  if (leaves === "does not read") {
    await once(sent, "response"); // and nothing of it
  } else {
    if (mode === "whole" || leaves === "before the headers") await begun.opened;
    else await readUntil(sent, leaves === "in the middle" ? PIECES[PRODUCED - 1] : "");
    sent.destroy();
    await sleep(PACE_MS);
    left = performance.now();
    gone.open();
  }
  const row = await payer.paid();
  const [{ closed }] = upstream.seen(model);
  const end = await closed;
  sent.destroy();
  assertBill(row, expectedOfClient(one));
  if (left !== undefined && mode === "stream" && leaves !== "before the headers")
    assert.equal(end, "cut", "the upstream was read to its end for nobody");
}

/** Resolves once a stream has said `words`. */
async function readUntil(sent, words) {
  const [response] = await once(sent, "response");
  let text = "";
  for await (const part of response.setEncoding("utf8")) {
    text += part;
    if (text.includes(words.trim())) return;
  }
  throw new Error(`the stream ended before ${words}: ${text}`);
}

async function tellWhole({ upstream, leaves }, http, seen, begun, gone) {
  const text = JSON.stringify(wholeOf(upstream, answerTo(seen), seen.json));
  const half = leaves === "in the middle" ? text.length / 2 : 0;
  if (half > 0) {
    http.writeHead(200, { "content-type": "application/json" });
    await write(http, text.slice(0, half));
  }
  begun.open();
  if (leaves !== "does not read") await gone;
  if (half === 0) http.writeHead(200, { "content-type": "application/json" });
  http.end(text.slice(half));
}

async function tellStream({ upstream, leaves }, http, seen, begun, gone) {
  const list = frames(upstream, seen);
  const at = {
    "before the headers": 0,
    "after the first byte": 1,
    "in the middle": PRODUCED,
    "does not read": list.length,
  }[leaves];
  const shown = at === 0 || at === list.length ? at : list.findIndex((frame) => frame.includes(`"${PIECES[at]}"`));
  begun.open();
  if (at === 0) await gone;
  http.writeHead(200, { "content-type": "text/event-stream" });
  http.flushHeaders();
  for (const frame of list.slice(0, shown)) await write(http, frame);
  if (at > 0 && at < list.length) await gone;
  const again = shown > 0 && shown < list.length ? Array(REPEATED).fill(list[shown]) : [];
  for (const frame of [...again, ...list.slice(shown)]) {
    if (http.destroyed) return;
    await write(http, frame);
    await sleep(PACE_MS);
  }
  http.end();
}

function write(http, text) {
  return new Promise((resolve) => http.write(text, resolve));
}

/** A promise with the function that resolves it. */
function gate() {
  let open;
  const opened = new Promise((resolve) => (open = resolve));
  return { open, opened };
}
