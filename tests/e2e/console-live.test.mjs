// Balance and requests as they come.
import assert from "node:assert/strict";
import path from "node:path";
import { after, before, test } from "node:test";
import { chatBody, completion } from "./chat.mjs";
import { get } from "./console.mjs";
import { startGateway } from "./harness.mjs";
import { json } from "./upstream.mjs";

let gateway;
before(async () => {
  const entry = path.join(import.meta.dirname, "faulty-entry.mjs");
  gateway = await startGateway({ entry });
  gateway.upstream.answer("chat", json(completion("chat")));
});
after(() => gateway.close());

/** Looks on: `next(name)` resolves to the next event of that name, `leave()` ends it. */
async function look(key, headers = {}) {
  const abort = new AbortController();
  const response = await gateway.fetch("/console/api/live", { key, headers, signal: abort.signal });
  assert.deepEqual([response.status, response.headers.get("content-type")], [200, "text/event-stream; charset=utf-8"]);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const event = async () => {
    for (;;) {
      const at = text.indexOf("\n\n");
      if (at >= 0) {
        const lines = text.slice(0, at).split("\n");
        text = text.slice(at + 2);
        const fields = Object.fromEntries(
          lines.filter((line) => !line.startsWith(":")).map((line) => line.split(/: (.*)/s)),
        );
        return { ...fields, data: fields.data && JSON.parse(fields.data) };
      }
      const { done, value } = await reader.read();
      if (done) return null;
      text += value;
    }
  };
  const next = async (name) => {
    for (let found = await event(); ; found = await event()) {
      assert.ok(found, `it ended before ${name}`);
      if (found.event === name) return found;
    }
  };
  return { next, event, leave: () => abort.abort() };
}

async function asked(key) {
  const response = await gateway.fetch("/v1/chat/completions", { method: "POST", key, body: chatBody("chat") });
  assert.equal(response.status, 200, await response.text());
  return response.headers.get("x-request-id");
}

const journalCalls = async () => (await (await gateway.fetch("/test/world")).json()).calls.journal ?? 0;

test("a viewer asks the account once in two seconds at most, and not after it has left", async () => {
  const account = await gateway.account({ usd: "1" });
  const viewer = await look(account.key);
  await viewer.next("balance");
  await viewer.event(); // the first reading
  const [before, begun] = [await journalCalls(), performance.now()];
  for (let n = 0; n < 2; n += 1) await viewer.event();
  const calls = (await journalCalls()) - before;
  const seconds = (performance.now() - begun) / 1_000;
  assert.ok(calls >= 2 && calls <= seconds / 2 + 1, `${calls} calls in ${seconds} s`);
  viewer.leave();
  // One write may still succeed behind the leaving; then it is noticed.
  const left = await journalCalls();
  await new Promise((resolve) => setTimeout(resolve, 6_500));
  assert.ok((await journalCalls()) - left <= 2, "it goes on for nobody");
});

test("a viewer sees the balance at once, and each request that is charged", async () => {
  const account = await gateway.account();
  const viewer = await look(account.key);
  try {
    assert.equal((await viewer.next("balance")).data.balance_usd, "10");
    const ids = [await asked(account.key), await asked(account.key)];
    const seen = [await viewer.next("request"), await viewer.next("request")];
    assert.deepEqual(
      seen.map(({ data }) => data.request_id),
      ids,
    );
    const { data: listed } = await get(gateway, account.key, "usage");
    assert.deepEqual(
      seen.map(({ data }) => data),
      listed.toReversed(),
      "as the list shows them",
    );
    assert.deepEqual(
      seen.map(({ id }) => Number(id)),
      seen.map(({ data }) => data.seq),
    );
    // One that comes back is told what it missed.
    viewer.leave();
    const missed = await asked(account.key);
    const again = await look(account.key, { "last-event-id": seen[1].id });
    assert.equal((await again.next("request")).data.request_id, missed);
    again.leave();
  } finally {
    viewer.leave();
  }
});

test("the stream ends by itself after five minutes", async () => {
  const account = await gateway.account({ usd: "1" });
  const viewer = await look(account.key);
  await viewer.next("balance");
  try {
    await gateway.fetch("/test/world", { method: "POST", body: JSON.stringify({ ahead_ms: 301_000 }) });
    let found = await viewer.event();
    while (found !== null) found = await viewer.event();
  } finally {
    await gateway.fetch("/test/world", { method: "POST", body: JSON.stringify({}) });
  }
});
