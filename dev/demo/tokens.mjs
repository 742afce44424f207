// The demo upstream's tokens: pieces of at most eight characters of a word, with the space before it.
// No real tokenizer counts like this; what matters is that text and its count go together.
const PIECE = /\s*\S{1,8}|\s+$/gu;

// What OpenAI documents for a message's frame, and for an image in low detail.
const MESSAGE_TOKENS = 3;
const IMAGE_TOKENS = 85;

/** The text cut into its tokens; joined they are the text again. */
export function pieces(text) {
  return text.match(PIECE) ?? [];
}

/** The tokens of a chat request's input: messages, tools and schema. */
export function promptTokens({ messages, tools, response_format: format }) {
  const declared = [tools?.length > 0 && tools, format?.json_schema].filter(Boolean).map((part) => pieces(JSON.stringify(part)).length);
  return sum(messages.map(messageTokens)) + sum(declared);
}

function messageTokens({ content, tool_calls: calls }) {
  const parts = typeof content === "string" ? [{ type: "text", text: content }] : (content ?? []);
  const tokens = parts.map((part) => (typeof part.text === "string" ? pieces(part.text).length : IMAGE_TOKENS));
  const called = calls ? pieces(JSON.stringify(calls)).length : 0;
  return MESSAGE_TOKENS + sum(tokens) + called;
}

export function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}
