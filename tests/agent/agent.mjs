// A scripted agent: the part of a model that plays a tool loop, in each of the three dialects, as an answer
// of the scripted upstream (tests/e2e/upstream.mjs). It calls a tool of those that it is offered, and when
// the result is there it says what the tool said.
import { randomUUID } from "node:crypto";
import { message, messageEvents } from "../../dev/demo/wire-messages.mjs";
import { response as responseOf, responseEvents } from "../../dev/demo/wire-responses.mjs";
import { pieces } from "../../dev/demo/tokens.mjs";
import { eventStream, events, json } from "../e2e/upstream.mjs";
import { dialectOf, newResults, readRequest } from "./read.mjs";
import { callFor } from "./tools.mjs";
import { completion, completionChunks } from "./wire-chat.mjs";

/** What the agent thinks, where it is told to, and the provider's state behind it. */
export const THOUGHT = "The user wants a command to be run.";
export const OPAQUE = Buffer.from("the state behind a thought").toString("base64");

/** Words of a failing provider, which no client may read. */
export const THEIR_WORDS = "words of the provider";

// Of a tool's output, in the final answer.
const MAX_REPEATED_CHARS = 400;
const CACHED_TOKENS = 8;
const CALL_PREFIX = { chat: "call", messages: "toolu", responses: "call" };

/**
 * The agent, as an answer of the scripted upstream.
 * - `commands`: run in one turn, in parallel when there are several;
 * - `think`: it thinks before it calls a tool;
 * - `call`: a function from the tools that it is offered to the call, in place of the commands;
 * - `failStreams`: so many streamed requests break with the dialect's error event before they say
 *   anything; whole ones never do.
 */
export function agent({ commands = ["echo hello"], think = false, call, failStreams = 0 } = {}) {
  let failures = failStreams;
  return async (http, seen) => {
    const dialect = dialectOf(seen.path);
    const streamed = seen.json.stream === true;
    if (streamed && failures > 0) {
      failures -= 1;
      return eventStream(brokenStream(dialect, seen.json))(http);
    }
    const answer = answerTo(dialect, seen.json, { commands, think, call });
    await (streamed ? eventStream(streamOf(dialect, answer, seen.json)) : json(wholeOf(dialect, answer, seen.json)))(http);
  };
}

/** The answer (as in dev/demo/wire-messages.mjs) to a request's body. */
function answerTo(dialect, body, { commands, think, call }) {
  const request = readRequest(dialect, body);
  const blocks = nextBlocks(request, CALL_PREFIX[dialect], { commands, think, call });
  const count = (type) => blocks.filter((block) => block.type === type).reduce((sum, block) => sum + block.pieces.length, 0);
  const reasoning = count("thinking");
  return {
    id: randomUUID().replaceAll("-", "").slice(0, 24),
    model: body.model,
    blocks,
    finish: blocks.some(({ type }) => type === "tool") ? "tool_calls" : "stop",
    usage: {
      input: CACHED_TOKENS + pieces(JSON.stringify(body)).length,
      cached: CACHED_TOKENS,
      output: reasoning + count("text") + count("tool"),
      reasoning,
    },
  };
}

function nextBlocks(request, prefix, { commands, think, call }) {
  const results = newResults(request);
  if (results.length > 0) {
    const said = results.map(({ text }) => text.slice(0, MAX_REPEATED_CHARS).trim()).join(" | ");
    return [text(`The tool said: ${said}`)];
  }
  const calls = call ? [call(request.tools)] : commands.map((command) => callFor(request.tools, command));
  if (calls.includes(null)) return [text("I was offered no tool.")];
  const thinking = think ? [{ type: "thinking", pieces: pieces(THOUGHT), opaque: OPAQUE }] : [];
  return [...thinking, ...calls.map(({ input, ...named }) => ({ type: "tool", id: callId(prefix), ...named, pieces: pieces(input) }))];
}

function text(words) {
  return { type: "text", pieces: pieces(words) };
}

function callId(prefix) {
  return `${prefix}_${randomUUID().replaceAll("-", "").slice(0, 24)}`;
}

/** A whole answer in a dialect. */
export function wholeOf(dialect, answer, request) {
  return { chat: completion, messages: message, responses: responseOf }[dialect](answer, request);
}

/** The text on the wire of a streamed answer in a dialect. */
export function streamOf(dialect, answer, request) {
  if (dialect === "chat") return events(completionChunks(answer));
  return named(dialect === "messages" ? messageEvents(answer) : responseEvents(answer, request));
}

/** The text on the wire of events that carry their name. */
export function named(list) {
  return list.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join("");
}

/** A stream that begins, and fails before its first word. */
export function brokenStream(dialect, request) {
  const empty = { id: "broken", model: request.model, blocks: [], finish: "stop", usage: { input: 8, cached: 0, output: 0, reasoning: 0 } };
  if (dialect === "chat") {
    const [first] = completionChunks(empty);
    const error = { error: { message: THEIR_WORDS, type: "server_error", param: null, code: null } };
    return `data: ${JSON.stringify(first)}\n\ndata: ${JSON.stringify(error)}\n\n`;
  }
  if (dialect === "messages") {
    const [start, ping] = messageEvents(empty);
    return named([start, ping, { type: "error", error: { type: "overloaded_error", message: THEIR_WORDS } }]);
  }
  const [created, progress] = responseEvents(empty, request);
  const failed = { ...created.response, status: "failed", error: { code: "server_error", message: THEIR_WORDS } };
  return named([created, progress, { type: "response.failed", response: failed, sequence_number: 2 }]);
}
