// Writes an answer in Anthropic's dialect: as a message, or as the events of a message (https://docs.claude.com, Messages).
//
// An answer is `{ id, model, blocks, finish, usage }`:
// - `id`: ASCII letters and digits; the dialect adds its prefix;
// - `blocks`, in order. The `pieces` of a block are its text, split. The kinds are `{ type: "thinking", opaque }`
//   (`opaque` is the provider's state of the reasoning), `{ type: "text" }`, and `{ type: "tool", id, name,
//   custom }`, whose pieces are JSON, or any text for a `custom` tool;
// - `finish`: "stop", "tool_calls" or "length";
// - `usage`: `{ input, cached, output, reasoning }` in tokens; `input` includes `cached`, `output` includes
//   `reasoning`.

const STOP = { stop: "end_turn", tool_calls: "tool_use", length: "max_tokens" };

/** Returns the whole answer. */
export function message(answer) {
  const { blocks, finish, usage } = answer;
  return {
    ...head(answer),
    content: blocks.map(whole),
    stop_reason: STOP[finish],
    usage: { ...startUsage(usage), ...endUsage(usage) },
  };
}

/** Returns the events of the streamed answer, in order. */
export function messageEvents(answer) {
  const { blocks, finish, usage } = answer;
  const start = { ...head(answer), usage: { ...startUsage(usage), output_tokens: 1 } };
  return [
    { type: "message_start", message: start },
    { type: "ping" },
    ...blocks.flatMap(blockEvents),
    {
      type: "message_delta",
      delta: { stop_reason: STOP[finish], stop_sequence: null, stop_details: null },
      usage: endUsage(usage),
    },
    { type: "message_stop" },
  ];
}

function head({ id, model }) {
  return {
    id: `msg_${id}`,
    type: "message",
    role: "assistant",
    model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    stop_details: null,
  };
}

function whole(block) {
  const text = block.pieces.join("");
  if (block.type === "thinking") return { type: "thinking", thinking: text, signature: block.opaque };
  if (block.type === "text") return { type: "text", text };
  return { type: "tool_use", id: block.id, name: block.name, input: JSON.parse(text) };
}

function blockEvents(block, index) {
  const deltas = block.pieces.map((piece) => DELTAS[block.type](piece));
  if (block.type === "thinking") deltas.push({ type: "signature_delta", signature: block.opaque });
  if (block.type === "tool") deltas.unshift(DELTAS.tool("")); // Anthropic begins every tool block with an empty delta
  return [
    { type: "content_block_start", index, content_block: OPEN[block.type](block) },
    ...deltas.map((delta) => ({ type: "content_block_delta", index, delta })),
    { type: "content_block_stop", index },
  ];
}

const OPEN = {
  thinking: () => ({ type: "thinking", thinking: "", signature: "" }),
  text: () => ({ type: "text", text: "" }),
  tool: ({ id, name }) => ({ type: "tool_use", id, name, input: {} }),
};

const DELTAS = {
  thinking: (thinking) => ({ type: "thinking_delta", thinking }),
  text: (text) => ({ type: "text_delta", text }),
  tool: (partial_json) => ({ type: "input_json_delta", partial_json }),
};

function startUsage(usage) {
  const nothing = { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 0 };
  return { ...inputUsage(usage), cache_creation: nothing, service_tier: "standard", inference_geo: "global" };
}

function endUsage({ output, reasoning, ...input }) {
  const details = reasoning > 0 ? { output_tokens_details: { thinking_tokens: reasoning } } : {};
  return { ...inputUsage(input), output_tokens: output, ...details };
}

// Anthropic does not count tokens that are read from a cache as input.
function inputUsage({ input, cached }) {
  return { input_tokens: input - cached, cache_creation_input_tokens: 0, cache_read_input_tokens: cached };
}
