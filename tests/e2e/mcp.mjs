// Messages of the Model Context Protocol, as a client of either era sends them.
export const MODERN = "2026-07-28";
export const LEGACY = "2025-11-25";

/** What every modern request says of itself. */
export const META = {
  "io.modelcontextprotocol/protocolVersion": MODERN,
  "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
  "io.modelcontextprotocol/clientCapabilities": {},
};

const ACCEPT = { accept: "application/json, text/event-stream", "content-type": "application/json" };

/**
 * Sends a body as it is. Resolves to `{ status, headers, body, before }`; `body` is null where it is empty, and
 * of a stream of events the last message, `before` those before it.
 */
export async function send(gateway, key, body, headers = {}) {
  const response = await gateway.fetch("/mcp", {
    method: "POST",
    key,
    headers: { ...ACCEPT, ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  const text = await response.text();
  const { status, headers: told } = response;
  if (!told.get("content-type")?.startsWith("text/event-stream"))
    return { status, headers: told, body: text === "" ? null : parsed(text), before: [] };
  const messages = text
    .split("\n\n")
    .filter((frame) => frame.includes("data: "))
    .map((frame) => JSON.parse(frame.split("data: ")[1]));
  return { status, headers: told, body: messages.at(-1), before: messages.slice(0, -1) };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** A modern request; `headers` replaces some of those that go with it. */
export function modern(gateway, key, method, params = {}, headers = {}) {
  const name = params.name ?? params.uri;
  const own = { "mcp-protocol-version": MODERN, "mcp-method": method, ...(name && { "mcp-name": name }) };
  return send(
    gateway,
    key,
    { jsonrpc: "2.0", id: 1, method, params: { ...params, _meta: { ...META, ...params._meta } } },
    { ...own, ...headers },
  );
}

/** A request of a client that began with `initialize`. */
export function legacy(gateway, key, method, params = {}, headers = {}) {
  return send(gateway, key, { jsonrpc: "2.0", id: 1, method, params }, { "mcp-protocol-version": LEGACY, ...headers });
}

/** What a tool says, by a modern request: the structured content, or the text of an error. */
export async function tool(gateway, key, name, args = {}) {
  const { status, body } = await modern(gateway, key, "tools/call", { name, arguments: args });
  if (status !== 200 || !body.result) throw new Error(`${name}: ${status} ${JSON.stringify(body)}`);
  const { isError, content, structuredContent } = body.result;
  if (isError) return { error: content[0].text };
  if (JSON.stringify(JSON.parse(content[0].text)) !== JSON.stringify(structuredContent))
    throw new Error(`${name} says two things`);
  return structuredContent;
}
