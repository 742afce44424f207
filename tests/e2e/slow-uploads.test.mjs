// Clients that send their bodies as slowly as they can, so that others find no room for theirs. Nothing here waits
// for a time: what is counted is who is served while the slow ones hold on, and what they are told in the end.
import assert from "node:assert/strict";
import http from "node:http";
import { after, before, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { signed } from "../../dev/payments/webhooks.mjs";
import { ISOLATE_MB, MEASURED, meterOf } from "../memory/isolate.mjs";
import { chatBody, completion, errorBody } from "./chat.mjs";
import { SECRETS, startPaid } from "./payments.mjs";
import { json } from "./upstream.mjs";

const MB = 1 << 20;
const CHAT = "/v1/chat/completions";
// A body has 10 s to begin with, and nothing buys more than 20 s.
const CUT_LIMIT_MS = 60_000;

let gateway;
let meter;
let customer;
before(async () => {
  gateway = await startPaid({ ...MEASURED, entry: "../memory/measuring-entry.mjs" });
  meter = await meterOf(gateway);
  customer = await gateway.account({ usd: "1000" });
});
beforeEach(() => {
  gateway.upstream.forget();
  gateway.upstream.answer("chat", json(completion("chat")));
});
after(async () => {
  meter?.close();
  await gateway?.close();
});

/**
 * Opens a request whose body comes a byte a second behind `begin`. `status` resolves to what it is answered with, or to
 * "cut"; `dialect` is the body of that answer.
 */
function slow(path, { headers = {}, length = MB, begin = "{" } = {}) {
  const chunked = length === null;
  const sent = { ...headers, ...(chunked ? { "transfer-encoding": "chunked" } : { "content-length": length }) };
  const request = http.request(`${gateway.url}${path}`, { method: "POST", agent: false, headers: sent });
  let timer;
  const answer = new Promise((resolve) => {
    let answered = false;
    request.once("response", async (response) => {
      answered = true;
      let text = "";
      response.setEncoding("utf8");
      try {
        for await (const part of response) text += part;
      } catch {
        // It was answered, and then cut off.
      }
      let body = null;
      try {
        body = JSON.parse(text);
      } catch {
        // The connection ended before the body did.
      }
      resolve({ status: response.statusCode, body });
    });
    const cut = () => answered || resolve({ status: "cut" });
    request.on("error", cut);
    request.once("close", cut);
  }).finally(() => {
    clearInterval(timer);
    request.destroy();
  });
  request.write(begin);
  timer = setInterval(() => request.write(" "), 1_000);
  return { answer, leave: () => request.destroy() };
}

/** A request of each kind by others: chat, a large chat, a form, an event of Stripe's. All must be served. */
async function othersAreServed(what) {
  const chat = (more) => gateway.fetch(CHAT, { method: "POST", key: customer.key, body: chatBody("chat", more) });
  const event = signed(
    { id: "evt_1", object: "event", type: "nobody.cares", livemode: false, data: { object: {} } },
    SECRETS[0],
  );
  const asked = [
    ...Array.from({ length: 10 }, () => chat()),
    chat({ user: "x".repeat(3 * MB) }),
    gateway.fetch("/console/api/keys", { method: "POST", key: gateway.session(customer), body: '{"name":"another"}' }),
    gateway.fetch("/console/api/keys", { method: "POST", key: customer.key, body: '{"name":"another"}' }),
    gateway.fetch("/webhooks/stripe", {
      method: "POST",
      body: event.payload,
      headers: { "stripe-signature": event.header, "cf-connecting-ip": "3.18.12.63" },
    }),
  ];
  const statuses = [];
  for (const response of await Promise.all(asked)) {
    await response.text();
    statuses.push(response.status);
  }
  assert.deepEqual(statuses, [...Array(11).fill(200), 201, 201, 200], what);
}

/** Runs an attack and serves others beside it; resolves to the slow clients' statuses, counted. */
async function attack(what, clients) {
  const open = clients();
  const { most, result } = await meter.mostDuring(async () => {
    await sleep(1_000);
    await othersAreServed(`beside ${what}`);
    await sleep(2_000);
    await othersAreServed(`later, beside ${what}`);
    const deadline = sleep(CUT_LIMIT_MS, "late", { ref: false });
    const answers = await Promise.race([Promise.all(open.map(({ answer }) => answer)), deadline]);
    assert.notEqual(answers, "late", `${what}: some are never cut`);
    return answers;
  });
  assert.ok(most.sum < ISOLATE_MB, `${what}: ${JSON.stringify(most)}`);
  // All of the room is free again.
  const largest = await gateway.fetch(CHAT, {
    method: "POST",
    key: customer.key,
    body: chatBody("chat", { user: "x".repeat(31 * MB) }),
  });
  assert.equal(largest.status, 200, await largest.text());
  const counts = {};
  for (const { status } of result) counts[status] = (counts[status] ?? 0) + 1;
  console.log(
    `${what}: ${JSON.stringify(counts)}, at most ${most.wasm.toFixed(1)} MB of WebAssembly and ${most.heap.toFixed(1)} MB of heap`,
  );
  return { counts, answers: result };
}

const times = (count, one) => () => Array.from({ length: count }, (_, n) => one(n));
const bearer = (key) => ({ authorization: `Bearer ${key}` });
const onlyThese = (counts, ...statuses) =>
  assert.deepEqual(
    Object.keys(counts).filter((status) => !statuses.includes(status)),
    [],
  );

test("193 slow webhooks without a signature, and as many with one that could be Stripe's", async () => {
  const plain = await attack(
    "193 unsigned webhooks",
    times(193, () => slow("/webhooks/stripe", { length: 250_000 })),
  );
  onlyThese(plain.counts, "400", "cut");
  const header = `t=${Math.floor(Date.now() / 1_000)},v1=${"ab".repeat(32)}`;
  const formed = await attack(
    "193 webhooks with a signature of the right form",
    times(193, () => slow("/webhooks/stripe", { length: 250_000, headers: { "stripe-signature": header } })),
  );
  onlyThese(formed.counts, "408", "503", "cut");
  const many = await attack(
    "500 such webhooks from 500 addresses",
    times(500, (n) =>
      slow("/webhooks/stripe", {
        length: 250_000,
        headers: { "stripe-signature": header, "cf-connecting-ip": `10.1.${n >> 8}.${n & 255}` },
      }),
    ),
  );
  onlyThese(many.counts, "408", "503", "cut");
});

test("770 slow forms without credentials, and as many of one account", async () => {
  const plain = await attack(
    "770 forms without credentials",
    times(770, () => slow("/console/api/keys", { length: 64_000 })),
  );
  onlyThese(plain.counts, "401", "429", "cut");
  const poor = await gateway.account({ usd: "0" });
  const own = await attack(
    "770 forms of one account",
    times(770, () => slow("/console/api/keys", { length: 64_000, headers: bearer(poor.key) })),
  );
  onlyThese(own.counts, "408", "503", "cut");
});

test("48 slow requests with a free key, with a length, without one, packed, and with many keys of one account", async () => {
  const poor = await gateway.account({ usd: "0" });
  const small = await attack(
    "48 requests of 1 MB",
    times(48, () => slow(CHAT, { headers: bearer(poor.key) })),
  );
  onlyThese(small.counts, "408", "cut");
  assert.deepEqual(
    small.answers.find(({ status }) => status === 408)?.body ?? null,
    errorBody("invalid_request", "The request body arrived too slowly."),
  );
  // The account is asked before more than 1 MB is read.
  const large = await attack(
    "48 requests of 32 MB",
    times(48, () => slow(CHAT, { headers: bearer(poor.key), length: 32 * MB })),
  );
  onlyThese(large.counts, "402", "cut");
  const unknown = await attack(
    "48 requests of an unknown length",
    times(48, () => slow(CHAT, { headers: bearer(poor.key), length: null })),
  );
  onlyThese(unknown.counts, "408", "cut");
  const packed = await attack(
    "48 packed requests",
    times(48, () =>
      slow(CHAT, {
        headers: { ...bearer(poor.key), "content-encoding": "gzip" },
        begin: gzipSync(chatBody("chat")).subarray(0, 20),
      }),
    ),
  );
  onlyThese(packed.counts, "408", "400", "cut");
  const keys = await Promise.all(Array.from({ length: 10 }, () => gateway.key(poor)));
  const many = await attack(
    "300 requests with ten keys of one account",
    times(300, (n) => slow(CHAT, { headers: bearer(keys[n % 10]) })),
  );
  onlyThese(many.counts, "408", "503", "cut");
  const messages = await attack(
    "48 messages",
    times(48, () => slow("/v1/messages", { headers: { "x-api-key": poor.key } })),
  );
  const { body } = messages.answers.find(({ status }) => status === 408);
  assert.deepEqual(
    [body.type, body.error.type, body.error.code],
    ["error", "invalid_request_error", "invalid_request"],
  );
});

test("an account with credit that sends nine tenths at once and then a byte a second is cut", async () => {
  const begin = Buffer.from(chatBody("chat", { user: "x".repeat(9 * MB) })).subarray(0, -2);
  const rich = await gateway.account({ usd: "1000" });
  const { counts } = await attack(
    "3 requests of 10 MB that stop near their end",
    times(3, () => slow(CHAT, { headers: bearer(rich.key), length: 10 * MB, begin })),
  );
  onlyThese(counts, "408", "503", "cut");
  assert.ok(counts["408"] >= 1, JSON.stringify(counts));
});

test("a length that lies, and slow bodies of every other route that takes one", async () => {
  const headers = bearer(customer.key);
  const routes = [
    "/v1/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/v1/messages/count_tokens",
    "/v1/quote",
    "/mcp",
    "/console/api/topups",
    "/operator/entries",
  ];
  const { answers } = await attack("six slow requests to each other route", () =>
    routes.flatMap((route) => times(6, () => slow(route, { headers, length: 60_000 }))()),
  );
  routes.forEach((route, at) => {
    const statuses = answers.slice(at * 6, at * 6 + 6).map(({ status }) => status);
    const expected = route === "/operator/entries" ? [401, 429, "cut"] : [408, "cut"];
    assert.deepEqual(
      statuses.filter((status) => !expected.includes(status)),
      [],
      route,
    );
  });
});
