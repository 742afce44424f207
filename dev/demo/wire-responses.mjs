// Writes an answer in the dialect of OpenAI's Responses API: as a response, or as the events of a response
// (https://platform.openai.com/docs/api-reference/responses-streaming). wire-messages.mjs describes the answer.

const DONE = { status: "completed" };
const CUT = { status: "incomplete", incomplete_details: { reason: "max_output_tokens" } };

/** Returns the whole response to `request`. A response repeats some fields of its request. */
export function response(answer, request) {
  const output = answer.blocks.map((block, index) => itemOf(block, itemId(answer, block, index), "completed"));
  const end = answer.finish === "length" ? CUT : { ...DONE, completed_at: now() };
  return { ...head(answer, request), ...end, output, usage: usageOf(answer.usage) };
}

/** Returns the events of the streamed response, in order. */
export function responseEvents(answer, request) {
  const begun = { ...head(answer, request), status: "in_progress", output: [], usage: null };
  const last = response(answer, request);
  const events = [
    { type: "response.created", response: begun },
    { type: "response.in_progress", response: begun },
    ...answer.blocks.flatMap((block, index) => itemEvents(block, itemId(answer, block, index), index)),
    { type: `response.${last.status}`, response: last },
  ];
  return events.map((event, sequence_number) => ({ ...event, sequence_number }));
}

const PREFIX = { thinking: "rs", text: "msg", tool: "fc", custom: "ctc" };

function itemId(answer, block, index) {
  return `${PREFIX[block.custom ? "custom" : block.type]}_${answer.id}${index}`;
}

function itemOf(block, id, status) {
  const text = status === "completed" ? block.pieces.join("") : "";
  if (block.type === "thinking") {
    const summary = text === "" ? [] : [{ type: "summary_text", text }];
    return { id, type: "reasoning", summary, encrypted_content: block.opaque };
  }
  if (block.type === "text")
    return { id, type: "message", role: "assistant", status, content: text === "" ? [] : [part(text)] };
  const call = { id, call_id: block.id, name: block.name, status };
  if (block.custom) return { ...call, type: "custom_tool_call", input: text };
  return { ...call, type: "function_call", arguments: text, ...(block.namespace && { namespace: block.namespace }) };
}

function itemEvents(block, item_id, output_index) {
  const at = { item_id, output_index };
  return [
    { type: "response.output_item.added", output_index, item: itemOf(block, item_id, "in_progress") },
    ...INSIDE[block.custom ? "custom" : block.type](block, at),
    { type: "response.output_item.done", output_index, item: itemOf(block, item_id, "completed") },
  ];
}

const INSIDE = {
  thinking({ pieces }, at) {
    const inside = { ...at, summary_index: 0 };
    const text = pieces.join("");
    return [
      { type: "response.reasoning_summary_part.added", ...inside, part: { type: "summary_text", text: "" } },
      ...pieces.map((delta) => ({ type: "response.reasoning_summary_text.delta", ...inside, delta })),
      { type: "response.reasoning_summary_text.done", ...inside, text },
      { type: "response.reasoning_summary_part.done", ...inside, part: { type: "summary_text", text } },
    ];
  },
  text({ pieces }, at) {
    const inside = { ...at, content_index: 0 };
    const text = pieces.join("");
    return [
      { type: "response.content_part.added", ...inside, part: part("") },
      ...pieces.map((delta) => ({ type: "response.output_text.delta", ...inside, delta, logprobs: [] })),
      { type: "response.output_text.done", ...inside, text, logprobs: [] },
      { type: "response.content_part.done", ...inside, part: part(text) },
    ];
  },
  tool({ name, pieces }, at) {
    return [
      ...pieces.map((delta) => ({ type: "response.function_call_arguments.delta", ...at, delta })),
      { type: "response.function_call_arguments.done", ...at, name, arguments: pieces.join("") },
    ];
  },
  custom({ pieces }, at) {
    return [
      ...pieces.map((delta) => ({ type: "response.custom_tool_call_input.delta", ...at, delta })),
      { type: "response.custom_tool_call_input.done", ...at, input: pieces.join("") },
    ];
  },
};

function part(text) {
  return { type: "output_text", text, annotations: [], logprobs: [] };
}

/** Returns all fields of a response. A field that the request does not set has OpenAI's default. */
function head({ id, model }, request) {
  return {
    id: `resp_${id}`,
    object: "response",
    created_at: now(),
    completed_at: null,
    status: "completed",
    background: false,
    error: null,
    incomplete_details: null,
    instructions: request.instructions ?? null,
    max_output_tokens: request.max_output_tokens ?? null,
    max_tool_calls: null,
    metadata: request.metadata ?? {},
    model,
    parallel_tool_calls: request.parallel_tool_calls ?? true,
    presence_penalty: 0,
    frequency_penalty: 0,
    previous_response_id: null,
    prompt_cache_key: request.prompt_cache_key ?? null,
    reasoning: { effort: null, summary: null, ...request.reasoning },
    safety_identifier: request.safety_identifier ?? null,
    service_tier: "default",
    store: request.store ?? true,
    temperature: request.temperature ?? 1,
    text: { format: { type: "text" }, ...request.text },
    tool_choice: request.tool_choice ?? "auto",
    tools: request.tools ?? [],
    top_logprobs: 0,
    top_p: request.top_p ?? 1,
    truncation: request.truncation ?? "disabled",
  };
}

function usageOf({ input, cached, output, reasoning }) {
  return {
    input_tokens: input,
    input_tokens_details: { cached_tokens: cached, cache_write_tokens: 0 },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: reasoning },
    total_tokens: input + output,
  };
}

function now() {
  return Math.floor(Date.now() / 1000);
}
