// A scripted agent: the part of a model that plays a tool loop, in each of the three dialects, as an answer
// of the scripted upstream (tests/e2e/upstream.mjs). It calls a tool of those that it is offered, and when
// the result is there it says what the tool said.
import { randomUUID } from "node:crypto";
import { pieces } from "../../dev/demo/tokens.mjs";
import { eventStream } from "../e2e/upstream.mjs";
import { dialectOf, newResults, readRequest } from "./read.mjs";
import { callFor } from "./tools.mjs";
import { brokenStream, send, text, thinking, tool } from "./wire.mjs";

/** What the agent thinks, where it is told to, and the provider's state behind it. */
export const THOUGHT = "The user wants a command to be run.";
export const OPAQUE = Buffer.from("the state behind a thought").toString("base64");

// Of a tool's output, in the final answer.
const MAX_REPEATED_CHARS = 400;
const CACHED_TOKENS = 8;
const CALL_PREFIX = { chat: "call", messages: "toolu", responses: "call" };

/**
 * The agent, as an answer of the scripted upstream.
 * - `commands`: run in one turn, in parallel when there are several;
 * - `think`: it thinks before it calls a tool;
 * - `call`: a function from the tools that it is offered to the call, in place of the commands;
 * - `failStreams`: so many streamed requests break with the dialect's error event behind their first
 *   words; whole ones never do. One that breaks before them is a failure of the upstream to the gateway,
 *   which answers with a status.
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
  return [...(think ? [thinking(THOUGHT, OPAQUE)] : []), ...calls.map(({ input, ...named }) => tool(callId(prefix), named, input))];
}

function callId(prefix) {
  return `${prefix}_${randomUUID().replaceAll("-", "").slice(0, 24)}`;
}
