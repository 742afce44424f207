// What one account can provoke at a provider closes nothing for the others, and an answer that is odd but whole costs
// the same in every dialect.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { chatBody, completion, COMPLETION_NANO_USD } from "./chat.mjs";
import { startGateway } from "./harness.mjs";
import { bytes, eventStream, hangUp, json } from "./upstream.mjs";

let gateway;
let next = 0;
before(async () => (gateway = await startGateway({ copies: { chat: 40 } })));
after(() => gateway?.close());
afterEach(() => gateway.upstream.forget());

/** A model that no test has asked for yet. */
const fresh = () => `chat-${(next += 1)}`;
const accounts = (count) => Promise.all(Array.from({ length: count }, () => gateway.account({ usd: "10" })));
const viewOf = async (model) =>
  (await gateway.upstreams()).find(({ id }) => id === "main").models.find((seen) => seen.model === model);

/** Asks a model in one of the dialects; resolves to the status. */
async function ask({ key }, model, path = "/v1/chat/completions", more = {}) {
  const fields = {
    "/v1/messages": { max_tokens: 100 },
    "/v1/responses": { messages: undefined, input: "hi" },
    "/v1/completions": { messages: undefined, prompt: "hi" },
  };
  const response = await gateway.fetch(path, {
    method: "POST",
    key,
    body: chatBody(model, { ...fields[path], ...more }),
  });
  const text = await response.text();
  return { status: response.status, text, cost: response.headers.get("x-oneinterface-cost") };
}

const PATHS = ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"];

test("an answer without choices, or with odd ones, is one answer in every dialect, and is charged by its usage", async () => {
  const [account] = await accounts(1);
  for (const choices of [[], [{}], [{ index: 0, message: null }], [{ index: 0, message: {}, finish_reason: null }]]) {
    const model = fresh();
    gateway.upstream.answer(model, json({ ...completion(model), choices }));
    for (const path of PATHS) {
      for (let n = 0; n < 6; n += 1) {
        const { status, cost, text } = await ask(account, model, path);
        assert.deepEqual([status, cost], [200, "0.00007"], `${path} ${JSON.stringify(choices)}: ${text}`);
      }
    }
    assert.equal(gateway.upstream.seen(model).length, PATHS.length * 6, "each was asked once");
    const { state, failures, accounts_waiting: waiting } = await viewOf(model);
    assert.deepEqual([state, failures, waiting], ["closed", {}, 0]);
  }
  assert.equal(COMPLETION_NANO_USD, 70_000);
});

test("what is no answer is a failure in every dialect, and costs nothing", async () => {
  for (const body of [
    "{}",
    '{"choices":null}',
    '{"choices":[],"error":{"message":"x"}}',
    '{"object":"error","choices":[]}',
    "<html>",
  ]) {
    for (const path of PATHS) {
      const [account] = await accounts(1);
      const model = fresh();
      gateway.upstream.answer(model, bytes(body, { headers: { "content-type": "application/json" } }));
      const { status } = await ask(account, model, path);
      assert.deepEqual(
        [status, await gateway.balance(account)],
        [503, { balance: 10_000_000_000n, held: 0n }],
        `${path} ${body}`,
      );
    }
  }
});

test("failures of one account, of any kind, leave every other account's requests alone", async () => {
  const poison = {
    500: json({}, { status: 500 }),
    "503 with retry-after": json({}, { status: 503, headers: { "retry-after": "60" } }),
    "429 with retry-after": json({}, { status: 429, headers: { "retry-after": "60" } }),
    "no answer": json([]),
    "a broken connection": hangUp(),
    "a stream that breaks off": eventStream('data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n', {
      end: "cut",
    }),
  };
  for (const [name, answer] of Object.entries(poison)) {
    const model = fresh();
    const [attacker, second, ...others] = await accounts(4);
    const good = json(completion(model));
    // What is marked fails, as a request does that a provider cannot process.
    gateway.upstream.answer(model, (response, seen) => (seen.json.user === "poison" ? answer : good)(response, seen));
    const stream = name.includes("stream");
    const attack = async () => {
      for (const account of [attacker, second])
        for (let n = 0; n < 25; n += 1) await ask(account, model, "/v1/chat/completions", { user: "poison", stream });
    };
    const served = async () => {
      const statuses = [];
      for (let n = 0; n < 20; n += 1) for (const account of others) statuses.push((await ask(account, model)).status);
      return statuses;
    };
    const [, statuses] = await Promise.all([attack(), served()]);
    assert.deepEqual(statuses, Array(40).fill(200), name);
    const { state, accounts_waiting: waiting } = await viewOf(model);
    assert.deepEqual([state, waiting], ["closed", 2], name);
  }
});

test("an upstream that is down for all is left alone after a few failures of three accounts", async () => {
  const model = fresh();
  gateway.upstream.answer(model, json({}, { status: 500 }));
  const several = await accounts(6);
  for (let n = 0; n < 3; n += 1) for (const account of several) assert.equal((await ask(account, model)).status, 503);
  assert.equal(gateway.upstream.seen(model).length, 5);
  const { state, failures } = await viewOf(model);
  assert.deepEqual([state, failures], ["open", { server_error: 5 }]);
});
