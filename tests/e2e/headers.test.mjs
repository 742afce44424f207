// Which headers cross the gateway: an upstream gets these and no others, whatever the client sent; a
// client gets these and no others, whatever the upstream sent. In each pair of dialects.
import assert from "node:assert/strict";
import http from "node:http";
import { once } from "node:events";
import { after, before, beforeEach, test } from "node:test";
import { startDialects, UPSTREAMS } from "../agent/gateway.mjs";
import { says, text } from "../agent/wire.mjs";
import { UPSTREAM_KEYS } from "./harness.mjs";

const MARKER = "not-to-cross";
const VERSION = "2023-06-01";

let gateway;
let account;
before(async () => {
  gateway = await startDialects();
  account = await gateway.account();
});
beforeEach(() => gateway.upstream.forget());
after(() => gateway.close());

const messages = [{ role: "user", content: "Say hello." }];
const CLIENTS = {
  chat: { path: "/v1/chat/completions", body: { messages } },
  messages: { path: "/v1/messages", body: { messages, max_tokens: 100 } },
  responses: { path: "/v1/responses", body: { input: "Say hello." } },
};

// What a client, its tools and the proxies before us may send.
const FROM_CLIENTS = {
  cookie: `a=${MARKER}`,
  origin: "https://app.example",
  referer: MARKER,
  "accept-language": MARKER,
  "user-agent": MARKER,
  "openai-organization": MARKER,
  "openai-project": MARKER,
  "openai-beta": MARKER,
  "x-stainless-lang": MARKER,
  "x-request-id": MARKER,
  "x-forwarded-for": "192.0.2.7",
  "x-forwarded-proto": MARKER,
  "x-real-ip": "192.0.2.7",
  forwarded: "for=192.0.2.7",
  via: "1.1 proxy",
  traceparent: MARKER,
  "cf-connecting-ip": "192.0.2.7",
  "cf-ray": MARKER,
  "cf-ipcountry": "XX",
  "api-key": MARKER,
  "x-goog-api-key": MARKER,
  "idempotency-key": MARKER,
  "anthropic-version": VERSION,
  "anthropic-beta": "some-beta-2025-01-01",
  "anthropic-dangerous-direct-browser-access": "true",
};

// What providers and the servers before them are known to send.
const FROM_UPSTREAMS = {
  "set-cookie": `a=${MARKER}`,
  server: MARKER,
  via: MARKER,
  "cf-ray": MARKER,
  "cf-cache-status": MARKER,
  "alt-svc": MARKER,
  "x-request-id": MARKER,
  "request-id": MARKER,
  "openai-organization": MARKER,
  "openai-version": MARKER,
  "openai-processing-ms": "12",
  "anthropic-organization-id": MARKER,
  "anthropic-ratelimit-requests-remaining": "3",
  "x-ratelimit-remaining-tokens": "3",
  "x-groq-region": MARKER,
  "retry-after": "9",
  "x-should-retry": "false",
  "access-control-allow-origin": "https://their.example",
  "access-control-expose-headers": MARKER,
  "x-oneinterface-balance": MARKER,
  "strict-transport-security": MARKER,
};

/** Sends a request with all of these headers; resolves to those of the answer. Node's own client adds few. */
async function send(client, model, stream) {
  const { path, body } = CLIENTS[client];
  const headers = { ...FROM_CLIENTS, authorization: `Bearer ${account.key}`, "content-type": "application/json" };
  const sent = http.request(`${gateway.url}${path}`, { method: "POST", headers, agent: false });
  sent.end(JSON.stringify({ model, stream, ...body }));
  const [response] = await once(sent, "response");
  let said = "";
  for await (const part of response) said += part;
  assert.equal(response.statusCode, 200, said);
  assert.ok(!said.includes(MARKER), said);
  return response.headers;
}

/** Those with a value that is another each time, by their names alone. */
function redacted(headers, names) {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, names.includes(name) ? "…" : value]));
}

for (const client of Object.keys(CLIENTS))
  for (const upstream of UPSTREAMS)
    for (const stream of [false, true]) {
      test(`${client} to ${upstream}, ${stream ? "streamed" : "whole"}`, async () => {
        const model = `agent-${upstream}`;
        gateway.upstream.answer(model, async (response, seen) => {
          for (const [name, value] of Object.entries(FROM_UPSTREAMS)) response.setHeader(name, value);
          await says([text("Hello.")])(response, seen);
        });
        const got = await send(client, model, stream);

        const [{ headers: sent }] = gateway.upstream.requests;
        const secret = UPSTREAM_KEYS.MAIN_KEY;
        assert.deepEqual(redacted(sent, ["content-length"]), {
          host: gateway.upstream.host,
          accept: stream ? "text/event-stream" : "application/json",
          "accept-encoding": "identity",
          "content-length": "…",
          "content-type": "application/json",
          "user-agent": "oneinterface",
          // The platform's own, behind the Worker: the zone in which it runs.
          "cf-worker": "oneinterface.example.com",
          ...(upstream === "messages"
            ? { "x-api-key": secret, "anthropic-version": VERSION }
            : { authorization: `Bearer ${secret}` }),
          ...(upstream === "messages" && client === "messages" && { "anthropic-beta": FROM_CLIENTS["anthropic-beta"] }),
        });

        const { "x-request-id": id, "access-control-expose-headers": exposed, ...rest } = got;
        assert.match(id, /^req_[0-9a-v]{26}$/);
        assert.ok(!exposed.includes(MARKER), exposed);
        const varying = ["x-oneinterface-cost", "x-oneinterface-balance", "content-length", "date", "request-id"];
        const framing = rest["transfer-encoding"] ? { "transfer-encoding": "chunked" } : { "content-length": "…" };
        assert.deepEqual(redacted(rest, varying), {
          "access-control-allow-origin": "*",
          connection: "close",
          "content-type": stream ? "text/event-stream; charset=utf-8" : "application/json",
          "x-oneinterface-balance": "…",
          "cache-control": "no-store",
          vary: "authorization, x-api-key",
          "x-content-type-options": "nosniff",
          ...(!stream && { "x-oneinterface-cost": "…" }),
          ...(client === "messages" && { "request-id": "…" }),
          ...(rest.date && { date: "…" }),
          ...framing,
        });
        if (client === "messages") assert.equal(got["request-id"], id);
        assert.match(got["x-oneinterface-balance"], /^\d+(\.\d+)?$/);
      });
    }
