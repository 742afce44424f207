// The code panics: in a request, in a stream, in an account's object. That is the end of what panicked,
// and of nothing that runs beside it in the same instance.
import assert from "node:assert/strict";
import path from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { chatBody, completion, COMPLETION_NANO_USD, completionChunks, errorBody } from "./chat.mjs";
import { startGateway } from "./harness.mjs";
import { bytes, eventStream, events, json } from "./upstream.mjs";

const STREAMS = 50;
// What a client said; it must not be in the log.
const SECRET = "between-us";

const PANICKED = errorBody("internal_error", "Something went wrong on our side. Please try again.");
const CUT = errorBody("upstream_unavailable", "The upstream provider ended the stream before the answer was complete.");

let gateway;
before(async () => (gateway = await startGateway({ entry: path.join(import.meta.dirname, "panicking-entry.mjs") })));
beforeEach(() => gateway.upstream.forget());
after(() => gateway.close());

const chat = (key, more) =>
  gateway.fetch("/v1/chat/completions", { method: "POST", key, body: chatBody("chat", { user: SECRET, ...more }) });

/** Says which statements panic (panicking-entry.mjs); resolves to how many of the last such have not come. */
async function panics(statement, times) {
  const response = await gateway.fetch("/test/panic", { method: "POST", body: JSON.stringify({ statement, times }) });
  return response.json();
}

/** Compares what an account has with what it should: the money, no open hold, a sound journal. */
async function settled(account, count, costNanoUsd = COMPLETION_NANO_USD * count) {
  const rows = await gateway.usageRows(account, count);
  assert.equal(rows.length, count);
  const balance = 10_000_000_000n - BigInt(costNanoUsd);
  assert.deepEqual(await gateway.balance(account), { balance, held: 0n });
  const { problems, missing, differing, rows: journal } = await gateway.audit(account);
  assert.deepEqual(
    { problems, missing, differing, journal },
    { problems: [], missing: 0, differing: 0, journal: count + 1 },
  );
  return rows;
}

/** A stream of `text` that stops after its first event until `go` resolves. */
function halting(text, go) {
  const [first] = text.match(/^data: .*\n\n/);
  return async (response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(first);
    await go;
    response.end(text.slice(first.length));
  };
}

test("a request that panics is 500, and the streams beside it do not notice", async () => {
  const [hello, end, usage] = completionChunks("chat");
  const text = events([hello, ...Array(20).fill(hello), end, usage]);
  const forwarded = text.replace(`data: ${JSON.stringify(usage)}\n\n`, "");
  const { promise: go, resolve: proceed } = Promise.withResolvers();
  gateway.upstream.answer("chat", halting(text, go));
  const account = await gateway.account();
  const streams = await Promise.all(
    Array.from({ length: STREAMS }, async () => {
      const reader = (await chat(account.key, { stream: true })).body.pipeThrough(new TextDecoderStream()).getReader();
      return { reader, first: (await reader.read()).value };
    }),
  );

  gateway.upstream.answer("chat", json(completion("chat", "PANIC_LATER")));
  const other = await gateway.account();
  const response = await chat(other.key);
  assert.deepEqual([response.status, await response.json()], [500, PANICKED]);
  assert.match(response.headers.get("x-request-id"), /^req_/);
  // Nobody settles it; it is held until its deadline has passed.
  assert.ok((await gateway.balance(other)).held > 0n);
  await gateway.rows(other, "UPDATE holds SET deadline_ms = 0");
  await gateway.evict(other);
  gateway.upstream.answer("chat", json(completion("chat")));
  assert.equal((await chat(other.key)).status, 200);
  const rows = await settled(other, 2, COMPLETION_NANO_USD);
  assert.deepEqual(rows.map((row) => row.status).sort(), ["completed", "lost"]);

  proceed();
  for (const { reader, first } of streams) {
    let whole = first;
    for (let piece; !(piece = await reader.read()).done; ) whole += piece.value;
    assert.equal(whole, forwarded);
  }
  await settled(account, STREAMS);
});

test("a stream that panics ends with an error, and what it produced is paid for", async () => {
  const [hello, ...rest] = completionChunks("chat");
  const chunk = `data: ${JSON.stringify(hello)}\n\n`;
  const account = await gateway.account();
  const panic = (sizes) => eventStream(`${chunk}${events(rest)}: PANIC\n\n`, { sizes, delayMs: 50, end: "stall" });
  gateway.upstream.answerOnce("chat", panic([chunk.length, 1_000_000]));
  const begun = await chat(account.key, { stream: true });
  assert.equal(await begun.text(), `${chunk}data: ${JSON.stringify(CUT)}\n\n`);
  assert.equal(await gateway.upstream.requests.at(-1).closed, "cut");
  // Before its first event it is a request that panics, whose hold expires. Its upstream is ended all the same.
  gateway.upstream.answerOnce("chat", panic([1_000_000]));
  const refused = await chat((await gateway.account()).key, { stream: true });
  assert.deepEqual([refused.status, await refused.json()], [500, PANICKED]);
  assert.equal(await gateway.upstream.requests.at(-1).closed, "cut");
  const [first] = await gateway.usageRows(account, 1);
  assert.ok(first.cost_nano_usd > 0);
  const rows = await settled(account, 1, first.cost_nano_usd);
  assert.deepEqual(
    rows.map((row) => [row.status, row.billing_status]),
    [["truncated", "settled"]],
  );
});

// Each statement of an admit and of a settle; those that write stand in a transaction.
const ADMIT = ["SELECT admit", "INSERT INTO holds"];
const SETTLE = ["UPDATE holds", "INSERT INTO journal"];

test("the upstream of a whole answer that panics is ended", async () => {
  gateway.upstream.answerOnce(
    "chat",
    bytes('{"PANIC_LATER":', { headers: { "content-type": "application/json" }, end: "stall" }),
  );
  const response = await chat((await gateway.account()).key);
  assert.deepEqual([response.status, await response.json()], [500, PANICKED]);
  assert.equal(await gateway.upstream.requests.at(-1).closed, "cut");
});

test("an object that panics is asked again, and has lost nothing", async () => {
  gateway.upstream.answer("chat", json(completion("chat")));
  const account = await gateway.account();
  let served = 0;
  for (const statement of [...ADMIT, ...SETTLE]) {
    for (const times of [1, 2]) {
      await panics(statement, times);
      assert.equal((await chat(account.key)).status, 200, statement);
      assert.equal(await panics("", 0), 0, `${statement}: all of them came`);
      served += 1;
    }
  }
  await settled(account, served);
});

test("an admit that panics each time has done nothing", async () => {
  gateway.upstream.answer("chat", json(completion("chat")));
  const account = await gateway.account();
  for (const statement of ADMIT) {
    await panics(statement, 3);
    const response = await chat(account.key);
    assert.deepEqual([response.status, await response.json()], [500, PANICKED]);
    assert.equal(await panics("", 0), 0, `${statement}: all of them came`);
  }
  assert.equal(gateway.upstream.requests.length, 0);
  assert.equal((await chat(account.key)).status, 200);
  await settled(account, 1);
});

test("a settle that panics each time is sent again by the cron", async () => {
  gateway.upstream.answer("chat", json(completion("chat")));
  const account = await gateway.account();
  for (const statement of SETTLE) {
    await panics(statement, 3);
    const response = await chat(account.key);
    assert.deepEqual([response.status, await response.json()], [200, completion("chat")]);
    assert.equal(await panics("", 0), 0, `${statement}: all of them came`);
  }
  await gateway.worker.scheduled({ cron: "* * * * *" });
  await settled(account, SETTLE.length);
});

test("the log says where, and nothing of what was said", () => {
  const lines = gateway.logs();
  assert.ok(
    lines.some((line) => /^error: panicked at \S+\.rs:\d+:\d+: capacity overflow$/.test(line)),
    lines.join("\n"),
  );
  assert.deepEqual(
    lines.filter((line) => line.includes(SECRET) || /Critical|PanicError|Rust panic/.test(line)),
    [],
  );
});
