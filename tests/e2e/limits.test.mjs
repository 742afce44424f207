// What a key may do, and how a hold grows: on the running Worker, as a customer sees it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { chatBody } from "./chat.mjs";
import { startGateway } from "./harness.mjs";

let gateway;
before(async () => (gateway = await startGateway()));
after(() => gateway.close());

const chat = (key, more) =>
  gateway.fetch("/v1/chat/completions", { method: "POST", key, body: chatBody("chat", more) });

/** A new key with `limits`, made by the owner, or by the key `by`: `{ id, key }`. */
async function limited(account, limits, by) {
  const { status, body } = await gateway.keys(account, "POST", "", { name: "limited", limits }, by);
  assert.equal(status, 201, JSON.stringify(body));
  return body;
}

/** Answers "chat" with so many words and their usage; `opened` resolves once the request is there. */
function hold() {
  let answer;
  let opened;
  const opening = new Promise((resolve) => (opened = resolve));
  const waiting = new Promise((resolve) => (answer = resolve));
  gateway.upstream.answerOnce("chat", async (response) => {
    opened();
    await waiting;
    const usage = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 };
    const choices = [{ index: 0, message: { role: "assistant", content: "hello" }, finish_reason: "stop" }];
    response
      .writeHead(200, { "content-type": "application/json" })
      .end(JSON.stringify({ object: "chat.completion", choices, usage }));
  });
  return { opening, answer };
}

async function served(key, more) {
  const held = hold();
  held.answer();
  const response = await chat(key, more);
  assert.equal(response.status, 200, await response.clone().text());
  return response;
}

test("a key's budget is a 402 of its own, and does not touch the account", async () => {
  const account = await gateway.account();
  const { id, key } = await limited(account, { budget: { usd: "0.0026", period: "daily" } });
  await served(key, { max_tokens: 200 });
  // 70,000 nano-USD of 2,600,000 are spent: not even 256 tokens of output are left.
  const { status, body } = await chat(key, { max_tokens: 2_000 }).then(async (r) => ({
    status: r.status,
    body: await r.json(),
  }));
  if (status === 200) assert.fail(JSON.stringify(body));
  assert.deepEqual(
    [status, body.error.code, body.error.reason, body.error.held],
    [402, "insufficient_credit", "key_budget", "0"],
  );
  await served(account.key, { max_tokens: 2_000 });
  const { body: list } = await gateway.keys(account, "GET");
  assert.equal(list.data.find((listed) => listed.id === id).spent_usd, "0.00007");

  const raised = await gateway.keys(account, "PATCH", `/${id}`, {
    name: "richer",
    limits: { budget: { usd: "1", period: "daily" } },
  });
  assert.deepEqual(
    [raised.status, raised.body.id, raised.body.name, raised.body.limits],
    [200, id, "richer", { budget: { usd: "1", period: "daily" } }],
  );
  await sleep(1_100); // the isolate remembers a 402 for a second
  await served(key, { max_tokens: 2_000 });
});

test("requests a minute and running requests", async () => {
  const account = await gateway.account();
  const { key } = await limited(account, { requests_per_minute: 2 });
  await served(key);
  await served(key);
  const third = await chat(key);
  assert.deepEqual([third.status, (await third.json()).error.code], [429, "rate_limit_exceeded"]);
  assert.ok(Number(third.headers.get("retry-after")) >= 50, third.headers.get("retry-after"));

  const { key: single } = await limited(account, { max_running: 1 });
  const held = hold();
  const first = chat(single);
  await held.opening;
  const second = await chat(single);
  assert.deepEqual([second.status, (await second.json()).error.code], [429, "rate_limit_exceeded"]);
  held.answer();
  assert.equal((await first).status, 200);
  await served(single);
});

test("a balance that running requests hold is a 402 that is worth a retry", async () => {
  const account = await gateway.account({ usd: "0.01" });
  const held = hold();
  const first = chat(account.key, { max_tokens: 900 });
  await held.opening;
  const second = await chat(account.key, { max_tokens: 900 });
  const { error } = await second.json();
  assert.deepEqual([second.status, error.code, error.reason], [402, "insufficient_credit", "held"]);
  assert.ok(Number(error.held) > 0.008, error.held);
  assert.deepEqual([second.headers.get("x-should-retry"), second.headers.get("retry-after")], ["true", "1"]);
  held.answer();
  assert.equal((await first).status, 200);
  await sleep(1_100);
  await served(account.key, { max_tokens: 900 });
});

test("no key makes a key that may do more than itself", async () => {
  const account = await gateway.account();
  const parent = await limited(account, { budget: { usd: "1", period: "total" } });
  const more = await gateway.keys(
    account,
    "POST",
    "",
    { name: "more", limits: { budget: { usd: "2", period: "total" } } },
    parent.key,
  );
  assert.deepEqual([more.status, more.body.error.code], [403, "invalid_api_key"]);
  const child = await limited(account, {}, parent.key);
  await served(child.key);
  const { body: list } = await gateway.keys(account, "GET");
  const listed = (id) => list.data.find((view) => view.id === id);
  assert.deepEqual([listed(child.id).parent_id, listed(parent.id).spent_usd], [parent.id, "0.00007"]);

  const inferenceOnly = await gateway.key(account, ["inference"]);
  const refused = await gateway.keys(account, "POST", "", { name: "x" }, inferenceOnly);
  assert.equal(refused.status, 403);

  const revoked = await gateway.keys(account, "DELETE", `/${parent.id}`);
  assert.deepEqual(revoked, { status: 200, body: { revoked: [child.id, parent.id].sort() } });
  for (const { key } of [parent, child]) assert.equal((await chat(key)).status, 401);
  assert.equal((await gateway.keys(account, "PATCH", `/${parent.id}`, { name: "back" })).status, 409);
  assert.equal((await gateway.keys(account, "DELETE", "/key_none")).status, 404);
});

test("trap_27 a key that is revoked while a request runs admits nothing more, and the request settles", async () => {
  const account = await gateway.account();
  const { id, key } = await limited(account, {});
  const held = hold();
  const running = chat(key);
  await held.opening;
  assert.equal((await gateway.keys(account, "DELETE", `/${id}`)).status, 200);
  assert.equal((await chat(key)).status, 401);
  held.answer();
  assert.equal((await running).status, 200);
  const [row] = await gateway.usageRows(account, 1);
  assert.deepEqual([row.status, row.settled_by, row.cost_nano_usd], ["completed", "upstream", 70_000]);
  assert.deepEqual(await gateway.balance(account), { balance: 10_000_000_000n - 70_000n, held: 0n });
});

test("a key that expires", async () => {
  const account = await gateway.account();
  const { key } = await limited(account, { expires_at: new Date(Date.now() + 1_000).toISOString() });
  await served(key);
  await sleep(1_100);
  assert.equal((await chat(key)).status, 401);
});

/** A stream of `count` chunks of ten words each, without usage, that ends in "stop". */
function longStream(count, pauseMs = 0) {
  gateway.upstream.answerOnce("chat", async (response, { closed }) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    const chunk = (delta, finish_reason = null) =>
      `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 1, model: "chat", choices: [{ index: 0, delta, finish_reason }] })}\n\n`;
    let cut = false;
    void closed.then(() => (cut = true));
    for (let n = 0; n < count && !cut; n++) {
      if (!response.write(chunk({ content: "one two three four five six seven eight nine ten " }))) {
        await new Promise((resolve) => (response.once("drain", resolve), response.once("close", resolve)));
      }
      await sleep(pauseMs);
    }
    response.end(
      `${chunk({}, "stop")}data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", choices: [], usage: { prompt_tokens: 10, completion_tokens: count * 10 } })}\n\ndata: [DONE]\n\n`,
    );
  });
}

test("trap_16 a stream's hold grows, and the client's limit is never edited", async () => {
  const account = await gateway.account({ usd: "0.2" });
  longStream(1_000);
  const response = await chat(account.key, { stream: true, max_tokens: 16_000 });
  // 4,096 tokens of output at $10 a million are held at first, not 16,000.
  assert.ok(
    Number(response.headers.get("x-oneinterface-balance")) > 0.15,
    response.headers.get("x-oneinterface-balance"),
  );
  const text = await response.text();
  assert.ok(text.endsWith("data: [DONE]\n\n") && text.includes('"finish_reason":"stop"'), text.slice(-300));
  assert.equal(gateway.upstream.seen("chat").at(-1).json.max_tokens, 16_000);
  const [row] = await gateway.usageRows(account, 1);
  assert.deepEqual(
    [row.status, row.output_tokens, row.cost_nano_usd],
    ["completed", 10_000, 10 * 2_000 + 10_000 * 10_000],
  );
});

test("a stream that no balance can cover any more ends as at its limit", async () => {
  const account = await gateway.account({ usd: "0.06" });
  longStream(3_000, 1);
  const response = await chat(account.key, { stream: true, stream_options: { include_usage: true } });
  const events = (await response.text()).trim().split("\n\n");
  assert.equal(events.at(-1), "data: [DONE]");
  const [last, usage] = events.slice(-3, -1).map((event) => JSON.parse(event.slice("data: ".length)));
  assert.deepEqual(last.choices, [{ index: 0, delta: {}, finish_reason: "length" }]);
  const [row] = await gateway.usageRows(account, 1);
  assert.deepEqual([row.status, row.settled_by, row.billing_status], ["limited", "estimate", "settled"]);
  assert.equal(usage.usage.completion_tokens, row.output_tokens);
  assert.equal(usage.usage.cost, row.cost_nano_usd / 1e9);
  assert.ok(row.cost_nano_usd > 50_000_000 && row.cost_nano_usd <= 60_000_000, String(row.cost_nano_usd));
  assert.equal(await gateway.upstream.seen("chat").at(-1).closed, "cut");
  assert.deepEqual((await gateway.balance(account)).held, 0n);
});

test("an audit finds what D1 lost, and has it delivered again", async () => {
  const account = await gateway.account();
  await served(account.key);
  await served(account.key);
  await gateway.usageRows(account, 2);
  assert.deepEqual((await gateway.audit(account)).problems, []);
  await gateway.db.prepare("DELETE FROM journal WHERE account_id = ? AND seq = 2").bind(account.accountId).run();
  const found = await gateway.audit(account, true);
  assert.deepEqual([found.missing, found.first_missing, found.repaired], [1, 2, true]);
  await gateway.usageRows(account, 2);
  assert.deepEqual((await gateway.audit(account)).problems, []);
});

test("issue 13: whoever can write D1 moves no money by what waits there", async () => {
  const account = await gateway.account();
  const held = hold();
  const running = chat(account.key);
  await held.opening;
  const routingId = account.accountId.replace("acct_", "");
  const sql = await gateway.worker.getDurableObjectStorage("ACCOUNT", { name: `${routingId}.1` });
  const [{ request_id: id }] = [...(await sql.exec("SELECT request_id FROM holds WHERE state = 0"))];
  const usage = {
    input: 0,
    cache_read: 0,
    cache_write_5m: 0,
    cache_write_1h: 0,
    output: 0,
    reasoning: 0,
    web_searches: 0,
  };
  const settle = (requestId) => ({
    settle: { request_id: requestId, usage, settled_by: "upstream", outcome: "completed", upstream: "main" },
  });
  const commands = {
    credit: { enter: { id: "checkout:cs_forged", kind: "credit", amount: 1_000_000_000_000 } },
    unknown: settle("unknown"),
    [id]: settle(id),
  };
  for (const [requestId, command] of Object.entries(commands)) {
    for (const [kind, mac] of [
      ["", null],
      ["-guessed", `1:${"0".repeat(64)}`],
    ]) {
      await gateway.db
        .prepare(
          "INSERT INTO undelivered_settles (request_id, routing_id, command, created_at_ms, mac) VALUES (?, ?, ?, 1, ?)",
        )
        .bind(requestId + kind, routingId, JSON.stringify(command), mac)
        .run();
    }
  }
  const before = await gateway.balance(account);
  await gateway.worker.scheduled({ cron: "* * * * *" });
  assert.deepEqual(await gateway.balance(account), before);
  const kept = async (where) =>
    (await gateway.db.prepare(`SELECT attempts, last_refusal FROM undelivered_settles WHERE ${where}`).all()).results;
  assert.deepEqual(
    await kept("mac IS NULL"),
    Array(3).fill({ attempts: 0, last_refusal: null }),
    "a row without a MAC is not even looked at",
  );
  assert.deepEqual(
    await kept("mac IS NOT NULL"),
    Array(3).fill({ attempts: 1, last_refusal: "it has no MAC of this gateway's" }),
  );
  await gateway.worker.scheduled({ cron: "* * * * *" });
  assert.equal(
    (await gateway.db.prepare("SELECT sum(attempts) AS n FROM undelivered_settles").first()).n,
    3,
    "they are not tried again",
  );
  await gateway.db.prepare("DELETE FROM undelivered_settles").run();
  held.answer();
  assert.equal((await running).status, 200);
  const [row, ...more] = await gateway.usageRows(account, 1);
  assert.deepEqual([row.request_id, more], [id, []]);
  assert.ok(row.cost_nano_usd > 0, "it costs what it used");
});

test("browser tools on other origins may call the API", async () => {
  const preflight = await gateway.fetch("/v1/chat/completions", {
    method: "OPTIONS",
    headers: {
      origin: "https://tool.example",
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization,x-stainless-lang",
    },
  });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers.get("access-control-allow-headers"), "authorization,x-stainless-lang");
  const refused = await gateway.fetch("/v1/models");
  assert.deepEqual([refused.status, refused.headers.get("access-control-allow-origin")], [401, "*"]);
  const closed = await gateway.fetch("/console/api/keys", { method: "OPTIONS" });
  assert.deepEqual([closed.status, closed.headers.get("access-control-allow-origin")], [405, null]);
});
