// A plain reading of a recorded stream, written without a look at the translator: what was said, thought
// and called, why it ended, what it used. And the same of what an official SDK read, so that the two can
// be compared whatever the dialects.
//
// A reading is `{ text, thinking, calls, stop, usage, failed }`: `calls` are `{ name, input }` with the input
// as it came; `stop` is one of end, length, tool, filter, refusal, pause, null; `usage` is
// `{ input, cached, output }` in tokens, input including cached, or null; of several choices the first counts.

/** The reading of the events of a stream, given as objects, in a dialect. */
export function read(dialect, events) {
  return { chat: readChat, messages: readMessages, responses: readResponses }[dialect](events);
}

/** The events in the text of a stream, but for [DONE] and comments. */
export function eventsIn(wire) {
  const data = wire.split(/\r?\n\r?\n/).map((event) => event.split(/\r?\n/).find((line) => line.startsWith("data:")));
  return data
    .map((line) => line?.slice("data:".length).trim())
    .filter((json) => json && json !== "[DONE]")
    .map((json) => JSON.parse(json));
}

function empty() {
  return { text: "", thinking: "", calls: [], stop: null, usage: null, failed: false };
}

const CHAT_STOPS = {
  stop: "end",
  length: "length",
  tool_calls: "tool",
  function_call: "tool",
  content_filter: "filter",
};

function readChat(chunks) {
  const out = empty();
  let refused = false;
  for (const { choices = [], usage, x_groq: groq, error } of chunks) {
    if (error) return { ...out, failed: true };
    const counted = usage ?? groq?.usage;
    if (counted)
      out.usage = { input: counted.prompt_tokens, cached: cachedOf(counted), output: counted.completion_tokens ?? 0 };
    for (const { index, delta = {}, finish_reason: finish } of choices) {
      if (index !== 0) continue;
      const parts = Array.isArray(delta.content) ? delta.content : [{ type: "text", text: delta.content ?? "" }];
      for (const part of parts) {
        if (part.type === "thinking") out.thinking += part.thinking.map(({ text }) => text).join("");
        else out.text += part.text ?? "";
      }
      out.text += delta.refusal ?? "";
      out.thinking += delta.reasoning_content ?? delta.reasoning ?? "";
      for (const { index: at, function: fn, custom } of delta.tool_calls ?? []) {
        const call = (out.calls[at] ??= { name: "", input: "" });
        call.name ||= (fn ?? custom)?.name ?? "";
        call.input += fn?.arguments ?? custom?.input ?? "";
      }
      refused ||= Boolean(delta.refusal);
      if (finish) out.stop = refused && finish === "stop" ? "refusal" : CHAT_STOPS[finish];
    }
  }
  return out;
}

function cachedOf(usage) {
  return usage.prompt_tokens_details?.cached_tokens ?? usage.prompt_cache_hit_tokens ?? 0;
}

const MESSAGES_STOPS = {
  end_turn: "end",
  stop_sequence: "end",
  tool_use: "tool",
  max_tokens: "length",
  model_context_window_exceeded: "length",
  refusal: "refusal",
  pause_turn: "pause",
};

function readMessages(events) {
  const out = empty();
  const blocks = new Map();
  let usage = {};
  for (const event of events) {
    if (event.type === "error") return { ...out, failed: true };
    const told = event.usage ?? event.message?.usage ?? {};
    usage = { ...usage, ...Object.fromEntries(Object.entries(told).filter(([, count]) => count !== null)) };
    if (event.type === "message_delta" && event.delta.stop_reason) out.stop = MESSAGES_STOPS[event.delta.stop_reason];
    if (event.type === "content_block_start") {
      const block = { ...event.content_block };
      out.text += block.type === "text" ? block.text : "";
      if (block.type === "tool_use") out.calls.push((block.call = { name: block.name, input: "" }));
      blocks.set(event.index, block);
    }
    if (event.type === "content_block_delta") {
      const { text = "", thinking = "", partial_json: json = "" } = event.delta;
      out.text += text;
      out.thinking += thinking;
      const { call } = blocks.get(event.index);
      if (call) call.input += json;
    }
  }
  const cached = usage.cache_read_input_tokens ?? 0;
  const input = (usage.input_tokens ?? 0) + cached + (usage.cache_creation_input_tokens ?? 0);
  return { ...out, usage: { input, cached, output: usage.output_tokens ?? 0 } };
}

function readResponses(events) {
  const out = empty();
  let refused = false;
  for (const { type, item, response } of events) {
    if (type === "error" || type === "response.failed") return { ...out, failed: true };
    if (type === "response.output_item.done") readItem(item, out);
    refused ||= type === "response.output_item.done" && Boolean(item.content?.some((part) => part.type === "refusal"));
    if (type === "response.completed" || type === "response.incomplete") {
      const { usage, incomplete_details: why } = response;
      const done = out.calls.length > 0 ? "tool" : refused ? "refusal" : "end";
      out.stop = why ? { max_output_tokens: "length", content_filter: "filter" }[why.reason] : done;
      const cached = usage?.input_tokens_details?.cached_tokens ?? 0;
      if (usage) out.usage = { input: usage.input_tokens, cached, output: usage.output_tokens };
    }
  }
  return out;
}

function readItem(item, out) {
  const textOf = (parts) => (parts ?? []).map(({ text, refusal }) => text ?? refusal ?? "").join("");
  if (item.type === "message") out.text += textOf(item.content);
  if (item.type === "reasoning") out.thinking += textOf(item.summary) + textOf(item.content);
  if (item.type === "function_call") out.calls.push({ name: item.name, input: item.arguments });
  if (item.type === "custom_tool_call") out.calls.push({ name: item.name, input: item.input });
}
