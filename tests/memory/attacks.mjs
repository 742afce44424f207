// What clients can do to an isolate's memory, each with the requests of another customer beside it. Every row prints
// the most that the isolate held, and is a problem where that reaches its bound or the customer was not served.
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { chatBody, completion } from "../e2e/chat.mjs";
import { startGateway } from "../e2e/harness.mjs";
import { bytes, json, silence } from "../e2e/upstream.mjs";
import { ISOLATE_MB, MB, MEASURED, meterOf } from "./isolate.mjs";

const SERVED = 20;
const many = (one, count) => Array(count).fill(one).join(",");
const PART = '{"type":"text","text":"a"}';
const parts = (count, model = "chat") =>
  `{"model":"${model}","max_tokens":20,"messages":[{"role":"user","content":[${many(PART, count)}]}]}`;
const filled = (size, more = {}) => chatBody("chat", { ...more, user: "x".repeat(size) });

/** An answer of embeddings of about so many bytes. */
function vectors(size, encoding) {
  const numbers = Buffer.alloc(3_072 * 4, 7);
  const embedding = encoding === "float" ? Array(3_072).fill(0.015625) : numbers.toString("base64");
  const item = JSON.stringify({ object: "embedding", index: 0, embedding });
  const count = Math.floor(size / item.length);
  return `{"object":"list","model":"embed","data":[${many(item, count)}],"usage":{"prompt_tokens":9,"total_tokens":9}}`;
}

/** Each attack: what it sends, at once and by one account. `times` is how often. */
const ATTACKS = [
  ...[
    [24, 45, "float"],
    [24, 30, "float"],
    [24, 12, "float"],
    [24, 30, "base64"],
    [200, 2, "float"],
  ].map(([times, size, encoding]) => ({
    name: `${times} embeddings answers of ${size} MB`,
    times,
    answers: {
      embed: bytes(vectors(size * MB, encoding), {
        headers: { "content-type": "application/json" },
        sizes: [256 << 10],
      }),
    },
    send: () => ["/v1/embeddings", { body: JSON.stringify({ model: "embed", input: "a", encoding_format: encoding }) }],
  })),
  {
    name: "a million parts in 73 kB, 24 times",
    times: 24,
    send: (packed) => ["/v1/chat/completions", { body: packed, headers: { "content-encoding": "gzip" } }],
    prepare: () => gzipSync(parts(1_000_000)),
  },
  {
    name: "19,000 parts that wait for a provider, 100 times",
    times: 100,
    answers: { chat: silence() },
    send: (body) => ["/v1/chat/completions", { body }],
    prepare: () => parts(19_000),
    waits: true,
  },
  {
    name: "19,000 parts, translated, that wait, 100 times",
    times: 100,
    answers: { chat: silence() },
    send: (body) => ["/v1/messages", { body }],
    prepare: () => parts(19_000),
    waits: true,
  },
  {
    name: "32 MB that wait for a provider, 10 times",
    times: 10,
    answers: { chat: silence() },
    send: (body) => ["/v1/chat/completions", { body }],
    prepare: () => filled(31.9 * MB),
    waits: true,
  },
  {
    name: "4 MB that wait for a provider, 30 times",
    times: 30,
    answers: { chat: silence() },
    send: (body) => ["/v1/chat/completions", { body }],
    prepare: () => filled(4 * MB),
    waits: true,
  },
  {
    name: "32 MB packed in 32 kB, 24 times",
    times: 24,
    answers: { chat: silence() },
    send: (body) => ["/v1/chat/completions", { body, headers: { "content-encoding": "gzip" } }],
    prepare: () => gzipSync(filled(31.9 * MB)),
    waits: true,
  },
  {
    name: "32 MB of text, translated, 10 times",
    times: 10,
    answers: { chat: silence() },
    send: (body) => ["/v1/messages", { body }],
    prepare: () =>
      JSON.stringify({
        model: "chat",
        max_tokens: 20,
        messages: [
          {
            role: "user",
            content: [
              { type: "image", source: { type: "base64", media_type: "image/png", data: "A".repeat(31.9 * MB) } },
            ],
          },
        ],
      }),
    waits: true,
  },
];

/** Runs all of them; resolves to the problems, each a sentence. */
export async function attacks(only = "") {
  const problems = [];
  for (const attack of ATTACKS.filter(({ name }) => name.includes(only))) problems.push(...(await run(attack)));
  return problems;
}

/** Each has an isolate of its own: WebAssembly memory never shrinks. */
async function run({ name, times, answers = {}, send, prepare = () => null, waits = false }) {
  const gateway = await startGateway(MEASURED);
  const meter = await meterOf(gateway);
  try {
    const [attacker, customer] = [await gateway.account({ usd: "1000" }), await gateway.account({ usd: "1000" })];
    const good = json(completion("vendor/renamed"));
    Object.entries(answers).forEach(([model, answer]) => gateway.upstream.answer(model, answer));
    gateway.upstream.answer("their-name", good);
    const prepared = prepare();
    const { most, result } = await meter.mostDuring(async () => {
      const leave = new AbortController();
      const statuses = {};
      const sent = Array.from({ length: times }, async () => {
        const [path, init] = send(prepared);
        const status = await gateway
          .fetch(path, { method: "POST", key: attacker.key, ...init, signal: leave.signal })
          .then(
            async (response) => (await response.arrayBuffer(), response.status),
            () => "left",
          );
        statuses[status] = (statuses[status] ?? 0) + 1;
      });
      let served = 0;
      for (let n = 0; n < SERVED; n += 1) {
        const response = await gateway.fetch("/v1/chat/completions", {
          method: "POST",
          key: customer.key,
          body: chatBody("vendor/renamed"),
        });
        await response.text();
        if (response.status === 200) served += 1;
        await sleep(50);
      }
      if (waits) leave.abort();
      await Promise.all(sent);
      return { served, statuses };
    });
    console.log(
      `${most.wasm.toFixed(1).padStart(7)} ${most.heap.toFixed(1).padStart(7)} (MB)  ${name}: ${JSON.stringify(result.statuses)}, ${result.served} of ${SERVED} others served`,
    );
    const problems = [];
    if (most.sum >= ISOLATE_MB) problems.push(`${name}: the isolate held ${most.sum.toFixed(1)} MB`);
    if (result.served < SERVED)
      problems.push(`${name}: ${result.served} of ${SERVED} requests of another customer were served`);
    return problems;
  } finally {
    meter.close();
    await gateway.close();
  }
}
