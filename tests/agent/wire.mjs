// Answers of the scripted upstream that have the same content in every dialect. Each is written in the dialect of the
// request's path. dev/demo/wire-messages.mjs describes the form of an answer.
import { message, messageEvents } from "../../dev/demo/wire-messages.mjs";
import { response as responseOf, responseEvents } from "../../dev/demo/wire-responses.mjs";
import { pieces } from "../../dev/demo/tokens.mjs";
import { eventStream, events, json } from "../e2e/upstream.mjs";
import { dialectOf } from "./read.mjs";
import { completion, completionChunks } from "./wire-chat.mjs";

/** The error text of a failing provider. No client may receive it. */
export const THEIR_WORDS = "words of the provider";

/** What `says` counts. */
export const USAGE = { input: 120, cached: 20, output: 30, reasoning: 0 };

export function text(words) {
  return { type: "text", pieces: pieces(words) };
}

export function thinking(words, opaque) {
  return { type: "thinking", pieces: pieces(words), opaque };
}

/** A call of the tool `{ name, namespace, custom }` with `input`, a text. */
export function tool(id, named, input) {
  return { type: "tool", id, ...named, pieces: pieces(input) };
}

/** An answer of the scripted upstream: these blocks, whole or streamed as it is asked for. */
export function says(blocks, { finish, usage = USAGE } = {}) {
  finish ??= blocks.some(({ type }) => type === "tool") ? "tool_calls" : "stop";
  return (http, seen) => send({ id: "abc123", model: seen.json.model, blocks, finish, usage }, http, seen);
}

/** Answers a request that was `seen` with `answer`. */
export function send(answer, http, { path, json: body }) {
  const dialect = dialectOf(path);
  return body.stream === true
    ? eventStream(streamOf(dialect, answer, body))(http)
    : json(wholeOf(dialect, answer, body))(http);
}

/** Returns a whole answer in a dialect. */
export function wholeOf(dialect, answer, request) {
  return { chat: completion, messages: message, responses: responseOf }[dialect](answer, request);
}

/** Returns the bytes of a streamed answer in a dialect, as text. */
export function streamOf(dialect, answer, request) {
  if (dialect === "chat") return events(completionChunks(answer));
  return named(dialect === "messages" ? messageEvents(answer) : responseEvents(answer, request));
}

/** The text on the wire of events that carry their name. */
export function named(list) {
  return list.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join("");
}

/** Answers with a stream of these blocks that fails, in its dialect's words, where it should have ended. */
export function breaks(blocks) {
  return (http, seen) => eventStream(brokenStream(dialectOf(seen.path), seen.json, blocks))(http);
}

/** The text on the wire of such a stream. */
export function brokenStream(dialect, request, blocks = []) {
  const answer = { id: "broken", model: request.model, blocks, finish: "stop", usage: USAGE };
  if (dialect === "chat") {
    const error = { error: { message: THEIR_WORDS, type: "server_error", param: null, code: null } };
    const chunks = [...completionChunks(answer).slice(0, -2), error]; // in place of the finish and the usage
    return chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join("");
  }
  if (dialect === "messages") {
    return named([
      ...messageEvents(answer).slice(0, -2),
      { type: "error", error: { type: "overloaded_error", message: THEIR_WORDS } },
    ]);
  }
  const events = responseEvents(answer, request);
  const { response: last, sequence_number } = events.pop();
  const failed = {
    ...last,
    status: "failed",
    output: [],
    usage: null,
    error: { code: "server_error", message: THEIR_WORDS },
  };
  return named([...events, { type: "response.failed", response: failed, sequence_number }]);
}
