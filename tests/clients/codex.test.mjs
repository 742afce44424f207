// Codex as it comes from npm, through the gateway, with a model behind each dialect of an upstream.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { agent, OPAQUE, THOUGHT } from "../agent/agent.mjs";
import { assertPaid, assertThought, reached, startDialects, UPSTREAMS } from "../agent/gateway.mjs";
import { newResults } from "../agent/read.mjs";
import { patchCall } from "../agent/tools.mjs";
import { THEIR_WORDS } from "../agent/wire.mjs";
import { startCounter } from "./counter.mjs";
import { codex, workplace } from "./programs.mjs";

const PROMPT = "Read token.txt and say what is in it.";

let gateway;
let counter;
let account;
let place;
let token;

before(async () => {
  gateway = await startDialects();
  counter = await startCounter(gateway.url);
});
after(async () => {
  await counter?.close();
  await gateway?.close();
});

beforeEach(async (context) => {
  gateway.upstream.forget();
  counter.seen.length = 0;
  account = await gateway.account();
  token = randomUUID();
  place = workplace({ "token.txt": token, "other.txt": `other ${token}` });
  context.after?.(() => place.remove());
});

function ask(model, more) {
  return codex({ origin: counter.url, key: account.key, model, prompt: PROMPT, place, ...more });
}

for (const dialect of UPSTREAMS) {
  const model = `agent-${dialect}`;

  test(`a tool loop on an upstream that speaks ${dialect}`, async () => {
    gateway.upstream.answer(model, agent({ commands: ["cat token.txt"] }));
    const { code, stdout, stderr } = await ask(model);
    assert.equal(code, 0, stderr);
    assert.match(stdout, new RegExp(`^The tool said: [^]*${token}`));
    assert.deepEqual(
      counter.seen.map(({ path, status }) => [path, status]),
      [
        ["/v1/responses", 200],
        ["/v1/responses", 200],
      ],
    );

    const [first, second] = reached(gateway, model);
    assert.equal(first.dialect, dialect);
    const offered = first.tools.map(({ name }) => name);
    // A tool in a namespace reaches an upstream without namespaces under a name that holds both.
    const spawn = dialect === "responses" ? "spawn_agent" : "multi_agent_v1__spawn_agent";
    for (const name of ["exec_command", "view_image", spawn]) assert.ok(offered.includes(name), offered.join());
    const [call] = second.turns.flatMap(({ calls }) => calls);
    const [result] = newResults(second);
    assert.deepEqual(
      [result.id, call.name, JSON.parse(call.input)],
      [call.id, "exec_command", { cmd: "cat token.txt" }],
    );
    assert.match(result.text, new RegExp(token));
    await assertPaid(gateway, account, 2);
  });

  test(`thought, and two calls at once, on an upstream that speaks ${dialect}`, async () => {
    gateway.upstream.answer(model, agent({ think: true, commands: ["cat token.txt", "cat other.txt"] }));
    const { code, stdout, stderr } = await ask(model);
    assert.equal(code, 0, stderr);
    assert.match(stdout, new RegExp(`${token} \\| [^]*other ${token}`));

    const [, second] = reached(gateway, model);
    const calls = second.turns.flatMap((turn) => turn.calls);
    assert.equal(calls.length, 2);
    assert.deepEqual(
      newResults(second).map(({ id }) => id),
      calls.map(({ id }) => id),
    );
    assertThought(second, THOUGHT, OPAQUE);
    await assertPaid(gateway, account, 2);
  });

  test(`a patch in Codex's free-form tool, on an upstream that speaks ${dialect}`, async () => {
    const patched = `gpt-5.5-${model}`;
    gateway.upstream.answer(patched, agent({ call: (tools) => patchCall(tools, "patched.txt", token) }));
    const { code, stdout, stderr } = await ask(patched);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^The tool said: [\s\S]*Success/, stderr);
    assert.equal(readFileSync(path.join(place.work, "patched.txt"), "utf8"), `${token}\n`);
    await assertPaid(gateway, account, 2);
  });

  test(`a stream that breaks early is asked for again, on an upstream that speaks ${dialect}`, async () => {
    gateway.upstream.answer(model, agent({ commands: ["cat token.txt"], failStreams: 1 }));
    const { code, stdout, stderr } = await ask(model);
    assert.equal(code, 0, stderr);
    assert.match(stdout, new RegExp(token));
    assert.match(stderr, /Reconnecting\.\.\. 1\/5/);
    assert.ok(!stderr.includes(THEIR_WORDS), stderr);
    await assertPaid(gateway, account, 3);
  });
}

test("a sub-agent's tool comes back in its namespace", async () => {
  const close = (tools) => {
    const offered = tools.some(({ name }) => name === "multi_agent_v1__close_agent");
    return offered ? { name: "multi_agent_v1__close_agent", input: JSON.stringify({ target: "nobody" }) } : null;
  };
  gateway.upstream.answer("agent-chat", agent({ call: close }));
  const { code, stdout, stderr } = await ask("agent-chat");
  assert.equal(code, 0, stderr);
  // Codex found the tool in its namespace, and that there is no such agent.
  assert.match(stdout, /^The tool said: invalid agent id nobody/, stderr);
});

// Codex asks again whatever x-should-retry says.
const ATTEMPTS = "request_max_retries = 0\nstream_max_retries = 1\n";

test("an account without credit: Codex prints our words", async () => {
  account = await gateway.account({ usd: "0" });
  const { code, stderr } = await ask("agent-responses", { config: ATTEMPTS });
  assert.equal(code, 1);
  assert.match(stderr, /unexpected status 402 Payment Required: .*(credit|balance)/i);
  assert.match(stderr, /request id: req_[0-9a-v]{26}/);
  assert.ok(counter.seen.every(({ status }) => status === 402));
  assert.equal(gateway.upstream.requests.length, 0);
});

test("a key that is none: our words and the request's id", async () => {
  account = { ...account, key: `${account.key.slice(0, -4)}AAAA` };
  const wrongKey = await ask("agent-responses", { config: ATTEMPTS });
  assert.match(wrongKey.stderr, /unexpected status 401 Unauthorized: .*request id: req_/);
});

test("a model that is none: our words", async () => {
  const { stderr } = await ask("no-such-model", { config: ATTEMPTS });
  assert.match(stderr, /unexpected status 404 Not Found: The requested model is not available/);
  await assertPaid(gateway, account, 0);
});
