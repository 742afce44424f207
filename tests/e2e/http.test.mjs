// HTTP itself: paths, methods, bodies and the headers that every answer has.
import assert from "node:assert/strict";
import http from "node:http";
import { after, before, beforeEach, test } from "node:test";
import { chatBody, completion, completionChunks, errorBody } from "./chat.mjs";
import { startGateway } from "./harness.mjs";
import { events, eventStream, json } from "./upstream.mjs";

const MAX_BODY_BYTES = 32 << 20;
const CHAT = "/v1/chat/completions";

let gateway;
let account;

before(async () => {
  gateway = await startGateway();
  account = await gateway.account();
});
beforeEach(() => {
  gateway.upstream.forget();
  gateway.upstream.answer("chat", json(completion("chat")));
});
after(() => gateway.close());

const post = (path, body, init = {}) => gateway.fetch(path, { method: "POST", key: account.key, body, ...init });

/** What an answer must be; every answer carries a request id. */
async function answers(response, status, body) {
  assert.equal(response.status, status);
  assert.match(response.headers.get("x-request-id"), /^req_[0-9a-v]{26}$/);
  assert.match(response.headers.get("content-type"), /^application\/json/);
  assert.deepEqual(await response.json(), body);
}

const NO_ROUTE = errorBody("invalid_request", "There is no such route. See the documentation for all of them.");
const refusal = (message, param) => errorBody("invalid_request", message, param);

test("unknown paths are 404", async () => {
  for (const path of ["/", "/v1", "/v1/chat", "/v1/nothing", "/v1/chat/completions/more", "/V1/models", "/operator"]) {
    const response = await post(path, "{}");
    assert.equal(response.headers.get("x-should-retry"), "false");
    await answers(response, 404, NO_ROUTE);
  }
});

test("request-id is the same id, on /v1/messages alone", async () => {
  const messages = await post("/v1/messages", "{}");
  assert.equal(messages.headers.get("request-id"), messages.headers.get("x-request-id"));
  assert.match(messages.headers.get("request-id"), /^req_/);
  const chat = await post(CHAT, chatBody("chat"));
  assert.equal(chat.headers.get("request-id"), null);
});

test("a wrong method is 405 and names the right ones", async () => {
  for (const [method, path, allow] of [
    ["GET", CHAT, "POST"],
    ["PUT", CHAT, "POST"],
    ["DELETE", "/v1/embeddings", "POST"],
    ["POST", "/v1/models", "GET, HEAD"],
    ["PATCH", "/v1/models/chat", "GET, HEAD"],
    ["GET", "/operator/entries", "POST"],
  ]) {
    const response = await gateway.fetch(path, { method, key: account.key });
    assert.equal(response.headers.get("allow"), allow, `${method} ${path}`);
    await answers(response, 405, refusal(`This route answers ${allow} only.`));
  }
});

test("doubled and trailing slashes and a query do not matter", async () => {
  for (const path of ["/v1/chat/completions/", "//v1//chat/completions", "/v1/chat/completions?beta=true"]) {
    await answers(await post(path, chatBody("chat")), 200, completion("chat"));
  }
  assert.equal((await gateway.fetch("//v1/models/", { key: account.key })).status, 200);
  // The client's query is not the upstream's.
  assert.deepEqual(new Set(gateway.upstream.requests.map(({ path }) => path)), new Set([CHAT]));
});

test("trap_14 there is no way to an upstream past the hold", async () => {
  const body = { messages: [{ role: "user", content: "hi" }], input: "hi", max_tokens: 100 };
  const paths = [
    ...[
      CHAT,
      `${CHAT}/`,
      "//v1//chat/completions",
      `${CHAT}?beta=true`,
      "/v1/./chat/x/../completions",
      "/V1/chat/completions",
    ],
    ...[
      "/v1/completions",
      "/v1/embeddings",
      "/v1/responses",
      "/v1/messages",
      "/mcp",
      "/openai/v1/chat/completions",
      "/main/v1/chat/completions",
    ],
  ];
  const models = [
    "chat",
    "CHAT",
    "chat/",
    "main/chat",
    "openai/chat",
    "their-name",
    "vendor/renamed",
    "vendor%2Frenamed",
    "embed",
  ];
  const [poor, rich] = [await gateway.account({ usd: "0" }), await gateway.account()];
  for (const model of ["their-name", "embed", "their-embed"]) gateway.upstream.answer(model, json(completion(model)));
  const statuses = new Set();
  for (const path of paths) {
    for (const model of models) {
      const send = (key) => post(path, JSON.stringify({ ...body, model }), { key });
      const refused = await send(poor.key);
      await refused.arrayBuffer();
      assert.ok([400, 402, 404].includes(refused.status), `${path} ${model}: ${refused.status}`);
      assert.deepEqual(gateway.upstream.requests, [], `${path} ${model}`);
      const served = await send(rich.key);
      await served.arrayBuffer();
      statuses.add(served.status);
      const holds = await gateway.rows(rich, "SELECT request_id FROM holds");
      assert.equal(holds.length, (rich.sent = (rich.sent ?? 0) + gateway.upstream.requests.length), `${path} ${model}`);
      gateway.upstream.requests.length = 0;
    }
  }
  assert.ok(rich.sent > 0 && statuses.has(200));
});

test("HEAD answers as GET does, without a body", async () => {
  for (const path of ["/v1/models", "/v1/models/vendor%2Frenamed", "/v1/models/vendor/renamed"]) {
    const response = await gateway.fetch(path, { method: "HEAD", key: account.key });
    assert.equal(response.status, 200, path);
    assert.match(response.headers.get("x-request-id"), /^req_/);
    assert.equal(await response.text(), "");
  }
  assert.equal((await gateway.fetch("/v1/models", { method: "HEAD" })).status, 401);
});

test("every answer has an id of its own, whatever the client sends as one", async () => {
  const ids = new Set();
  gateway.upstream.answerOnce("chat", json(completion("chat")));
  gateway.upstream.answerOnce("chat", eventStream(events(completionChunks("chat"))));
  for (const body of [chatBody("chat"), chatBody("chat", { stream: true }), "{", chatBody("nobody")]) {
    const response = await post(CHAT, body, { headers: { "x-request-id": "mine" } });
    await response.text();
    ids.add(response.headers.get("x-request-id"));
  }
  assert.equal(ids.size, 4);
  for (const id of ids) assert.match(id, /^req_[0-9a-v]{26}$/);
});

test("a stream is a stream of events", async () => {
  gateway.upstream.answer("chat", eventStream(events(completionChunks("chat"))));
  const response = await post(CHAT, chatBody("chat", { stream: true }));
  assert.equal(response.status, 200);
  assert.match(response.headers.get("content-type"), /^text\/event-stream/);
  assert.equal(response.headers.get("cache-control"), "no-store");
  assert.match(await response.text(), /data: \[DONE\]\n\n$/);
});

test("a body that is no request is 400, and no upstream hears of it", async () => {
  const message = '{"role":"user","content":"hi"}';
  const invalid = (what) => refusal(`The request body is invalid: ${what}.`);
  for (const [body, expected] of [
    ["", invalid("not a JSON object: line 1, column 1")],
    ['{"model":"chat"', invalid("not a JSON object: line 1, column 15")],
    [`{"model":"chat","messages":[${message}],}`, invalid("not a JSON object: line 1, column 61")],
    ['{"model":"chat"}\n{}', invalid("not a JSON object: line 2, column 1")],
    [`[${chatBody("chat")}]`, invalid("not a JSON object: line 1, column 1")],
    ['"chat"', invalid("not a JSON object: line 1, column 6")],
    ["null", invalid("not a JSON object: line 1, column 4")],
    [
      `{"model":"nobody","messages":[${message}],"model":"chat"}`,
      refusal("The request body is invalid: the field `model` is given twice.", "model"),
    ],
    [
      `{"model":"nobody","messages":[${message}],"mod\\u0065l":"chat"}`,
      refusal("The request body is invalid: the field `model` is given twice.", "model"),
    ],
    [`{"messages":[${message}]}`, refusal("The field `model` is required.", "model")],
    [`{"model":7,"messages":[${message}]}`, refusal("The field `model` must be a string.", "model")],
    ['{"model":"chat"}', refusal("The field `messages` is required.", "messages")],
    ['{"model":"chat","messages":[]}', refusal("The field `messages` must not be empty.", "messages")],
    [chatBody("chat", { stream: "yes" }), refusal("The field `stream` must be true or false.", "stream")],
    [chatBody("chat", { n: 0 }), refusal("The field `n` must be a whole number of at least 1.", "n")],
    [
      chatBody("chat", { max_tokens: -1 }),
      refusal("The field `max_tokens` must be a whole number of at least 1.", "max_tokens"),
    ],
  ]) {
    await answers(await post(CHAT, body), 400, expected);
  }
  await answers(
    await post("/v1/embeddings", '{"model":"embed"}'),
    400,
    refusal("The field `input` is required.", "input"),
  );
  assert.deepEqual(gateway.upstream.requests, []);
});

test("invalid UTF-8 is 400", async () => {
  const [before, after] = chatBody("chat").split("hi");
  for (const bytes of [[0xff], [0xc3], [0xed, 0xa0, 0x80], [0xc0, 0x80]]) {
    const body = Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(after)]);
    await answers(await post(CHAT, body), 400, refusal("The request body is not valid UTF-8."));
  }
});

test("a body of exactly 32 MB is taken, one more byte is 413", async () => {
  const body = Buffer.from(chatBody("chat", { user: "" }));
  const filler = Buffer.alloc(MAX_BODY_BYTES - body.length, "x");
  const full = Buffer.concat([body.subarray(0, -2), filler, body.subarray(-2)]);
  const tooLarge = Buffer.concat([full.subarray(0, -1), Buffer.from(" }")]);
  const message = refusal("The request body is larger than 32 MB.");
  // All 32 MB are input.
  const { key } = await gateway.account({ usd: "100" });
  for (const send of [sendWithLength, sendChunked]) {
    const taken = await send(full, { key });
    assert.deepEqual([taken.status, taken.body], [200, completion("chat")], send.name);
    assert.equal(gateway.upstream.requests.length, 1);
    assert.ok(gateway.upstream.requests[0].body.equals(full));
    gateway.upstream.requests.length = 0;
    const refused = await send(tooLarge, { key });
    assert.deepEqual([refused.status, refused.body], [413, message], send.name);
    assert.deepEqual(gateway.upstream.requests, []);
  }
});

const sendWithLength = (body, caller) => send(body, { "content-length": body.length }, caller);
const sendChunked = (body, caller) => send(body, { "transfer-encoding": "chunked" }, caller);

test("an answer that comes before the body is read arrives", async () => {
  const body = Buffer.alloc(20 << 20, " ");
  for (const [path, key, status] of [
    [CHAT, "garbage", 401],
    ["/v1/nothing", account.key, 404],
    ["/v1/models", account.key, 405],
  ]) {
    for (const headers of [{ "content-length": body.length }, { "transfer-encoding": "chunked" }]) {
      assert.equal((await send(body, headers, { path, key })).status, status, path);
    }
  }
});

/** Sends with node's own client, which waits for nothing before it sends the whole body. */
function send(body, headers, { path = CHAT, key = account.key } = {}) {
  return new Promise((resolve, reject) => {
    const options = { method: "POST", headers: { authorization: `Bearer ${key}`, ...headers } };
    const request = http.request(`${gateway.url}${path}`, options, async (response) => {
      const parts = [];
      for await (const part of response) parts.push(part);
      resolve({ status: response.statusCode, body: JSON.parse(Buffer.concat(parts).toString()) });
    });
    request.once("error", reject);
    for (let at = 0; at < body.length; at += 1 << 20) request.write(body.subarray(at, at + (1 << 20)));
    request.end();
  });
}

test("a model is served by its own endpoint alone", async () => {
  const own = await gateway.account();
  const vectors = "This model makes embeddings only. Use it with /v1/embeddings.";
  await answers(await post(CHAT, chatBody("embed"), { key: own.key }), 400, refusal(vectors, "model"));
  const chat = "This model does not make embeddings. Use it with /v1/chat/completions.";
  const body = JSON.stringify({ model: "chat", input: "hi" });
  await answers(await post("/v1/embeddings", body, { key: own.key }), 400, refusal(chat, "model"));
  assert.deepEqual(gateway.upstream.requests, []);
  // The grant alone: there was no hold.
  assert.deepEqual(
    (await gateway.journal(own)).map(({ kind }) => kind),
    ["grant"],
  );
});
