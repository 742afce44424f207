// Failures of /v1/responses as the official OpenAI SDK sees them, and what is refused since it would be
// kept at a provider.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import OpenAI from "openai";
import { assertPaid, startDialects, UPSTREAMS } from "../agent/gateway.mjs";
import { breaks, says, text, THEIR_WORDS } from "../agent/wire.mjs";
import { json } from "./upstream.mjs";

let gateway;
let account;
let client;

before(async () => (gateway = await startDialects()));
after(() => gateway?.close());

beforeEach(async () => {
  gateway.upstream.forget();
  account = await gateway.account();
  client = clientOf(account.key);
});

/** The SDK with its default settings; `attempts` counts the requests that it makes. */
function clientOf(apiKey) {
  const client = new OpenAI({
    apiKey,
    baseURL: `${gateway.url}/v1`,
    fetch: (...args) => {
      client.attempts += 1;
      return fetch(...args);
    },
  });
  client.attempts = 0;
  return client;
}

const request = { model: "agent-responses", input: "Say hello." };

/** The error of a request, which must be of a class and have a code and so many attempts. */
async function fails(client, body, { as, status, code, attempts = 1 }) {
  const error = await client.responses.create(body).then(
    () => assert.fail("it did not fail"),
    (error) => error,
  );
  assert.ok(error instanceof as, `${error.constructor.name}: ${error.message}`);
  assert.deepEqual([error.status, error.type, error.code], [status, "oneinterface_error", code]);
  assert.match(error.requestID, /^req_[0-9a-v]{26}$/);
  assert.ok(!error.message.includes(THEIR_WORDS), error.message);
  assert.equal(client.attempts, attempts);
  return error;
}

test("a key, a balance, a model, a body", async () => {
  await fails(clientOf("oi_none"), request, { as: OpenAI.AuthenticationError, status: 401, code: "invalid_api_key" });
  const { key } = await gateway.account({ usd: "0" });
  await fails(clientOf(key), request, { as: OpenAI.APIError, status: 402, code: "insufficient_credit" });
  await fails(
    clientOf(account.key),
    { ...request, model: "none" },
    { as: OpenAI.NotFoundError, status: 404, code: "model_not_available" },
  );
  await fails(
    clientOf(account.key),
    { ...request, input: 5 },
    { as: OpenAI.BadRequestError, status: 400, code: "invalid_request" },
  );
  assert.equal(gateway.upstream.requests.length, 0);
  await assertPaid(gateway, account, 0);
});

for (const dialect of UPSTREAMS) {
  const model = `agent-${dialect}`;

  test(`what is kept at a provider is refused, and the upstream that speaks ${dialect} not called`, async () => {
    const another = await gateway.account();
    gateway.upstream.answer(model, says([text("Hello.")]));
    const theirs = await clientOf(another.key).responses.create({ ...request, model });
    gateway.upstream.forget();
    for (const previous_response_id of [theirs.id, "resp_abc123"]) {
      await fails(
        clientOf(account.key),
        { ...request, model, previous_response_id },
        { as: OpenAI.BadRequestError, status: 400, code: "invalid_request" },
      );
    }
    for (const more of [
      { background: true },
      { conversation: "conv_1" },
      { input: [{ type: "item_reference", id: "msg_1" }] },
      { prompt: { id: "pmpt_1" } },
    ]) {
      await fails(
        clientOf(account.key),
        { ...request, model, ...more },
        { as: OpenAI.BadRequestError, status: 400, code: "invalid_request" },
      );
    }
    assert.equal(gateway.upstream.requests.length, 0);
    await assertPaid(gateway, account, 0);
  });

  test(`an upstream that speaks ${dialect} fails`, async () => {
    const theirs = { error: { message: THEIR_WORDS, type: "server_error", code: null }, type: "error" };
    gateway.upstream.answer(model, json(theirs, { status: 500 }));
    await fails(
      client,
      { ...request, model },
      { as: OpenAI.InternalServerError, status: 503, code: "upstream_unavailable", attempts: client.maxRetries + 1 },
    );
  });

  test(`a stream of an upstream that speaks ${dialect} breaks: what was said is read and paid for`, async () => {
    gateway.upstream.answer(model, breaks([text("These words came before it broke.")]));
    const events = [];
    const stream = await client.responses.create({ ...request, model, stream: true });
    let error = null;
    try {
      for await (const event of stream) events.push(event);
    } catch (thrown) {
      error = thrown;
    }
    const read = events.filter(({ type }) => type === "response.output_text.delta").map(({ delta }) => delta);
    assert.equal(read.join(""), "These words came before it broke.");
    // Its end is an error event, at which the SDK throws, or a failed response.
    const failed = events.at(-1).type === "response.failed" ? events.at(-1).response.error : error;
    assert.ok(failed, JSON.stringify(events.at(-1)));
    assert.ok(!JSON.stringify([events, `${error}`]).includes(THEIR_WORDS));
    const [row] = await assertPaid(gateway, account, 1);
    assert.ok(row.cost_nano_usd > 0 && row.status === "truncated", JSON.stringify(row));
  });
}

test("stored responses are not to be had", async () => {
  gateway.upstream.answer("agent-responses", says([text("Hello.")]));
  const { id } = await client.responses.create({ ...request, store: true });
  assert.equal(gateway.upstream.seen("agent-responses").at(-1).json.store, false);
  gateway.upstream.forget();
  for (const ask of [
    (id) => client.responses.retrieve(id),
    (id) => client.responses.delete(id),
    (id) => client.responses.cancel(id),
  ]) {
    const error = await ask(id).then(
      () => assert.fail("it did not fail"),
      (error) => error,
    );
    assert.ok([400, 404, 405].includes(error.status), `${error}`);
    assert.equal(error.code, "invalid_request");
  }
  assert.equal(gateway.upstream.requests.length, 0);
});
