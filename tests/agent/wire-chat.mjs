// An answer as chat completions write it. What an answer is stands in dev/demo/wire-messages.mjs; thinking
// is `reasoning_content`, which has no state behind it.

/** The whole answer. */
export function completion(answer) {
  const { blocks, finish, usage } = answer;
  const calls = blocks.filter(({ type }) => type === "tool").map((block) => toolCall(block, block.pieces.join("")));
  const message = {
    role: "assistant",
    content: textOf(blocks, "text"),
    refusal: null,
    ...(hasThinking(blocks) && { reasoning_content: textOf(blocks, "thinking") }),
    ...(calls.length > 0 && { tool_calls: calls }),
  };
  const choices = [{ index: 0, message, logprobs: null, finish_reason: finish }];
  return { ...head(answer, "chat.completion"), choices, usage: usageOf(usage) };
}

/** The chunks of the streamed answer with usage at the end, in order, without [DONE]. */
export function completionChunks(answer) {
  const { blocks, finish, usage } = answer;
  const common = { ...head(answer, "chat.completion.chunk"), usage: null };
  const chunk = (delta, finish_reason = null) => ({
    ...common,
    choices: [{ index: 0, delta, logprobs: null, finish_reason }],
  });
  const calls = blocks.filter(({ type }) => type === "tool");
  const deltas = blocks.flatMap((block) => {
    if (block.type === "thinking") return block.pieces.map((reasoning_content) => ({ reasoning_content }));
    if (block.type === "text") return block.pieces.map((content) => ({ content }));
    const index = calls.indexOf(block);
    const pieces = block.pieces.map((text) => ({ index, function: { arguments: text } }));
    return [{ index, ...toolCall(block, "") }, ...pieces].map((call) => ({ tool_calls: [call] }));
  });
  const first = chunk({ role: "assistant", content: calls.length > 0 ? null : "", refusal: null });
  return [
    first,
    ...deltas.map((delta) => chunk(delta)),
    chunk({}, finish),
    { ...common, choices: [], usage: usageOf(usage) },
  ];
}

function head({ id, model }, object) {
  return {
    id: `chatcmpl-${id}`,
    object,
    created: Math.floor(Date.now() / 1000),
    model,
    system_fingerprint: "fp_agent",
  };
}

function hasThinking(blocks) {
  return blocks.some(({ type }) => type === "thinking");
}

/** The text of all blocks of a type, or null when there are none. */
function textOf(blocks, type) {
  const texts = blocks.filter((block) => block.type === type).map(({ pieces }) => pieces.join(""));
  return texts.length > 0 ? texts.join("") : null;
}

function toolCall({ id, name, custom }, text) {
  if (custom) return { id, type: "custom", custom: { name, input: text } };
  return { id, type: "function", function: { name, arguments: text } };
}

function usageOf({ input, cached, output, reasoning }) {
  return {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    prompt_tokens_details: { cached_tokens: cached },
    completion_tokens_details: { reasoning_tokens: reasoning },
  };
}
