// When rows travel to D1: an account's alarm also rings for holds that expire, and must not deliver
// before the outbox is due.
import assert from "node:assert/strict";
import path from "node:path";
import { after, before, test } from "node:test";
import { chatBody, completion } from "./chat.mjs";
import { startGateway } from "./harness.mjs";
import { json } from "./upstream.mjs";

// Longer than this file runs.
const FLUSH_SECONDS = "3600";
// `outbox::BATCH`
const BATCH = 100;

let gateway;
before(async () => {
  const entry = path.join(import.meta.dirname, "ringing-entry.mjs");
  gateway = await startGateway({ entry, vars: { OUTBOX_FLUSH_SECONDS: FLUSH_SECONDS } });
  gateway.upstream.answer("chat", json(completion("chat")));
});
after(() => gateway.close());

async function served(key) {
  const response = await gateway.fetch("/v1/chat/completions", { method: "POST", key, body: chatBody("chat") });
  assert.equal(response.status, 200, await response.text());
}

async function ring({ accountId }) {
  const body = JSON.stringify({ name: `${accountId.replace("acct_", "")}.1` });
  assert.equal((await gateway.fetch("/test/ring", { method: "POST", body })).status, 204);
}

async function rowsInD1({ accountId }) {
  return gateway.db.prepare("SELECT count(*) AS rows FROM journal WHERE account_id = ?").bind(accountId).first("rows");
}

test("an alarm delivers nothing before its time, and a full batch at once", async () => {
  const account = await gateway.account({ usd: "5" });
  await served(account.key);
  await ring(account);
  assert.equal(await rowsInD1(account), 0);
  // What the object forgets, it finds again.
  await gateway.evict(account);
  await ring(account);
  assert.equal(await rowsInD1(account), 0);
  const waiting = (await gateway.journal(account)).length;
  for (let n = waiting; n < BATCH; n += 1) await served(account.key);
  assert.equal((await gateway.usageRows(account, BATCH - 1)).length, BATCH - 1, "the grant is one row");
});
