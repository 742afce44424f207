// The plainest chat request and answer, for tests that are about something else.

/** A chat request for `model`, as the text of its body; `more` are further fields. */
export function chatBody(model, more = {}) {
  return JSON.stringify({ model, messages: [{ role: "user", content: "hi" }], ...more });
}

/** A whole answer of `model`. At the prices of "chat" it costs COMPLETION_NANO_USD. */
export function completion(model, content = "hello") {
  return {
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 1_700_000_000,
    model,
    choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }],
    usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
  };
}

/** 10 × $2 + 5 × $10, each a million tokens. */
export const COMPLETION_NANO_USD = 70_000;

/** The chunks of the same answer, streamed: text, end, usage. */
export function completionChunks(model) {
  const chunk = (choices, usage) => ({
    id: "chatcmpl-1",
    object: "chat.completion.chunk",
    created: 1_700_000_000,
    model,
    choices,
    ...usage,
  });
  return [
    chunk([{ index: 0, delta: { role: "assistant", content: "hello" }, finish_reason: null }]),
    chunk([{ index: 0, delta: {}, finish_reason: "stop" }]),
    chunk([], { usage: completion(model).usage }),
  ];
}

/** The envelope of an error, as the body that it is. */
export function errorBody(code, message, param) {
  return { error: { message, type: "oneinterface_error", code, ...(param && { param }) } };
}
