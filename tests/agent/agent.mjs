// A scripted agent. It plays the model in a tool loop, in each of the three dialects, as an answer of the scripted
// upstream (tests/e2e/upstream.mjs). The agent calls one of the offered tools and then repeats the tool's result.
import { randomUUID } from "node:crypto";
import { pieces } from "../../dev/demo/tokens.mjs";
import { eventStream } from "../e2e/upstream.mjs";
import { dialectOf, newResults, readRequest } from "./read.mjs";
import { callFor } from "./tools.mjs";
import { brokenStream, send, text, thinking, tool } from "./wire.mjs";

/** The agent's reasoning, if the test asks for it, and the provider's state of this reasoning. */
export const THOUGHT = "The user wants a command to be run.";
export const OPAQUE = Buffer.from("the state behind a thought").toString("base64");

// How much of a tool's output the final answer repeats.
const MAX_REPEATED_CHARS = 400;
const CACHED_TOKENS = 8;
const CALL_PREFIX = { chat: "call", messages: "toolu", responses: "call" };

/**
 * Returns the agent as an answer of the scripted upstream.
 * - `commands`: the commands of one turn; several commands are called in parallel;
 * - `think`: whether the agent reasons before it calls a tool;
 * - `call`: a function from the offered tools to the call, instead of `commands`;
 * - `failStreams`: how many streamed requests break with the dialect's error event after their first words. Whole
 *   answers never break. A stream that broke before its first words would be a failure of the upstream, which the
 *   gateway answers with a status.
 */
export function agent({ commands = ["echo hello"], think = false, call, failStreams = 0 } = {}) {
  let failures = failStreams;
  return async (http, seen) => {
    const dialect = dialectOf(seen.path);
    const streamed = seen.json.stream === true;
    if (streamed && failures > 0) {
      failures -= 1;
      return eventStream(brokenStream(dialect, seen.json, [text("Let me")]))(http);
    }
    await send(answerTo(dialect, seen.json, { commands, think, call }), http, seen);
  };
}

/** Returns the answer (see dev/demo/wire-messages.mjs) to a request's body. */
function answerTo(dialect, body, { commands, think, call }) {
  const request = readRequest(dialect, body);
  const blocks = nextBlocks(request, CALL_PREFIX[dialect], { commands, think, call });
  const count = (type) =>
    blocks.filter((block) => block.type === type).reduce((sum, block) => sum + block.pieces.length, 0);
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
  return [
    ...(think ? [thinking(THOUGHT, OPAQUE)] : []),
    ...calls.map(({ input, ...named }) => tool(callId(prefix), named, input)),
  ];
}

function callId(prefix) {
  return `${prefix}_${randomUUID().replaceAll("-", "").slice(0, 24)}`;
}
