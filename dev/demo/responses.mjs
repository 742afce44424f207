// The demo upstream's answers in the dialect of OpenAI's Responses API. A request is translated to a chat request and
// gets its answer.
import { BadRequest } from "./errors.mjs";
import { oneAnswer } from "./one-answer.mjs";

/** Returns the answer to POST /v1/responses, in the form that wire-responses.mjs reads. */
export function answerToResponses(body) {
  const {
    model,
    instructions,
    input,
    tools = [],
    tool_choice: choice,
    parallel_tool_calls,
    max_output_tokens: max_tokens,
    text,
  } = body;
  if (typeof input !== "string" && !Array.isArray(input))
    throw new BadRequest(400, "input is a string or an array of items.", "invalid_value", "input");
  const items = typeof input === "string" ? [{ role: "user", content: input }] : input;
  const chat = {
    model,
    messages: [...(instructions ? [{ role: "system", content: instructions }] : []), ...items.flatMap(chatMessages)],
    tools: tools
      .filter(({ type }) => type === "function")
      .map(({ name, parameters }) => ({ type: "function", function: { name, parameters } })),
    tool_choice:
      typeof choice === "object" && choice?.type === "function" ? { function: { name: choice.name } } : choice,
    parallel_tool_calls,
    max_tokens: max_tokens ?? undefined,
    response_format: formatOf(text?.format),
  };
  return oneAnswer(chat, "call");
}

function formatOf(format) {
  return format?.type === "json_schema" ? { type: "json_schema", json_schema: { schema: format.schema } } : format;
}

/** Returns the chat messages of one item. Reasoning and unknown items have none. */
function chatMessages({ type = "message", role, content, output, name, arguments: args, input }) {
  if (type === "message") return [{ role, content }];
  if (type === "function_call" || type === "custom_tool_call") {
    return [{ role: "assistant", content: null, tool_calls: [{ name, arguments: args ?? input }] }];
  }
  return type === "function_call_output" || type === "custom_tool_call_output"
    ? [{ role: "tool", content: output }]
    : [];
}
