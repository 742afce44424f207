// What can go wrong at an upstream: each failure by how it looks on the wire, and by what it is. Nothing here
// says what the gateway should make of it; that is expected.mjs.
import { named, streamOf, THEIR_WORDS, wholeOf } from "../agent/wire.mjs";
import { bytes, eventStream, hangUp, json, silence } from "../e2e/upstream.mjs";

/** The pieces of every answer, one event each when streamed, and what its provider counts. */
export const PIECES = ["alpha", " beta", " gamma", " delta", " epsilon", " zeta", " eta", " theta"];
export const USAGE = { input: 120, cached: 20, output: 30, reasoning: 0 };
/** After how many pieces a stream breaks that breaks in the middle. */
export const PRODUCED = 3;

const EARLIER = { ...USAGE, output: 7 };

const SSE = { "content-type": "text/event-stream" };
const HTML = { "content-type": "text/html" };
const JSON_TYPE = { "content-type": "application/json" };

/** The answer to a request that an upstream has `seen`. */
export function answerTo({ json: body }, usage = USAGE) {
  return { id: "abc123", model: body.model, blocks: [{ type: "text", pieces: PIECES }], finish: "stop", usage };
}

/** Answers as one that works. */
export function good(dialect) {
  return (http, seen) => {
    const answer = answerTo(seen);
    const stream = seen.json.stream === true;
    return stream
      ? eventStream(streamOf(dialect, answer, seen.json))(http)
      : json(wholeOf(dialect, answer, seen.json))(http);
  };
}

/** The text on the wire of each event of a good stream. */
export function frames(dialect, seen, usage) {
  return streamOf(dialect, answerTo(seen, usage), seen.json).split(/(?<=\n\n)/);
}

/** How many of them come before the words of piece `n` (from 0) have been said. */
function upTo(list, n) {
  return list.findIndex((frame) => frame.includes(`"${PIECES[n]}"`));
}

function begun(dialect, seen) {
  const list = frames(dialect, seen);
  return list.slice(0, upTo(list, PRODUCED));
}

/** An error of the provider, in its dialect. */
function theirError(dialect, more = {}) {
  const error = { type: "server_error", message: THEIR_WORDS, param: THEIR_WORDS, code: null, ...more };
  return dialect === "messages" ? { type: "error", error } : { error };
}

function errorEvent(dialect) {
  if (dialect === "chat") return `data: ${JSON.stringify(theirError("chat"))}\n\n`;
  if (dialect === "messages") return named([theirError("messages", { type: "overloaded_error" })]);
  return named([{ type: "error", code: "server_error", message: THEIR_WORDS, param: null, sequence_number: 99 }]);
}

const TOO_LONG =
  "This model's maximum context length is 200000 tokens, the prompt is too long: 200001 tokens > 200000 maximum.";

function status(status, { headers = {}, as = { status }, ...error } = {}) {
  const marks = { "x-provider": THEIR_WORDS, "set-cookie": `a=${encodeURIComponent(THEIR_WORDS)}` };
  const answer = (dialect) => json(theirError(dialect, error), { status, headers: { ...marks, ...headers } });
  return { as, answer };
}

function streamed(as, text, options) {
  return { as, only: "stream", answer: (dialect) => (http, seen) => eventStream(text(dialect, seen), options)(http) };
}

function retryAfter(code, seconds) {
  return status(code, { headers: { "retry-after": String(seconds) }, as: { status: code, retryAfter: seconds } });
}

/** A whole answer of which only a half comes. */
function half(end) {
  return (dialect) => (http, seen) => {
    const text = JSON.stringify(wholeOf(dialect, answerTo(seen), seen.json));
    return bytes(text.slice(0, text.length / 2), {
      headers: { ...JSON_TYPE, "content-length": String(Buffer.byteLength(text)) },
      end,
    })(http);
  };
}

/** A stream without its last event: [DONE], message_stop, response.completed. */
const withoutTerminal = (dialect, seen) => frames(dialect, seen).slice(0, -1).join("");

/** The usage is told twice, and the first time too low. */
function usageTwice(dialect, seen) {
  const list = frames(dialect, seen);
  const twice = (frame) => frame.includes('"usage":{') && frame.includes(String(USAGE.output));
  const at = list.findLastIndex(twice);
  const [early] = frames(dialect, seen, EARLIER).slice(at, at + 1);
  if (dialect === "responses")
    return [
      ...list.slice(0, at),
      early
        .replaceAll("response.completed", "response.in_progress")
        .replace('"status":"completed"', '"status":"in_progress"'),
      ...list.slice(at),
    ].join("");
  return [...list.slice(0, at), early, ...list.slice(at)].join("");
}

/**
 * By name: `as` is what it is to a gateway, `only` the mode in which it can happen, both when absent;
 * `at` the upstream that it needs ("dead": nothing listens; "hasty": its deadlines are short). `answer(dialect)`
 * makes the answer of the scripted upstream.
 */
export const FAILURES = {
  "connection refused": { as: "unreachable", at: "dead", answer: () => silence() },
  "reset before headers": { as: "unreachable", answer: () => hangUp() },
  "no headers in time": { as: "late", at: "hasty", answer: () => silence() },

  "400 context length": status(400, {
    message: `${TOO_LONG} ${THEIR_WORDS}`,
    type: "invalid_request_error",
    code: "context_length_exceeded",
    as: "too long",
  }),
  400: status(400),
  401: status(401, { headers: { "www-authenticate": "Bearer" } }),
  403: status(403),
  404: status(404),
  408: status(408),
  413: status(413),
  422: status(422),
  425: status(425),
  "429 with retry-after": retryAfter(429, 7),
  429: status(429),
  500: status(500),
  502: status(502),
  503: status(503),
  "503 with retry-after": retryAfter(503, 7),
  529: status(529),
  redirect: {
    as: { status: 307 },
    answer: () => bytes("", { status: 307, headers: { location: "/elsewhere/v1/chat/completions" } }),
  },

  "200 with HTML": { as: "no answer", answer: () => bytes(`<html>${THEIR_WORDS}</html>`, { headers: HTML }) },
  "200 with a JSON error": { as: "no answer", answer: (dialect) => json(theirError(dialect)) },
  "empty body": {
    as: "no answer",
    answer:
      () =>
      (http, { json: { stream } }) =>
        bytes("", { headers: stream ? SSE : JSON_TYPE })(http),
  },
  "malformed JSON": {
    as: "no answer",
    only: "whole",
    answer: () => bytes('{"id":"abc","choices":[{', { headers: JSON_TYPE }),
  },
  "cut within the body": { as: "unreachable", only: "whole", answer: half("cut") },
  "stall within the body": { as: "late", only: "whole", at: "hasty", answer: half("stall") },

  "error as the first event": streamed("no answer", errorEvent),
  "cut at once": streamed("no answer", () => "", { end: "cut" }),
  "comment, then cut": streamed("no answer", () => ": working\n\n", { end: "cut" }),
  "garbage as the first event": streamed("no answer", () => `data: <html>${THEIR_WORDS}</html>\n\n`),
  "error after words": streamed("broken", (dialect, seen) => [...begun(dialect, seen), errorEvent(dialect)].join("")),
  "cut after words": streamed("broken", (dialect, seen) => begun(dialect, seen).join(""), { end: "cut" }),
  "end after words": streamed("broken", (dialect, seen) => begun(dialect, seen).join("")),
  "cut within a frame": streamed(
    "broken",
    (dialect, seen) => {
      const list = frames(dialect, seen);
      const at = upTo(list, PRODUCED);
      return list.slice(0, at).join("") + list[at].slice(0, 20);
    },
    { end: "cut" },
  ),
  "stall after words": {
    ...streamed("broken", (dialect, seen) => begun(dialect, seen).join(""), { end: "stall" }),
    at: "hasty",
  },
  "garbage after words": streamed(
    "broken",
    (dialect, seen) => `${begun(dialect, seen).join("")}data: <html>${THEIR_WORDS}</html>\n\n`,
  ),
  // The finish of chat and messages stands before the terminal event; in responses it is that event.
  "no terminal": {
    ...streamed("complete", withoutTerminal),
    as: (dialect) => (dialect === "responses" ? "broken at the end" : "complete"),
  },
  "usage twice": streamed("complete", usageTwice),
};
