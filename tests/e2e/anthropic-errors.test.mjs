// Failures as the official Anthropic SDK sees them: the class that it has for each, Anthropic's shape, no
// words of a provider, and a retry only where one can help.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import Anthropic from "@anthropic-ai/sdk";
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
  const client = new Anthropic({
    apiKey,
    baseURL: gateway.url,
    fetch: (...args) => {
      client.attempts += 1;
      return fetch(...args);
    },
  });
  client.attempts = 0;
  return client;
}

const request = { model: "agent-messages", max_tokens: 100, messages: [{ role: "user", content: "Say hello." }] };

/** The error of a request, which must be of a class and have a type, a code and so many attempts. */
async function fails(client, body, { as, type, attempts = 1 }) {
  const error = await client.messages.create(body).then(
    () => assert.fail("it did not fail"),
    (error) => error,
  );
  assert.ok(error instanceof as, `${error.constructor.name}: ${error.message}`);
  assert.deepEqual([error.error.type, error.error.error.type], ["error", type]);
  assert.match(error.requestID, /^req_[0-9a-v]{26}$/);
  assert.equal(error.error.request_id, error.requestID);
  assert.ok(!error.message.includes(THEIR_WORDS), error.message);
  assert.equal(client.attempts, attempts);
  return error;
}

test("a key that is none", async () => {
  await fails(clientOf("oi_none"), request, { as: Anthropic.AuthenticationError, type: "authentication_error" });
});

test("a key that may not run models", async () => {
  const key = await gateway.key(account, ["account:read"]);
  await fails(clientOf(key), request, { as: Anthropic.PermissionDeniedError, type: "permission_error" });
});

test("an account without credit", async () => {
  const { key } = await gateway.account({ usd: "0" });
  const error = await fails(clientOf(key), request, { as: Anthropic.PaymentRequiredError, type: "billing_error" });
  assert.match(error.message, /credit balance is too low/i);
  assert.equal(gateway.upstream.requests.length, 0);
});

test("a model that is none", async () => {
  await fails(client, { ...request, model: "none" }, { as: Anthropic.NotFoundError, type: "not_found_error" });
});

test("a body that is wrong", async () => {
  await fails(
    client,
    { ...request, messages: "hello" },
    { as: Anthropic.BadRequestError, type: "invalid_request_error" },
  );
  await fails(
    clientOf(account.key),
    { ...request, max_tokens: undefined },
    { as: Anthropic.BadRequestError, type: "invalid_request_error" },
  );
  await assertPaid(gateway, account, 0);
});

// What each upstream says when a prompt is too long, in its own words.
const openaiTooLong = (message, param) => ({
  error: {
    message: `${message} ${THEIR_WORDS}`,
    type: "invalid_request_error",
    param,
    code: "context_length_exceeded",
  },
});
const anthropicError = (type, message) => ({ type: "error", error: { type, message } });
const TOO_LONG = {
  chat: openaiTooLong("This model's maximum context length is 200000 tokens.", "messages"),
  messages: anthropicError(
    "invalid_request_error",
    `prompt is too long: 200001 tokens > 200000 maximum ${THEIR_WORDS}`,
  ),
  responses: openaiTooLong("Your input exceeds the context window of this model.", "input"),
};
const openaiBusy = { error: { message: THEIR_WORDS, type: "rate_limit", param: null, code: "rate_limit_exceeded" } };
const BUSY = { chat: openaiBusy, messages: anthropicError("rate_limit_error", THEIR_WORDS), responses: openaiBusy };

for (const dialect of UPSTREAMS) {
  const model = `agent-${dialect}`;
  const asked = { ...request, model };

  test(`an upstream that speaks ${dialect} is busy, then not`, async () => {
    const busy = json(BUSY[dialect], { status: 429, headers: { "retry-after": "1" } });
    gateway.upstream.answerOnce(model, busy);
    gateway.upstream.answer(model, says([text("Hello.")]));
    const { content } = await client.messages.create(asked);
    assert.deepEqual([content[0].text, client.attempts], ["Hello.", 2]);
    gateway.upstream.answer(model, busy);
    const once = clientOf(account.key).withOptions({ maxRetries: 0 });
    const error = await once.messages.create(asked).catch((error) => error);
    assert.ok(error instanceof Anthropic.RateLimitError, `${error}`);
    assert.equal(error.error.error.type, "rate_limit_error");
    // It is not asked again before.
    await sleep(1_000);
  });

  test(`a prompt that is too long for an upstream that speaks ${dialect} says so in words that agents act on`, async () => {
    gateway.upstream.answer(model, json(TOO_LONG[dialect], { status: 400 }));
    const error = await fails(client, asked, { as: Anthropic.BadRequestError, type: "invalid_request_error" });
    assert.match(error.message, /capability_rejected: prompt_too_long|prompt is too long/);
    await assertPaid(gateway, account, 1);
  });

  test(`a stream of an upstream that speaks ${dialect} breaks: what was said is read and paid for`, async () => {
    gateway.upstream.answer(model, breaks([text("These words came before it broke.")]));
    const stream = client.messages.stream(asked);
    let read = "";
    stream.on("text", (piece) => (read += piece));
    const error = await stream.finalMessage().then(
      () => assert.fail("it did not fail"),
      (error) => error,
    );
    assert.ok(error instanceof Anthropic.APIError, `${error}`);
    assert.ok(!error.message.includes(THEIR_WORDS), error.message);
    assert.match(error.message, /api_error|overloaded_error/);
    assert.equal(read, "These words came before it broke.");
    const [row] = await assertPaid(gateway, account, 1);
    assert.ok(row.cost_nano_usd > 0 && row.status === "truncated", JSON.stringify(row));
  });
}
