// Floods of requests that are refused for their key: they wake nobody, they delay nobody, and nobody
// who has a living key is taken for one of them.
import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import path from "node:path";
import { after, before, test } from "node:test";
import { chatBody, COMPLETION_NANO_USD, completion, errorBody } from "./chat.mjs";
import { startGateway } from "./harness.mjs";
import { json } from "./upstream.mjs";

const PEPPER = randomBytes(32).toString("hex");
// The limit of REFUSALS in wrangler.toml, in one minute of the clock; a test may see two of them.
const LIMIT = 100;

let gateway;
before(async () => {
  gateway = await startGateway({
    entry: path.join(import.meta.dirname, "faulty-entry.mjs"),
    secrets: { KEY_PEPPERS: `1:${PEPPER}` },
  });
  gateway.upstream.answer("chat", json(completion("chat")));
});
after(() => gateway.close());

const chat = (key, headers) =>
  gateway.fetch("/v1/chat/completions", { method: "POST", key, headers, body: chatBody("chat") });
const from = (address) => ({ "cf-connecting-ip": address });

/** How often the account objects were asked to admit something. */
const admits = async () => (await (await gateway.fetch("/test/world")).json()).calls.admit ?? 0;

/** Sends so many requests, some at once; resolves to how often each status came. */
async function flood(count, send) {
  const statuses = { 401: 0, 429: 0 };
  let left = count;
  const attacker = async () => {
    while (left-- > 0) {
      const response = await send();
      await response.arrayBuffer();
      statuses[response.status] = (statuses[response.status] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: 50 }, attacker));
  return statuses;
}

function assertFlood(statuses, count) {
  assert.deepEqual(Object.keys(statuses), ["401", "429"]);
  assert.equal(statuses[401] + statuses[429], count);
  assert.ok(statuses[401] >= LIMIT && statuses[401] <= 2 * LIMIT, JSON.stringify(statuses));
}

test("a revoked key that floods wakes no account and delays none", async () => {
  const account = await gateway.account({ usd: "1" });
  const { body: flooding } = await gateway.keys(account, "POST", "", { name: "flooding" });
  assert.equal((await gateway.keys(account, "DELETE", `/${flooding.id}`)).status, 200);
  assert.equal((await chat(flooding.key)).status, 401);
  const before = await admits();

  const paying = 20;
  const customer = async () => {
    const times = [];
    for (let n = 0; n < paying; n += 1) {
      const started = performance.now();
      assert.equal((await chat(account.key)).status, 200);
      times.push(performance.now() - started);
    }
    return times;
  };
  const started = performance.now();
  const [times, statuses] = await Promise.all([customer(), flood(1_000, () => chat(flooding.key))]);

  assertFlood({ ...statuses, 401: statuses[401] + 1 }, 1_001);
  // The account heard of the paying requests alone.
  assert.equal((await admits()) - before, paying);
  // Generous: a machine under load is slow, but a queue of a thousand calls is slower.
  const most = Math.max(2_000, (performance.now() - started) / 2);
  assert.ok(Math.max(...times) < most, `the slowest took ${Math.max(...times)} of ${most} ms`);
  const journal = await gateway.journal(account);
  assert.deepEqual(
    journal.map(({ amount_nano: amount }) => amount),
    [1e9, ...Array(paying).fill(-COMPLETION_NANO_USD)],
  );
});

test("a key of an account that is not there floods its place no longer than the limit lets it", async () => {
  const key = taggedKey();
  const before = await admits();
  assertFlood(await flood(1_000, () => chat(key)), 1_000);
  const asked = (await admits()) - before;
  // Those that were under way when the limit was reached are asked for too.
  assert.ok(asked >= LIMIT && asked <= 2 * LIMIT + 50, `${asked} calls`);

  const response = await chat(key);
  assert.deepEqual([response.status, response.headers.get("retry-after")], [429, "10"]);
  assert.deepEqual(
    await response.json(),
    errorBody("rate_limit_exceeded", "Too many requests without a valid API key. Wait before the next one."),
  );
});

test("an address that floods without a key is limited, and its neighbours with a key are not", async () => {
  const account = await gateway.account({ usd: "1" });
  const noKey = { ...from("2001:db8:1:2::1"), authorization: "Bearer oi_nonsense" };
  assertFlood(await flood(500, () => chat(undefined, noKey)), 500);
  for (const [key, address, status] of [
    ["oi_nonsense", "2001:db8:1:2::ffff", 429], // the same customer's network
    ["oi_nonsense", "2001:db8:1:3::1", 401],
    ["oi_nonsense", "192.0.2.1", 401],
    [account.key, "2001:db8:1:2::1", 200],
  ]) {
    assert.equal((await chat(key, from(address))).status, status, address);
  }
});

test("answers to living keys are never counted", async () => {
  const account = await gateway.account({ usd: "1" });
  const reader = await gateway.key(account, ["account:read"]);
  const statuses = await flood(2 * LIMIT + 50, () => chat(reader, from("192.0.2.7")));
  assert.deepEqual(statuses, { 401: 0, 403: 2 * LIMIT + 50, 429: 0 });
  assert.equal((await chat(account.key, from("192.0.2.7"))).status, 200);
});

/** A key with a true tag, of an account that nobody made. */
function taggedKey() {
  const text = `oi_1${base32(randomBytes(10))}${base32(randomBytes(32))}`;
  return text + base32(createHmac("sha256", PEPPER).update(text).digest().subarray(0, 8));
}

function base32(bytes) {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  return bits
    .match(/.{1,5}/g)
    .map((five) => Number.parseInt(five.padEnd(5, "0"), 2).toString(32))
    .join("");
}
