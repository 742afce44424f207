// The scripted upstream: an HTTP server in this process that answers each model as a test tells it to,
// and keeps every request exactly as it came. What a test may tell it are the functions below
// `startUpstream`, or any `async (response, seen) => {}` over node's own response.
import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { completion, completionChunks } from "../../dev/demo/chat.mjs";
import { embeddings } from "../../dev/demo/embeddings.mjs";
import { BadRequest } from "../../dev/demo/errors.mjs";

/**
 * Starts it on 127.0.0.1. Resolves to
 *
 * - `url`: the origin; the upstream "main" of the test catalogue is at /v1, any other at /NAME/v1
 * - `answer(model, answer)`: from now on, for the upstream's own id of the model
 * - `answerOnce(model, answer)`: for the next request that no earlier `answerOnce` takes
 * - `requests`: what was asked, oldest first: `{ upstream, method, path, headers, body, json, closed }`;
 *   `body` is the exact bytes, `json` what they mean (undefined when nothing), `closed` resolves to
 *   "finished" when the whole answer was written, to "cut" when the connection ended before
 * - `seen(model)`: those of one model
 * - `forget()`: forgets requests and answers
 * - `close()`
 */
export async function startUpstream() {
  const standing = new Map();
  const queued = new Map();
  const requests = [];

  const server = http.createServer(async (request, response) => {
    const parts = [];
    try {
      for await (const part of request) parts.push(part);
    } catch {
      return; // the Worker left in the middle of its request
    }
    const seen = record(request, response, Buffer.concat(parts));
    requests.push(seen);
    const model = seen.json?.model;
    const answer = queued.get(model)?.shift() ?? standing.get(model) ?? unscripted(model);
    try {
      await answer(response, seen);
    } catch (error) {
      // A client that left is the test's business; anything else is a defect of the test.
      if (!response.destroyed) {
        console.error("scripted upstream:", error);
        response.destroy();
      }
    }
  });
  // Node closes a connection that was idle for 5 s, also when it was too busy to see that a request has come by
  // it: the Worker would find a broken connection where nothing broke. Providers keep theirs for longer.
  server.keepAliveTimeout = 600_000;
  await new Promise((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));

  return {
    url: `http://127.0.0.1:${server.address().port}`,
    host: `127.0.0.1:${server.address().port}`,
    requests,
    answer: (model, answer) => void standing.set(model, answer),
    answerOnce: (model, answer) => void queued.set(model, [...(queued.get(model) ?? []), answer]),
    seen: (model) => requests.filter((seen) => seen.json?.model === model),
    forget() {
      requests.length = 0;
      standing.clear();
      queued.clear();
    },
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}

function record(request, response, body) {
  let json;
  try {
    json = JSON.parse(body.toString("utf8"));
  } catch {
    // A test that cares looks at the bytes.
  }
  const path = request.url;
  const [, name] = path.match(/^\/([^/]+)\/v1\//) ?? [];
  const closed = new Promise((resolve) => {
    response.once("close", () => resolve(response.writableFinished ? "finished" : "cut"));
  });
  return { upstream: name ?? "main", method: request.method, path, headers: request.headers, body, json, closed };
}

function unscripted(model) {
  return json({ error: { message: `the test scripted no answer for ${model}` } }, { status: 500 });
}

/** Answers with a JSON value. */
export function json(value, { status = 200, headers = {} } = {}) {
  return bytes(JSON.stringify(value), { status, headers: { "content-type": "application/json", ...headers } });
}

/**
 * Answers with bytes as they are. `sizes` splits them: the lengths of the pieces, the last of which is
 * repeated; `delayMs` lies between two pieces. `end`: "end" ends the body properly, "cut" breaks the
 * connection after the last byte, "stall" leaves it open for ever.
 */
export function bytes(body, { status = 200, headers = {}, sizes = [], delayMs = 0, end = "end" } = {}) {
  const whole = Buffer.from(body);
  return async (response) => {
    response.writeHead(status, headers);
    response.flushHeaders();
    for (const piece of pieces(whole, sizes)) {
      if (response.destroyed) return;
      // Written and flushed on its own: the Worker sees the pieces, not node's joined ones.
      await new Promise((resolve) => response.write(piece, resolve));
      if (delayMs > 0) await sleep(delayMs);
    }
    if (end === "end") response.end();
    if (end === "cut") response.destroy();
  };
}

/** Answers with a stream of events, given as the text on the wire. Options as for `bytes`. */
export function eventStream(text, { headers = {}, ...options } = {}) {
  return bytes(text, { headers: { "content-type": "text/event-stream", ...headers }, ...options });
}

/** The text on the wire of chat chunks: `data: …` for each, and `[DONE]`. */
export function events(chunks) {
  const lines = chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`);
  return `${lines.join("")}data: [DONE]\n\n`;
}

/** Answers as the demo upstream of `npm start` does. */
export function demo() {
  return async (response, seen) => {
    try {
      await demoAnswer(seen)(response);
    } catch (error) {
      if (!(error instanceof BadRequest)) throw error;
      await json(error.body, { status: error.status })(response);
    }
  };
}

function demoAnswer({ path, json: body }) {
  if (path.endsWith("/embeddings")) return json(embeddings(body));
  return body.stream ? eventStream(events(completionChunks(body))) : json(completion(body));
}

/** Takes the request and never answers. */
export function silence() {
  return async () => {};
}

/** Breaks the connection instead of answering. */
export function hangUp() {
  return async (response) => void response.destroy();
}

function* pieces(whole, sizes) {
  if (sizes.length === 0) return void (yield whole);
  for (let at = 0, turn = 0; at < whole.length; turn += 1) {
    const size = sizes[Math.min(turn, sizes.length - 1)];
    yield whole.subarray(at, at + size);
    at += size;
  }
}
