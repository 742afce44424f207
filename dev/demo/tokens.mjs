// The demo upstream's tokens: at most six letters of a word, at most three digits, or one other character, each with
// the space before it. A real tokenizer makes about as many, and the gateway corrects a count that is certainly too low.
const PIECE = /\s*(?:[\p{L}\p{M}]{1,6}|\p{N}{1,3}|[^\s\p{L}\p{M}\p{N}])|\s+$/gu;

// The numbers that OpenAI documents for the frame of a message and for an image in low detail.
const MESSAGE_TOKENS = 3;
const IMAGE_TOKENS = 85;

/** Splits a text into tokens. The joined tokens are the text. */
export function pieces(text) {
  return text.match(PIECE) ?? [];
}

/** Counts the tokens of a chat request's messages, tools and schema. */
export function promptTokens({ messages, tools, response_format: format }) {
  const declared = [tools?.length > 0 && tools, format?.json_schema]
    .filter(Boolean)
    .map((part) => pieces(JSON.stringify(part)).length);
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
