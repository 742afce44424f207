// What an upstream is sent: the client's own bytes, but for what must differ, with our key and never
// the client's. And what is not sent at all.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { chatBody, completion, completionChunks, errorBody } from "./chat.mjs";
import { startGateway, UPSTREAM_KEYS } from "./harness.mjs";
import { events, eventStream, json } from "./upstream.mjs";

let gateway;
let account;

before(async () => {
  gateway = await startGateway();
  account = await gateway.account();
});
beforeEach(() => {
  gateway.upstream.forget();
  for (const model of ["chat", "their-name", "resold"]) gateway.upstream.answer(model, json(completion(model)));
});
after(() => gateway.close());

const post = (path, body, headers = {}) => gateway.fetch(path, { method: "POST", key: account.key, body, headers });
const chat = (body, headers) => post("/v1/chat/completions", body, headers);

/** The body that the upstream was sent for `body`. */
async function sent(body) {
  const response = await chat(body);
  assert.equal(response.status, 200, await response.text());
  return gateway.upstream.requests.at(-1).body.toString("utf8");
}

// Key order, spaces, numbers beyond 64 bits, exponents, escapes, half an emoji, a field that the catalogue lists.
const ODD = String.raw`{ "zeta" : {"b":1.0,"a":[ 1e400 , -0, 0.10 ]}, "seed":123456789012345678901234567890,
  "messages":[{"content":"caf\u00e9 \ud83d\ude00 👋 \/ \ud83d","role":"user","name":null},
              {"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"n\": 1.0}"}}]},
              {"role":"tool","tool_call_id":"c1","content":[{"type":"text","text":"ok"}]}],
  "tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"z":{},"a":{}}}}}],
  "logprobs":true ,"top_logprobs":3,"n":2,"temperature":0.70,"logit_bias":{"50256":-100},"max_tokens":100,
  "response_format":{"type":"json_object"},"stop":["\n"],"user":"u","metadata":{"k":[null,true,{}]},
  "model":"chat" }`;

test("the body arrives byte for byte", async () => {
  assert.equal(await sent(ODD), ODD);
});

test("an image arrives byte for byte", async () => {
  const url = `data:image/png;base64,${"iVBORw0KGgo".repeat(20_000)}`;
  const content = [
    { type: "text", text: "look" },
    { type: "image_url", image_url: { url, detail: "low" } },
  ];
  const body = chatBody("chat", { messages: [{ role: "user", content }] });
  assert.equal(await sent(body), body);
});

test("where the upstream has another name for the model, the name alone differs", async () => {
  assert.equal(await sent(ODD.replace('"chat"', '"vendor/renamed"')), ODD.replace('"chat"', '"their-name"'));
});

test("trap_04 usage is asked for in every stream", async () => {
  const stream = eventStream(events(completionChunks("chat")));
  const body = (more) => chatBody("chat", { stream: true, ...more });
  const asked = '"stream_options":{"include_usage":true}';
  for (const [given, expected] of [
    [body(), body().replace(/}$/, `,${asked}}`)],
    [body({ stream_options: { include_usage: false } }), body({ stream_options: { include_usage: true } })],
    [body({ stream_options: null }), body({ stream_options: { include_usage: true } })],
    [
      body({ stream_options: { include_obfuscation: false } }),
      body({ stream_options: { include_obfuscation: false, include_usage: true } }),
    ],
    [body({ stream_options: { include_usage: true } }), body({ stream_options: { include_usage: true } })],
  ]) {
    gateway.upstream.answerOnce("chat", stream);
    assert.equal(await sent(given), expected);
  }
});

test("nothing is stored, and no tier is chosen, in the operator's account", async () => {
  assert.equal(await sent(chatBody("chat", { store: true })), chatBody("chat", { store: false }));
  assert.equal(await sent(chatBody("chat", { service_tier: "auto" })), chatBody("chat", { service_tier: "default" }));
});

test("an embeddings request arrives byte for byte", async () => {
  const vectors = {
    object: "list",
    data: [{ object: "embedding", index: 0, embedding: [1] }],
    usage: { prompt_tokens: 1 },
  };
  gateway.upstream.answer("embed", json(vectors));
  const body = '{ "user":"u", "input":["caf\\u00e9", "👋"],"dimensions":256 ,"model":"embed","zeta":1.0 }';
  const response = await post("/v1/embeddings", body);
  assert.equal(response.status, 200, await response.text());
  const [seen] = gateway.upstream.requests;
  assert.deepEqual([seen.path, seen.body.toString("utf8")], ["/v1/embeddings", body]);
});

test("the upstream gets its own key and nothing of the client's", async () => {
  const headers = {
    "x-api-key": account.key,
    cookie: "session=secret",
    "user-agent": "client/1",
    "x-forwarded-for": "10.1.2.3",
    "openai-organization": "org-1",
    "openai-beta": "x",
    "accept-encoding": "gzip",
    "x-request-id": "mine",
  };
  const response = await chat(chatBody("chat"), headers);
  assert.equal(response.status, 200, await response.text());
  const [seen] = gateway.upstream.requests;
  assert.equal(seen.method, "POST");
  assert.equal(seen.path, "/v1/chat/completions");
  assert.equal(seen.headers.authorization, `Bearer ${UPSTREAM_KEYS.MAIN_KEY}`);
  assert.equal(seen.headers["content-type"], "application/json");
  assert.equal(seen.headers.accept, "application/json");
  assert.equal(seen.headers["accept-encoding"], "identity");
  assert.equal(seen.headers["user-agent"], "oneinterface");
  const everything = JSON.stringify(seen.headers) + seen.body;
  for (const text of [account.key, "session=secret", "client/1", "10.1.2.3", "org-1", "mine"]) {
    assert.ok(!everything.includes(text), `${text} in ${everything}`);
  }
  assert.deepEqual(
    ["x-api-key", "cookie", "openai-organization", "openai-beta"].filter((name) => name in seen.headers),
    [],
  );
});

test("the key goes where the upstream wants it, and nowhere else", async () => {
  for (const [model, path, header] of [
    ["header-key", "/header-key/v1/chat/completions?api-version=preview+%26+more", UPSTREAM_KEYS.MAIN_KEY],
    ["query-key", `/query-key/v1/chat/completions?key=${UPSTREAM_KEYS.MAIN_KEY}`, undefined],
  ]) {
    gateway.upstream.answer(model, json(completion(model)));
    const response = await chat(chatBody(model));
    assert.equal(response.status, 200, await response.text());
    const seen = gateway.upstream.requests.at(-1);
    assert.deepEqual([seen.path, seen.headers["api-key"]], [path, header]);
    assert.deepEqual([seen.headers.authorization, seen.headers["x-api-key"]], [undefined, undefined]);
  }
});

test("an upstream without a secret gets no credentials", async () => {
  const response = await chat(chatBody("resold"));
  assert.equal(response.status, 200, await response.text());
  const [seen] = gateway.upstream.requests;
  assert.equal(seen.path, "/reseller/v1/chat/completions");
  assert.deepEqual(
    [seen.headers.authorization, seen.headers["x-api-key"], seen.headers["api-key"]],
    [undefined, undefined, undefined],
  );
});

test("an upstream whose secret is not set, or bound to no host of its own, is never called", async () => {
  const own = await gateway.account();
  for (const model of ["unset", "unbound"]) {
    const response = await gateway.fetch("/v1/chat/completions", {
      method: "POST",
      key: own.key,
      body: chatBody(model),
    });
    const expected = errorBody("upstream_unavailable", "All providers of this model are temporarily unavailable.");
    assert.deepEqual([response.status, await response.json()], [503, expected], model);
  }
  assert.deepEqual(gateway.upstream.requests, []);
  assert.deepEqual(
    (await gateway.journal(own)).map(({ kind }) => kind),
    ["grant"],
  );
  assert.ok(
    gateway
      .logs()
      .some((line) => line.includes("upstream unbound: UNBOUND_KEY is not bound to its host in SECRET_HOSTS")),
  );
});

test("what changes the provider's price, or names state there, is refused by name", async () => {
  const own = await gateway.account();
  const audio = [{ role: "user", content: [{ type: "input_audio", input_audio: { data: "", format: "wav" } }] }];
  const file = [{ role: "user", content: [{ type: "file", file: { file_id: "file-1" } }] }];
  const priced = (param) => [param, `\`${param}\` asks for something that has no price here and is not available.`];
  const state = (param) => [param, `\`${param}\` names something stored at a provider, which is not available here.`];
  for (const [more, [param, message]] of [
    [{ service_tier: "priority" }, priced("service_tier")],
    [{ service_tier: "flex" }, priced("service_tier")],
    [{ speed: "fast" }, priced("speed")],
    [{ inference_geo: "us" }, priced("inference_geo")],
    [{ web_search_options: {} }, priced("web_search_options")],
    [{ modalities: ["text", "audio"], audio: { voice: "alloy", format: "wav" } }, priced("audio")],
    [{ modalities: ["audio"] }, priced("modalities")],
    [{ tools: [{ type: "web_search" }] }, priced("tools[0].type")],
    [{ background: true }, priced("background")],
    [{ messages: audio }, priced("messages[0].content[0]")],
    [{ previous_response_id: "resp_1" }, state("previous_response_id")],
    [{ messages: file }, state("messages[0].content[0].file_id")],
    [{ Service_Tier: "priority" }, ["Service_Tier", "Unknown field `Service_Tier`; it is spelled `service_tier`."]],
  ]) {
    const response = await gateway.fetch("/v1/chat/completions", {
      method: "POST",
      key: own.key,
      body: chatBody("chat", more),
    });
    assert.deepEqual([response.status, await response.json()], [400, errorBody("invalid_request", message, param)]);
    assert.equal(response.headers.get("x-should-retry"), "false");
  }
  assert.deepEqual(gateway.upstream.requests, []);
  assert.deepEqual(
    (await gateway.journal(own)).map(({ kind }) => kind),
    ["grant"],
  );
});
