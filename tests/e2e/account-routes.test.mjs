// The routes of the account under /v1, as tools that are written for OpenRouter ask them.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { chatBody, COMPLETION_NANO_USD, completion, errorBody } from "./chat.mjs";
import { startGateway } from "./harness.mjs";
import { json } from "./upstream.mjs";

const DAY_MS = 86_400_000;

let gateway, account;
before(async () => {
  gateway = await startGateway();
  gateway.upstream.answer("chat", json(completion("chat")));
  account = await gateway.account({ usd: "1.5" });
});
after(() => gateway.close());

async function get(path, key) {
  const response = await gateway.fetch(path, { key });
  const text = await response.text();
  return { status: response.status, text, body: JSON.parse(text) };
}

/** A chat request that is served; resolves to its id. */
async function chat(key) {
  const response = await gateway.fetch("/v1/chat/completions", { method: "POST", key, body: chatBody("chat") });
  assert.equal(response.status, 200, await response.text());
  return response.headers.get("x-request-id");
}

const NOT_THERE = errorBody("invalid_request", "There is no such request, or it is not over yet.");
const NOT_PERMITTED = errorBody("invalid_api_key", "This API key does not have the permission for this request.");

test("a key sees itself, whatever it may do", async () => {
  const limits = {
    requests_per_minute: 60,
    budget: { usd: "0.5", period: "daily" },
    expires_at: "2099-01-01T00:00:00Z",
  };
  const { body: made } = await gateway.keys(account, "POST", "", { name: "agent", permissions: ["inference"], limits });
  await chat(made.key);
  for (const path of ["/v1/key", "/v1/auth/key"]) {
    const { status, body, text } = await get(path, made.key);
    assert.equal(status, 200);
    assert.deepEqual(body.data, {
      label: "agent",
      usage: 0.00007,
      usage_daily: 0.00007,
      usage_weekly: 0.00007,
      usage_monthly: 0.00007,
      byok_usage: 0,
      limit: 0.5,
      limit_remaining: 0.49993,
      limit_reset: "daily",
      expires_at: "2099-01-01T00:00:00.000Z",
      is_free_tier: false,
      is_provisioning_key: false,
      rate_limit: { requests: 60, interval: "60s" },
      key_id: made.id,
      permissions: ["inference"],
      running: 0,
      usage_usd: "0.00007",
      limit_usd: "0.5",
      limit_remaining_usd: "0.49993",
    });
    assert.match(text, /"usage":0\.00007,/, "a number with all of its digits, not 7e-5");
  }
  const { body } = await get("/v1/key", account.key);
  assert.deepEqual(
    [body.data.limit, body.data.limit_remaining, body.data.rate_limit.requests, body.data.is_provisioning_key],
    [null, null, -1, true],
  );
});

test("credits are what came in and what was used, to the nano-dollar", async () => {
  const own = await gateway.account({ usd: "1.000000001" });
  await chat(own.key);
  await gateway.grant(own, "-0.25");
  const { status, body } = await get("/v1/credits", own.key);
  assert.equal(status, 200);
  assert.deepEqual(body.data, {
    total_credits: 0.750000001,
    total_usage: 0.00007,
    total_credits_usd: "0.750000001",
    total_usage_usd: "0.00007",
    balance_usd: "0.749930001",
    held_usd: "0",
  });
  await gateway.evict(own);
  assert.deepEqual((await get("/v1/credits", own.key)).body, body, "and so after a sleep");
  const inference = await gateway.key(own, ["inference"]);
  assert.deepEqual(await get("/v1/credits", inference).then(({ status, body }) => [status, body]), [
    403,
    NOT_PERMITTED,
  ]);
});

test("a request is shown as soon as it is over, to its own key and to those that may read the account", async () => {
  const inference = await gateway.key(account, ["inference"]);
  const id = await chat(inference);
  const { status, body } = await get(`/v1/generation?id=${id}`, inference);
  assert.equal(status, 200);
  const { created_at: created, settled_at: settled, generation_time: took, key_id: keyId, ...rest } = body.data;
  assert.ok(Math.abs(Date.parse(created) - Date.now()) < 60_000);
  assert.equal(Date.parse(settled) - Date.parse(created), took);
  assert.match(keyId, /^key_/);
  assert.deepEqual(rest, {
    id,
    model: "chat",
    total_cost: COMPLETION_NANO_USD / 1e9,
    usage: COMPLETION_NANO_USD / 1e9,
    tokens_prompt: 10,
    tokens_completion: 5,
    native_tokens_prompt: 10,
    native_tokens_completion: 5,
    native_tokens_reasoning: 0,
    native_tokens_cached: 0,
    num_search_results: 0,
    cancelled: false,
    is_byok: false,
    origin: "",
    provider_name: null,
    upstream_id: null,
    finish_reason: null,
    total_cost_usd: "0.00007",
    uncollected_usd: "0",
    endpoint: "/v1/chat/completions",
    status: "completed",
    billing_status: "settled",
    settled_by: "upstream",
  });
  assert.equal((await get(`/v1/generation?id=${id}`, account.key)).status, 200, "it may read the account");
  const [other, stranger] = [await gateway.key(account, ["inference"]), await gateway.account()];
  const unknown = [id.replace(/.$/, (last) => (last === "0" ? "1" : "0")), "req_0", "chatcmpl-1", "req_' OR 1=1 --"];
  for (const [key, asked] of [[other, id], [stranger.key, id], ...unknown.map((one) => [account.key, one])]) {
    const answer = await get(`/v1/generation?id=${encodeURIComponent(asked)}`, key);
    assert.deepEqual([answer.status, answer.body], [404, NOT_THERE], asked);
  }
  for (const query of ["", "?id="]) {
    const without = await get(`/v1/generation${query}`, account.key);
    assert.deepEqual([without.status, without.body.error.param], [400, "id"], query);
  }
});

test("a request that is long over is found too", async () => {
  const id = await chat(account.key);
  for (let n = 0; n < 3; n += 1) await chat(account.key);
  await gateway.rows(account, "DELETE FROM holds");
  const { status, body } = await get(`/v1/generation?id=${id}`, account.key);
  assert.deepEqual([status, body.data.id], [200, id]);
});

test("activity is what requests used by day and model, up to the moment", async () => {
  const own = await gateway.account();
  const keys = [];
  for (const [name, reasoning] of [
    ["today", 0],
    ["yesterday", 3],
    ["long ago", 0],
  ]) {
    keys.push((await gateway.keys(own, "POST", "", { name })).body);
    const { usage, ...answer } = completion("chat");
    gateway.upstream.answerOnce(
      "chat",
      json({ ...answer, usage: { ...usage, completion_tokens_details: { reasoning_tokens: reasoning } } }),
    );
    await chat(keys.at(-1).key);
  }
  const today = new Date().toISOString().slice(0, 10);
  const row = {
    date: today,
    model: "chat",
    model_permaslug: "chat",
    usage: 0.00021,
    byok_usage_inference: 0,
    requests: 3,
    prompt_tokens: 30,
    completion_tokens: 15,
    reasoning_tokens: 3,
    usage_usd: "0.00021",
  };
  const { status, body } = await get("/v1/activity", own.key);
  assert.deepEqual([status, body.data], [200, [row]]);
  assert.ok(Math.abs(Date.parse(body.as_of) - Date.now()) < 60_000);
  // Yesterday's, and one from before anybody looks.
  await gateway.usageRows(own, 3);
  const move = (key, days) =>
    gateway.db
      .prepare("UPDATE usage_daily SET day = day - ? WHERE account_id = ? AND key_id = ?")
      .bind(days, own.accountId, key.id)
      .run();
  await move(keys[1], 1);
  await move(keys[2], 30);
  const yesterday = new Date(Date.now() - DAY_MS).toISOString().slice(0, 10);
  const moved = (await get("/v1/activity", own.key)).body.data;
  assert.deepEqual(
    moved.map(({ date, requests, reasoning_tokens: reasoning }) => [date, requests, reasoning]),
    [
      [today, 1, 0],
      [yesterday, 1, 3],
    ],
  );
  const one = (await get(`/v1/activity?date=${yesterday}`, own.key)).body.data;
  assert.deepEqual(
    one.map(({ date, requests }) => [date, requests]),
    [[yesterday, 1]],
  );
  assert.deepEqual(
    (await get("/v1/activity", account.key)).body.data.filter(({ date }) => date === yesterday),
    [],
    "another account's",
  );
  const wrong = await get("/v1/activity?date=today", own.key);
  assert.deepEqual([wrong.status, wrong.body.error.param], [400, "date"]);
  assert.equal((await get("/v1/activity", gateway.session(own))).status, 401, "keys alone");
  const inference = await gateway.key(own, ["inference"]);
  assert.deepEqual(await get("/v1/activity", inference).then(({ status, body }) => [status, body]), [
    403,
    NOT_PERMITTED,
  ]);
});

test("a quote says what a request would hold and cost at most, and does nothing", async () => {
  const [asked, journal] = [gateway.upstream.requests.length, await gateway.journal(account)];
  const quote = async (body, query = "", key = account.key) => {
    const response = await gateway.fetch(`/v1/quote${query}`, {
      method: "POST",
      key,
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
    return { status: response.status, body: await response.json() };
  };
  const messages = [{ role: "user", content: "hi" }];
  const { status, body } = await quote({ model: "chat", messages, max_tokens: 1000 });
  assert.equal(status, 200, JSON.stringify(body));
  const {
    input_tokens: likely,
    max_input_tokens: most,
    input_cost_usd: input,
    hold_usd: hold,
    max_cost_usd: cost,
    ...rest
  } = body;
  assert.ok(likely > 0 && likely <= most, `${likely} of ${most}`);
  // $2 and $10 for a million tokens; what is held counts the dearest class of input, a cache write at $2.50.
  assert.equal(Number(input), (likely * 2) / 1e6);
  assert.ok(Math.abs(Number(hold) - (most * 2.5 + 1000 * 10) / 1e6) < 1e-8, hold);
  assert.equal(hold, cost, "a whole answer is held for in full");
  assert.deepEqual(rest, {
    object: "quote",
    endpoint: "/v1/chat/completions",
    model: "chat",
    stream: false,
    max_output_tokens: 1000,
    choices: 1,
    pricing: {
      prompt: "0.000002",
      completion: "0.00001",
      input_cache_read: "0.0000005",
      input_cache_write: "0.0000025",
    },
    price_effective_at: "2024-01-01T00:00:00.000Z",
  });
  // A stream begins small.
  const stream = (await quote({ model: "chat", messages, stream: true })).body;
  assert.equal(stream.max_output_tokens, 16_384);
  assert.ok(Number(stream.hold_usd) < Number(stream.max_cost_usd));

  for (const [endpoint, request] of [
    ["/v1/messages", { model: "chat", messages, max_tokens: 100 }],
    ["v1/responses", { model: "chat", input: "hi" }],
    ["completions", { model: "chat", prompt: "hi" }],
    ["/v1/embeddings", { model: "embed", input: "hi" }],
  ]) {
    for (const answer of [await quote({ ...request, endpoint }), await quote(request, `?endpoint=${endpoint}`)]) {
      assert.equal(answer.status, 200, `${endpoint}: ${JSON.stringify(answer.body)}`);
      assert.ok(answer.body.endpoint.endsWith(endpoint), endpoint);
    }
  }
  assert.equal((await quote({ model: "embed", input: "hi", endpoint: "embeddings" })).body.max_output_tokens, null);
  for (const [request, code, param] of [
    [{ model: "nobody", messages }, "model_not_available", "model"],
    [{ model: "chat", messages, endpoint: "/v1/models" }, "invalid_request", "endpoint"],
    [{ model: "embed", messages }, "invalid_request", "model"],
    [{ model: "chat", messages, service_tier: "flex" }, "invalid_request", "service_tier"],
    [{ model: "chat" }, "invalid_request", "messages"],
  ]) {
    const answer = await quote(request);
    assert.deepEqual([answer.body.error?.code, answer.body.error?.param], [code, param], JSON.stringify(request));
  }
  assert.equal((await quote("nothing")).status, 400);
  const reader = await gateway.key(account, ["account:read"]);
  assert.deepEqual(await quote({ model: "chat", messages }, "", reader), { status: 403, body: NOT_PERMITTED });
  assert.equal((await quote({ model: "chat", messages }, "", "oi_1x")).status, 401);
  assert.equal(gateway.upstream.requests.length, asked);
  assert.deepEqual(await gateway.journal(account), journal);
});
