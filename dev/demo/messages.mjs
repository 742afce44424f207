// The demo upstream's answers in Anthropic's dialect. A request is translated to a chat request and gets its answer.
import { BadRequest } from "./errors.mjs";
import { oneAnswer } from "./one-answer.mjs";
import { promptTokens } from "./tokens.mjs";

/** Returns the answer to POST /v1/messages, in the form that wire-messages.mjs reads. */
export function answerToMessages(body) {
  if (!Number.isInteger(body.max_tokens))
    throw new BadRequest(400, "max_tokens: Field required", "missing_required_parameter", "max_tokens");
  return oneAnswer(chatRequest(body), "toolu");
}

/** Answers POST /v1/messages/count_tokens. */
export function inputTokens(body) {
  return { input_tokens: promptTokens(chatRequest(body)) };
}

function chatRequest(body) {
  const {
    model,
    system,
    messages,
    tools = [],
    tool_choice: choice,
    max_tokens,
    stop_sequences: stop,
    output_config: output,
  } = body;
  if (!Array.isArray(messages)) throw new BadRequest(400, "messages: Field required", "invalid_value", "messages");
  const schema = output?.format?.type === "json_schema" ? output.format.schema : undefined;
  return {
    model,
    messages: [...(system ? [{ role: "system", content: system }] : []), ...messages.flatMap(chatMessages)],
    tools: tools.filter((tool) => tool.input_schema && !tool.defer_loading).map(chatTool),
    tool_choice: { any: "required", none: "none", tool: { function: { name: choice?.name } } }[choice?.type] ?? "auto",
    parallel_tool_calls: choice?.disable_parallel_tool_use !== true,
    max_tokens,
    stop,
    ...(schema && { response_format: { type: "json_schema", json_schema: { schema } } }),
  };
}

function chatTool({ name, description, input_schema: parameters }) {
  return { type: "function", function: { name, description, parameters } };
}

/** Returns the chat messages of one message: the message, then one message for each tool result in it. */
function chatMessages({ role, content }) {
  const parts = Array.isArray(content) ? content : [{ type: "text", text: content }];
  const results = parts
    .filter(({ type }) => type === "tool_result")
    .map(({ content: text }) => ({ role: "tool", content: text ?? "" }));
  const said = parts.filter(({ type }) => ["text", "image", "document"].includes(type));
  return said.length > 0 || results.length === 0 ? [{ role, content: said }, ...results] : results;
}
