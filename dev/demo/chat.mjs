// Chat completions of the demo upstream: how an answer is made, and its two forms, whole and streamed.
import { randomUUID } from "node:crypto";
import { BadRequest } from "./errors.mjs";
import { instanceOf } from "./schema.mjs";
import { argumentsFor, isShell } from "./shells.mjs";
import { pieces, promptTokens, sum } from "./tokens.mjs";

const MAX_CHOICES = 128; // OpenAI's own
// How many characters of the prompt an answer repeats, so that a long prompt does not cause a long answer.
const MAX_REPEATED_CHARS = 400;

/** Returns the whole answer. */
export function completion(body) {
  const answers = answersTo(body);
  const choices = answers.map(({ text, calls, finish }, index) => ({
    index,
    message: {
      role: "assistant",
      content: text === null ? null : text.join(""),
      refusal: null,
      ...(calls.length > 0 && { tool_calls: calls.map((call) => toolCall(call, call.args.join(""))) }),
    },
    logprobs: body.logprobs && text ? { content: text.map(logprob), refusal: null } : null,
    finish_reason: finish,
  }));
  return { ...head(body, "chat.completion"), choices, usage: usage(body, answers) };
}

/** Returns the chunks of the streamed answer in order, without [DONE]. Chunks of all choices alternate. */
export function completionChunks(body) {
  const answers = answersTo(body);
  const common = { ...head(body, "chat.completion.chunk"), ...(body.stream_options?.include_usage && { usage: null }) };
  const streams = answers.map((answer, index) => deltas(answer, index, body.logprobs));
  const longest = Math.max(...streams.map((stream) => stream.length));
  const turns = Array.from({ length: longest }, (_, turn) => streams.flatMap((stream) => stream[turn] ?? [])).flat();
  const chunks = turns.map((choice) => ({ ...common, choices: [choice] }));
  return common.usage === null ? [...chunks, { ...common, choices: [], usage: usage(body, answers) }] : chunks;
}

function deltas({ text, calls, finish }, index, logprobs) {
  const choice = (delta, more = {}) => ({ index, delta, logprobs: null, finish_reason: null, ...more });
  const callDeltas = calls.flatMap((call, number) => [
    choice({ tool_calls: [{ index: number, ...toolCall(call, "") }] }),
    ...call.args.map((piece) => choice({ tool_calls: [{ index: number, function: { arguments: piece } }] })),
  ]);
  const textDeltas = (text ?? []).map((piece) =>
    choice({ content: piece }, logprobs ? { logprobs: { content: [logprob(piece)], refusal: null } } : {}),
  );
  return [
    choice({ role: "assistant", content: text === null ? null : "", refusal: null }),
    ...textDeltas,
    ...callDeltas,
    choice({}, { finish_reason: finish }),
  ];
}

/**
 * Returns one answer for each choice: `{ text: pieces or null, calls: [{id, name, args: pieces}], finish }`, cut at
 * the request's limit.
 */
export function answersTo(body) {
  const { messages, tools, n = 1 } = body;
  if (!Array.isArray(messages) || messages.length === 0 || !messages.every(isMessage)) {
    throw new BadRequest(400, "messages is a non-empty array of messages.", "invalid_value", "messages");
  }
  if (tools !== undefined && !Array.isArray(tools))
    throw new BadRequest(400, "tools is an array.", "invalid_value", "tools");
  if (!Number.isInteger(n) || n < 1 || n > MAX_CHOICES)
    throw new BadRequest(400, `n is a whole number from 1 to ${MAX_CHOICES}.`, "invalid_value", "n");
  const limit = body.max_completion_tokens ?? body.max_tokens ?? Infinity;
  if (limit !== Infinity && (!Number.isInteger(limit) || limit < 1)) {
    throw new BadRequest(
      400,
      "The limit of output tokens is a whole number from 1.",
      "invalid_value",
      "max_completion_tokens",
    );
  }
  return Array.from({ length: n }, (_, index) => cut(oneAnswer(body, index), limit));
}

function isMessage(message) {
  const { role, content } = message ?? {};
  return (
    typeof role === "string" &&
    (content === undefined || content === null || typeof content === "string" || Array.isArray(content))
  );
}

function oneAnswer(body, index) {
  const tools = toolsToCall(body);
  if (tools.length > 0) {
    const calls = tools.map(({ name, parameters }) => ({
      id: `call_${randomUUID().replaceAll("-", "").slice(0, 24)}`,
      name,
      args: pieces(JSON.stringify(argumentsFor(name, parameters))),
    }));
    return { text: null, calls, finish: "tool_calls" };
  }
  const text = stopAt(textFor(body, index), body.stop);
  return { text: pieces(text), calls: [], finish: "stop" };
}

/** Returns the functions that the demo calls for this request: none, one, or two if the user asks for two. */
function toolsToCall({ messages, tools = [], tool_choice: choice = "auto", parallel_tool_calls: parallel = true }) {
  const last = conversation(messages).at(-1) ?? messages.at(-1);
  const functions = tools.filter(({ type }) => type === "function").map((tool) => tool.function);
  if (last.role !== "user" || choice === "none" || functions.length === 0) return [];
  const named = functions.find(({ name }) => name === choice?.function?.name);
  if (named) return [named];
  const two = parallel && /\b(two|both|twice|parallel)\b/i.test(textOf(last));
  // A coding agent offers many tools; its shell is the best demonstration.
  const first = functions.find(({ name }) => isShell(name)) ?? functions[0];
  return two ? [first, functions.find((tool) => tool !== first) ?? first] : [first];
}

function textFor({ model, messages, response_format: format, n = 1 }, index) {
  if (format?.type === "json_schema") return JSON.stringify(instanceOf(format.json_schema?.schema));
  const said = lastWords(messages);
  const sentence = `This is One Interface's demo upstream, not ${model}. ${said}`;
  if (format?.type === "json_object") return JSON.stringify({ message: sentence });
  return n > 1 ? `${sentence} (Answer ${index + 1} of ${n}.)` : sentence;
}

/** Returns the messages without instructions to the model: some agents append such an instruction at the end. */
function conversation(messages) {
  return messages.filter(({ role }) => role !== "system" && role !== "developer");
}

function lastWords(messages) {
  const said = conversation(messages);
  const results = said.slice(said.findLastIndex(({ role }) => role !== "tool") + 1);
  if (results.length > 0) return `The tools answered: ${shorten(results.map(textOf).join(" | "))}`;
  const user = messages.findLast(({ role }) => role === "user");
  return `You said: ${shorten(user ? textOf(user) : "")}`;
}

function textOf({ content }) {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => part.text ?? `[${part.type}]`).join(" ");
}

function shorten(text) {
  const characters = [...text];
  return characters.length > MAX_REPEATED_CHARS ? `${characters.slice(0, MAX_REPEATED_CHARS).join("")} …` : text;
}

function stopAt(text, stop) {
  const ends = [stop ?? []]
    .flat()
    .map((sequence) => text.indexOf(sequence))
    .filter((at) => at !== -1);
  return ends.length > 0 ? text.slice(0, Math.min(...ends)) : text;
}

/** Cuts an answer to `limit` tokens. The text counts first, then the arguments of each call. */
function cut(answer, limit) {
  if (tokensOf(answer) <= limit) return answer;
  let left = limit;
  const keep = (list) => {
    const kept = list.slice(0, left);
    left -= kept.length;
    return kept;
  };
  const text = answer.text && keep(answer.text);
  const calls = answer.calls.map((call) => ({ ...call, args: keep(call.args) }));
  return { text, calls, finish: "length" };
}

/** Counts the tokens of an answer. The name of a call is one token and is sent even if its arguments are cut. */
export function tokensOf({ text, calls }) {
  return (text ?? []).length + sum(calls.map((call) => call.args.length));
}

function usage(body, answers) {
  const prompt = promptTokens(body);
  const written = sum(answers.map(tokensOf));
  return {
    prompt_tokens: prompt,
    completion_tokens: written,
    total_tokens: prompt + written,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: 0,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}

function head({ model }, object) {
  return {
    id: `chatcmpl-demo-${randomUUID()}`,
    object,
    created: Math.floor(Date.now() / 1000),
    model,
    system_fingerprint: "fp_oneinterface_demo",
  };
}

function toolCall({ id, name }, args) {
  return { id, type: "function", function: { name, arguments: args } };
}

function logprob(token) {
  return { token, logprob: -0.1, bytes: [...Buffer.from(token)], top_logprobs: [] };
}
