// The demo upstream: a small server with the APIs of OpenAI and Anthropic, so that users can try everything without a
// provider's key. The server is not a language model and says so in each answer. It repeats the prompt, calls the
// tools of the request and fills in the schemas of the request.
//
//   npm run demo-upstream [-- --port N --delay-ms N]
//
// POST /v1/chat/completions, /v1/responses and /v1/messages (whole and streamed), POST /v1/messages/count_tokens,
// POST /v1/embeddings, GET /v1/models.
import http from "node:http";
import { parseArgs } from "node:util";
import { completion, completionChunks } from "./demo/chat.mjs";
import { embeddings } from "./demo/embeddings.mjs";
import { BadRequest, inAnthropicsShape } from "./demo/errors.mjs";
import { answerToMessages, inputTokens } from "./demo/messages.mjs";
import { answerToResponses } from "./demo/responses.mjs";
import { message, messageEvents } from "./demo/wire-messages.mjs";
import { response as responseOf, responseEvents } from "./demo/wire-responses.mjs";
import { isProgram } from "./processes.mjs";

// More than the 32 MB that the gateway accepts, so that a request meets the gateway's limit first.
const MAX_BODY_BYTES = 40 * 1024 * 1024;
// The pause between two words of a stream: a person sees the words arrive, and tests stay quick.
const DELAY_MS = 15;

// The default port is the one that `npm start` uses, so that plain `npx wrangler dev` finds the server there.
const PORT = "8788";

const ROUTES = {
  "/v1/chat/completions": {
    POST: generating(completion, (body) => [...completionChunks(body).map(unnamed), "data: [DONE]\n\n"]),
  },
  "/v1/messages": {
    POST: generating(
      (body) => message(answerToMessages(body)),
      (body) => messageEvents(answerToMessages(body)).map(named),
    ),
  },
  "/v1/messages/count_tokens": {
    POST: async (request, response) => sendJson(response, 200, inputTokens(await readJson(request))),
  },
  "/v1/responses": {
    POST: generating(
      (body) => responseOf(answerToResponses(body), body),
      (body) => responseEvents(answerToResponses(body), body).map(named),
    ),
  },
  "/v1/embeddings": { POST: async (request, response) => sendJson(response, 200, embeddings(await readJson(request))) },
  "/v1/models": { GET: (_, response) => sendJson(response, 200, MODELS) },
};

const MODELS = {
  object: "list",
  data: [{ id: "demo", object: "model", created: 1_700_000_000, owned_by: "oneinterface-demo" }],
};

/**
 * Starts the server on 127.0.0.1; port 0 means any free port. Resolves to `{ url, port, close() }`; the URL ends with
 * /v1.
 */
export async function startDemoUpstream({ port = 0, delayMs = DELAY_MS } = {}) {
  const server = http.createServer((request, response) => void answer(request, response, { delayMs }));
  await new Promise((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
  const bound = server.address().port;
  return {
    url: `http://127.0.0.1:${bound}/v1`,
    port: bound,
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}

async function answer(request, response, settings) {
  try {
    const methods = ROUTES[new URL(request.url, "http://localhost").pathname];
    if (!methods) throw new BadRequest(404, `Unknown request URL: ${request.method} ${request.url}.`, "unknown_url");
    const handler = methods[request.method];
    if (!handler)
      throw new BadRequest(405, `Not allowed to ${request.method} on ${request.url}.`, "method_not_supported");
    await handler(request, response, settings);
  } catch (error) {
    if (request.destroyed && !request.complete) return; // the client disconnected in the middle of its request
    if (!(error instanceof BadRequest)) console.error("demo upstream:", error);
    const { status, body } =
      error instanceof BadRequest ? error : new BadRequest(500, "The demo upstream has a defect.", null);
    if (response.headersSent) return response.destroy();
    sendJson(response, status, request.url.startsWith("/v1/messages") ? inAnthropicsShape(status, body) : body);
  }
}

/** Returns a handler that answers with `whole(body)`. If the body asks for a stream, it sends the texts of `events(body)`. */
function generating(whole, events) {
  return async (request, response, { delayMs }) => {
    const body = await readJson(request);
    if (body.stream !== true) return sendJson(response, 200, whole(body));

    const texts = events(body); // a bad request throws here, before the first header is sent
    response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" });
    for (const text of texts) {
      if (response.destroyed) return; // the client disconnected
      response.write(text);
      if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
    }
    response.end();
  };
}

function unnamed(chunk) {
  return `data: ${JSON.stringify(chunk)}\n\n`;
}

function named(event) {
  return `event: ${event.type}\n${unnamed(event)}`;
}

async function readJson(request) {
  const parts = [];
  let size = 0;
  for await (const part of request) {
    size += part.length;
    if (size <= MAX_BODY_BYTES) parts.push(part); // the rest is read and dropped; otherwise the client could not read the answer
  }
  if (size > MAX_BODY_BYTES)
    throw new BadRequest(413, `The request is larger than ${MAX_BODY_BYTES} bytes.`, "request_too_large");
  let body;
  try {
    body = JSON.parse(Buffer.concat(parts).toString("utf8"));
  } catch {
    throw new BadRequest(400, "We could not parse the JSON body of your request.", "invalid_json");
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new BadRequest(400, "The body of your request is not a JSON object.", "invalid_json");
  }
  if (typeof body.model !== "string")
    throw new BadRequest(400, "You must provide a model parameter.", "missing_required_parameter");
  return body;
}

function sendJson(response, status, body) {
  const text = JSON.stringify(body);
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  response.end(text);
}

if (isProgram(import.meta)) {
  const text = { type: "string" };
  const { values } = parseArgs({
    options: { port: { ...text, default: PORT }, "delay-ms": { ...text, default: String(DELAY_MS) } },
  });
  const { url } = await startDemoUpstream({ port: Number(values.port), delayMs: Number(values["delay-ms"]) });
  console.log(`demo upstream on ${url}`);
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(0));
  process.on("disconnect", () => process.exit(0)); // the parent process has ended
}
