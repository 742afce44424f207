// Attacks that must not pay, and failures of what lies behind the Worker that must not cost: on the
// Worker as it ships, in a world that fails when a test says so.
import assert from "node:assert/strict";
import path from "node:path";
import { after, afterEach, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { chatBody, COMPLETION_NANO_USD, completion } from "./chat.mjs";
import { startGateway } from "./harness.mjs";
import { json } from "./upstream.mjs";

let gateway;
before(async () => (gateway = await startGateway({ entry: path.join(import.meta.dirname, "faulty-entry.mjs") })));
after(() => gateway.close());
afterEach(async () => {
  gateway.upstream.forget();
  await world({});
});

const chat = (key, more) =>
  gateway.fetch("/v1/chat/completions", { method: "POST", key, body: chatBody("chat", more) });

/** Says what fails from now on (faulty-entry.mjs); resolves to what it answers. */
async function world(faults) {
  const response = await gateway.fetch("/test/world", { method: "POST", body: JSON.stringify(faults) });
  assert.equal(response.status, 200);
  return response.json();
}

/** What the account objects were asked, and how often D1 refused: `{ calls, d1_refused }`. */
const seen = async () => (await gateway.fetch("/test/world")).json();

/** Sends a plain request that is served. */
async function served(key, more) {
  gateway.upstream.answer("chat", json(completion("chat")));
  const response = await chat(key, more);
  assert.equal(response.status, 200, await response.clone().text());
  return response.headers.get("x-request-id");
}

/** Polls until `done` says true. */
async function until(done, what, limitMs = 10_000) {
  for (const deadline = performance.now() + limitMs; !(await done()); await sleep(20)) {
    if (performance.now() > deadline) assert.fail(`never: ${what}`);
  }
}

test("a document of unknown size is a 402 on two cents, before any provider sees it", async (t) => {
  const account = await gateway.account({ usd: "0.02" });
  for (const [name, part] of [
    ["by URL", { type: "file", file: { file_url: "https://example.com/thousand-pages.pdf" } }],
    ["by URL, as Mistral has it", { type: "document_url", document_url: "https://example.com/thousand-pages.pdf" }],
    ["inline", { type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,JVBERi0=" } }],
  ]) {
    await t.test(name, async () => {
      const response = await chat(account.key, {
        messages: [{ role: "user", content: [{ type: "text", text: "Read it." }, part] }],
      });
      const { error } = await response.json();
      assert.deepEqual(
        [response.status, error.code, error.reason],
        [402, "insufficient_credit", "balance"],
        error.message,
      );
    });
  }
  assert.deepEqual(gateway.upstream.requests, []);
  assert.deepEqual(await gateway.balance(account), { balance: 20_000_000n, held: 0n });
});

test("a dearer service tier is refused before it is asked for", async () => {
  const account = await gateway.account();
  for (const service_tier of ["priority", "flex", "Priority"]) {
    const response = await chat(account.key, { service_tier });
    const { error } = await response.json();
    assert.deepEqual([response.status, error.code, error.param], [400, "invalid_request", "service_tier"]);
  }
  assert.deepEqual(gateway.upstream.requests, []);
});

test("a picture of 5 MB is served on five dollars: it is not taken for text", async () => {
  const account = await gateway.account({ usd: "5" });
  const url = `data:image/png;base64,${Buffer.alloc(5 << 20, "picture").toString("base64")}`;
  await served(account.key, { messages: [{ role: "user", content: [{ type: "image_url", image_url: { url } }] }] });
  const [{ json: sent }] = gateway.upstream.requests;
  assert.equal(sent.messages[0].content[0].image_url.url, url);
  const [row] = await gateway.usageRows(account, 1);
  assert.equal(row.cost_nano_usd, COMPLETION_NANO_USD);
});

test("a flood of admits is shed, and the settles beside it are not", async () => {
  const account = await gateway.account({ usd: "100" }); // enough for all that are asked at once
  let asked;
  const running = new Promise((resolve) => (asked = resolve));
  let answer;
  const answered = new Promise((resolve) => (answer = resolve));
  gateway.upstream.answerOnce("chat", async (response) => {
    asked();
    await answered;
    await json(completion("chat"))(response);
  });
  gateway.upstream.answer("chat", json(completion("chat")));
  const first = chat(account.key);
  await running;

  const flood = 2_000;
  const started = Date.now();
  const flooded = world({ repeat: { command: "admit", times: flood } });
  answer();
  const others = await Promise.all(Array.from({ length: 20 }, () => chat(account.key)));
  const { statuses } = await flooded;
  const seconds = Math.floor(Date.now() / 1_000) - Math.floor(started / 1_000) + 1;
  assert.deepEqual(Object.keys(statuses), ["200", "503"], JSON.stringify(statuses));
  // 300 admits in each second of the clock that the flood has touched.
  assert.ok(statuses[200] <= 300 * seconds, `${statuses[200]} in ${seconds} s`);

  assert.equal((await first).status, 200, "its settle was taken");
  const shed = others.filter(({ status }) => status !== 200);
  for (const response of shed) {
    const { error } = await response.json();
    assert.deepEqual(
      [response.status, error.code, response.headers.get("retry-after")],
      [429, "rate_limit_exceeded", "1"],
    );
  }
  const served = 1 + others.length - shed.length;
  assert.equal((await gateway.usageRows(account, served)).length, served);
  assert.deepEqual(await gateway.balance(account), {
    balance: 100_000_000_000n - BigInt(served * COMPLETION_NANO_USD),
    held: 0n,
  });
});

test("trap_19 a settle that the account never gets is written down, sent again and charged once", async (t) => {
  for (const way of ["there", "back"]) {
    await t.test(`lost on the way ${way}`, async () => {
      const account = await gateway.account({ usd: "1" });
      await world({ lose: { command: "settle", way, times: 3 } });
      const id = await served(account.key);
      const waiting = async () =>
        (await gateway.db.prepare("SELECT request_id, attempts, last_refusal FROM undelivered_settles").all()).results;
      assert.deepEqual(await waiting(), [{ request_id: id, attempts: 0, last_refusal: null }]);
      assert.equal((await gateway.balance(account)).held > 0n, way === "there");

      await world({ lose: { command: "settle", way: "there", times: 3 } });
      await gateway.worker.scheduled({ cron: "* * * * *" });
      assert.deepEqual(await waiting(), [{ request_id: id, attempts: 1, last_refusal: null }], "still out of reach");

      await gateway.worker.scheduled({ cron: "* * * * *" });
      assert.deepEqual(await waiting(), []);
      await gateway.worker.scheduled({ cron: "* * * * *" });
      const [row, ...more] = await gateway.usageRows(account, 1);
      assert.deepEqual(
        [row.request_id, row.cost_nano_usd, row.billing_status, row.settled_by],
        [id, COMPLETION_NANO_USD, "settled", "upstream"],
      );
      assert.deepEqual(more, []);
      assert.deepEqual(await gateway.balance(account), {
        balance: 1_000_000_000n - BigInt(COMPLETION_NANO_USD),
        held: 0n,
      });
    });
  }
});

test("issue 13: a settle that waits in D1 and is changed there charges nothing", async () => {
  const account = await gateway.account({ usd: "1" });
  await world({ lose: { command: "settle", way: "there", times: 3 } });
  const id = await served(account.key);
  const before = await gateway.balance(account);
  const { command, mac } = await gateway.db
    .prepare("SELECT command, mac FROM undelivered_settles WHERE request_id = ?")
    .bind(id)
    .first();
  assert.match(mac, /^.:[0-9a-f]{64}$/);
  const change = (text) =>
    gateway.db.prepare("UPDATE undelivered_settles SET command = ?, last_refusal = NULL").bind(text).run();
  await change(command.replace(/"output":\d+/, '"output":0'));
  await gateway.worker.scheduled({ cron: "* * * * *" });
  assert.deepEqual(await gateway.balance(account), before);
  // An operator mends it: the row as it was is taken.
  await change(command);
  await gateway.worker.scheduled({ cron: "* * * * *" });
  assert.deepEqual(await gateway.balance(account), { balance: 1_000_000_000n - BigInt(COMPLETION_NANO_USD), held: 0n });
});

test("trap_15 an admit whose answer is lost is one hold", async () => {
  const account = await gateway.account({ usd: "1" });
  await world({ lose: { command: "admit", way: "back", times: 2 } });
  const id = await served(account.key);
  const holds = await gateway.rows(account, "SELECT request_id, state FROM holds");
  assert.deepEqual(holds, [{ request_id: id, state: 1 }]);
  assert.equal((await gateway.usageRows(account, 1)).length, 1);
});

test("an account that cannot be reached at all serves nothing and costs nothing", async () => {
  const account = await gateway.account({ usd: "1" });
  await world({ lose: { command: "admit", way: "there", times: 3 } });
  const response = await chat(account.key);
  assert.equal(response.status, 500, await response.text());
  assert.deepEqual(gateway.upstream.requests, []);
  assert.deepEqual(await gateway.rows(account, "SELECT * FROM holds"), []);
  await served(account.key);
});

test("while D1 is down the journal waits, and then D1 has each row once", async () => {
  const account = await gateway.account({ usd: "1" });
  await served(account.key);
  await gateway.usageRows(account, 1);
  const before = await seen();
  await world({ d1_down: true });
  for (let n = 0; n < 5; n += 1) await served(account.key);
  await until(async () => (await seen()).d1_refused > before.d1_refused, "a delivery that failed");
  assert.deepEqual(await gateway.balance(account), {
    balance: 1_000_000_000n - 6n * BigInt(COMPLETION_NANO_USD),
    held: 0n,
  });
  assert.equal((await gateway.usageRows(account, 1)).length, 1, "D1 has heard of one");

  await world({});
  // The next attempt is a minute away; an object that was asleep makes one when it is woken.
  await gateway.evict(account);
  await served(account.key);
  const rows = await gateway.usageRows(account, 7);
  assert.deepEqual(
    rows.map(({ seq, cost_nano_usd: cost }) => [seq, cost]),
    [2, 3, 4, 5, 6, 7, 8].map((seq) => [seq, COMPLETION_NANO_USD]),
  );
  const report = await gateway.audit(account);
  assert.deepEqual([report.rows, report.delivered_seq, report.problems], [8, 8, []]);
});

test("a row that D1 refuses is set aside, found by the audit, and delivered once it is mended", async () => {
  const account = await gateway.account({ usd: "1" });
  await served(account.key);
  await gateway.usageRows(account, 1);
  const poison = `CREATE TRIGGER poison BEFORE INSERT ON journal WHEN NEW.account_id = '${account.accountId}' AND NEW.output_tokens = 666
    BEGIN SELECT raise(ABORT, 'no such thing'); END`;
  await gateway.db.prepare(poison).run();
  const poisoned = { ...completion("chat"), usage: { prompt_tokens: 10, completion_tokens: 666, total_tokens: 676 } };
  gateway.upstream.answer("chat", json(poisoned));
  const response = await chat(account.key);
  assert.equal(response.status, 200);
  const id = response.headers.get("x-request-id");
  await served(account.key);
  await served(account.key);

  // The rows around it are not held up by it.
  const rows = await gateway.usageRows(account, 3);
  assert.deepEqual(
    rows.map(({ seq }) => seq),
    [2, 4, 5],
  );
  const select = gateway.db
    .prepare("SELECT seq, entry, problem FROM outbox_rejects WHERE account_id = ?")
    .bind(account.accountId);
  const { results } = await select.all();
  assert.deepEqual(
    results.map(({ seq, entry }) => [seq, JSON.parse(entry).id]),
    [[3, id]],
  );
  assert.match(results[0].problem, /no such thing/);
  const found = await gateway.audit(account);
  assert.deepEqual([found.missing, found.set_aside, found.delivered_seq], [0, 1, 5]);
  assert.deepEqual(found.problems, ["D1 did not take 1 rows, which were set aside"]);
  assert.equal((await gateway.audit(account, true)).repaired, false, "to send it again would change nothing");

  await gateway.db.prepare("DROP TRIGGER poison").run();
  await gateway.db.prepare("DELETE FROM outbox_rejects WHERE account_id = ?").bind(account.accountId).run();
  assert.equal((await gateway.audit(account, true)).repaired, true);
  assert.equal((await gateway.usageRows(account, 4)).length, 4);
  await until(async () => (await gateway.audit(account)).delivered_seq === 5, "the outbox comes to its end");
  assert.deepEqual((await gateway.audit(account)).problems, []);
});
