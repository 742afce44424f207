// One chat completion, streamed, with a key instead of the session.
import { ask } from "../../api/client.ts";
import { readEvents } from "../../lib/sse.ts";
import { fromJsonNumber } from "../../lib/usd.ts";

export interface Message {
  role: "system" | "user" | "assistant";
  content: string;
}

export interface Piece {
  /** Text of the answer, or of the reasoning before it. */
  content?: string;
  reasoning?: string;
  /** What it did cost in nano-dollars, with the counts, at the end. */
  usage?: { cost: bigint | null; input: number; output: number };
}

interface Chunk {
  choices?: { delta?: { content?: string | null; reasoning_content?: string | null } }[];
  usage?: { prompt_tokens: number; completion_tokens: number } | null;
  error?: { message?: string };
}

interface Chat {
  key: string;
  model: string;
  messages: Message[];
  signal: AbortSignal;
  /** Told as soon as the answer begins: by this id the request is in usage. */
  onBegin: (requestId: string | null) => void;
}

/** The pieces of the answer. Throws `ApiError`, or an `Error` when the stream says that it failed. */
export async function* streamChat({ key, model, messages, signal, onBegin }: Chat): AsyncGenerator<Piece> {
  const body = { model, messages, stream: true, stream_options: { include_usage: true } };
  const response = await ask("/v1/chat/completions", { method: "POST", body, token: key, signal });
  onBegin(response.headers.get("x-request-id"));
  if (!response.body) return;
  for await (const { data } of readEvents(response.body)) {
    if (data === "[DONE]") return;
    const chunk = JSON.parse(data) as Chunk;
    if (chunk.error) throw new Error(chunk.error.message ?? "The stream failed.");
    yield pieceOf(chunk, data);
  }
}

function pieceOf({ choices, usage }: Chunk, text: string): Piece {
  const delta = choices?.[0]?.delta;
  const piece: Piece = {};
  if (delta?.content) piece.content = delta.content;
  if (delta?.reasoning_content) piece.reasoning = delta.reasoning_content;
  if (usage) piece.usage = { cost: costIn(text), input: usage.prompt_tokens, output: usage.completion_tokens };
  return piece;
}

/** The cost as it was written: as a JSON number it would have become a float. */
function costIn(text: string): bigint | null {
  const cost = /"cost"\s*:\s*([0-9.eE+-]+)/.exec(text)?.[1];
  return cost === undefined ? null : fromJsonNumber(cost);
}
