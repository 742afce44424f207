// Reads a request of any dialect into one form. The scripted agent decides by it, and tests compare it with the body
// that reached an upstream.

/** Returns the dialect of a path: "chat", "messages" or "responses". */
export function dialectOf(path) {
  const [, name] = path.split("?")[0].match(/\/(chat\/completions|messages|responses)$/) ?? [];
  if (name === undefined) throw new Error(`no dialect has the path ${path}`);
  return name === "chat/completions" ? "chat" : name;
}

/**
 * Returns `{ tools, turns }` of a request's body. A tool is `{ name, custom, schema }`, with `namespace` if it has one.
 * `turns` are in order: `{ role, text, calls, results, thinking, images }`, where `calls` are `{ id, name, input }`
 * (input as text), `results` are `{ id, text }`, and `thinking` are `{ text, opaque }`. A role is "system",
 * "developer", "user", "assistant" or, for results, "tool".
 */
export function readRequest(dialect, body) {
  return READ[dialect](body);
}

/** Returns the results of tools that follow the last message of the user. */
export function newResults({ turns }) {
  const spoke = turns.findLastIndex(({ role }) => role === "user");
  return turns.slice(spoke + 1).flatMap(({ results }) => results);
}

const READ = {
  chat: ({ messages, tools = [] }) => ({ tools: tools.map(chatTool), turns: messages.map(chatTurn) }),

  messages({ system, messages, tools = [] }) {
    const first = system === undefined ? [] : [turn("system", { text: textOf(system) })];
    return {
      tools: tools.filter(({ input_schema: schema }) => schema).map(messagesTool),
      turns: [...first, ...messages.map(messagesTurn)],
    };
  },

  responses({ instructions, input, tools = [] }) {
    const first = instructions == null ? [] : [turn("system", { text: instructions })];
    const items = typeof input === "string" ? [{ role: "user", content: input }] : input;
    return { tools: tools.flatMap(responsesTool), turns: [...first, ...items.map(responsesTurn)] };
  },
};

function turn(role, more) {
  return { role, text: "", calls: [], results: [], thinking: [], images: [], ...more };
}

function chatTool({ type, function: fn, custom }) {
  return type === "custom"
    ? { name: custom.name, custom: true }
    : { name: fn.name, custom: false, schema: fn.parameters };
}

function chatTurn({ role, content, tool_calls: calls = [], tool_call_id: id, reasoning_content: reasoning }) {
  if (role === "tool") return turn("tool", { results: [{ id, text: textOf(content) }] });
  return turn(role, {
    text: textOf(content),
    calls: (calls ?? []).map((call) => ({
      id: call.id,
      name: (call.function ?? call.custom).name,
      input: call.function?.arguments ?? call.custom.input,
    })),
    thinking: reasoning ? [{ text: reasoning, opaque: null }] : [],
    images: partsOf(content)
      .filter(({ type }) => type === "image_url")
      .map((part) => part.image_url.url),
  });
}

function messagesTool({ name, input_schema: schema }) {
  return { name, custom: false, schema };
}

function messagesTurn({ role, content }) {
  const parts = partsOf(content);
  const of = (type) => parts.filter((part) => part.type === type);
  const results = of("tool_result").map(({ tool_use_id: id, content: text }) => ({ id, text: textOf(text) }));
  return turn(results.length > 0 ? "tool" : role, {
    text: textOf(content),
    calls: of("tool_use").map(({ id, name, input }) => ({ id, name, input: JSON.stringify(input) })),
    results,
    thinking: of("thinking").map(({ thinking: text, signature: opaque }) => ({ text, opaque })),
    images: of("image").map(({ source }) =>
      source.type === "url" ? source.url : `data:${source.media_type};base64,${source.data}`,
    ),
  });
}

function responsesTool({ type, name, tools, parameters }) {
  if (type === "namespace") return tools.flatMap(responsesTool).map((tool) => ({ ...tool, namespace: name }));
  if (type === "custom") return [{ name, custom: true }];
  return type === "function" ? [{ name, custom: false, schema: parameters }] : [];
}

function responsesTurn(item) {
  switch (item.type ?? "message") {
    case "message":
      return turn(item.role, {
        text: textOf(item.content),
        images: partsOf(item.content)
          .filter(({ type }) => type === "input_image")
          .map((part) => part.image_url),
      });
    case "function_call":
      return turn("assistant", { calls: [{ id: item.call_id, name: item.name, input: item.arguments }] });
    case "custom_tool_call":
      return turn("assistant", { calls: [{ id: item.call_id, name: item.name, input: item.input }] });
    case "function_call_output":
    case "custom_tool_call_output":
      return turn("tool", { results: [{ id: item.call_id, text: textOf(item.output) }] });
    case "reasoning":
      return turn("assistant", { thinking: [{ text: textOf(item.summary), opaque: item.encrypted_content ?? null }] });
    default:
      throw new Error(`an input item of the type ${item.type}`);
  }
}

function partsOf(content) {
  return Array.isArray(content) ? content : [];
}

function textOf(content) {
  return typeof content === "string"
    ? content
    : partsOf(content)
        .map(({ text }) => text ?? "")
        .join("");
}
