// Claude Code as it comes from npm, through the gateway, with a model behind each dialect of an upstream.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { agent, OPAQUE, THOUGHT } from "../agent/agent.mjs";
import { assertPaid, assertThought, reached, startDialects, UPSTREAMS } from "../agent/gateway.mjs";
import { newResults } from "../agent/read.mjs";
import { THEIR_WORDS } from "../agent/wire.mjs";
import { startCounter } from "./counter.mjs";
import { claude, workplace } from "./programs.mjs";

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

/** Runs it on `model`, with the account's key in ANTHROPIC_API_KEY unless `env` says otherwise. */
function ask(model, { env = { ANTHROPIC_API_KEY: account.key }, ...more } = {}) {
  return claude({ origin: counter.url, model, prompt: PROMPT, place, env, ...more });
}

const inference = () => counter.seen.filter(({ path }) => path.startsWith("/v1/messages?"));

for (const dialect of UPSTREAMS) {
  const model = `agent-${dialect}`;

  test(`a tool loop on an upstream that speaks ${dialect}`, async () => {
    gateway.upstream.answer(model, agent({ commands: ["cat token.txt"] }));
    const { code, stdout, stderr } = await ask(model);
    assert.deepEqual([code, stdout], [0, `The tool said: ${token}\n`], stderr);
    assert.deepEqual(
      inference().map(({ status, stream }) => [status, stream]),
      [
        [200, true],
        [200, true],
      ],
    );

    const [first, second] = reached(gateway, model);
    assert.equal(first.dialect, dialect);
    assert.deepEqual(
      first.tools.map(({ name }) => name),
      ["Bash", "Edit", "Read"],
    );
    const [result] = newResults(second);
    const [call] = second.turns.flatMap(({ calls }) => calls);
    assert.deepEqual([result.id, result.text, call.name], [call.id, token, "Bash"]);
    assert.equal(JSON.parse(call.input).command, "cat token.txt");
    await assertPaid(gateway, account, 2);
  });

  test(`thought, and two calls at once, on an upstream that speaks ${dialect}`, async () => {
    gateway.upstream.answer(model, agent({ think: true, commands: ["cat token.txt", "cat other.txt"] }));
    const { code, stdout, stderr } = await ask(model);
    assert.equal(code, 0, stderr);
    // The commands run at once, and their results come in the order in which they end.
    const said = stdout.trim().replace("The tool said: ", "").split(" | ");
    assert.deepEqual(said.sort(), [token, `other ${token}`].sort());

    const [, second] = reached(gateway, model);
    const calls = second.turns.flatMap((turn) => turn.calls);
    assert.equal(calls.length, 2);
    assert.deepEqual(
      newResults(second)
        .map(({ id }) => id)
        .sort(),
      calls.map(({ id }) => id).sort(),
    );
    assertThought(second, THOUGHT, OPAQUE);
    await assertPaid(gateway, account, 2);
  });

  test(`streams that break early are asked for again, on an upstream that speaks ${dialect}`, async () => {
    gateway.upstream.answer(model, agent({ commands: ["cat token.txt"], failStreams: 2 }));
    const { code, stdout, stderr } = await ask(model);
    assert.deepEqual([code, stdout], [0, `The tool said: ${token}\n`], stderr);
    assert.ok(!stderr.includes(THEIR_WORDS), stderr);
    // Each stream that fails is asked for again.
    assert.deepEqual(
      inference().map(({ status, stream }) => [status, stream]),
      [
        [200, true],
        [200, true],
        [200, true],
        [200, true],
      ],
    );
    await assertPaid(gateway, account, 4);
  });
}

test("a key in ANTHROPIC_AUTH_TOKEN, without --bare", async () => {
  gateway.upstream.answer("agent-messages", agent({ commands: ["cat token.txt"] }));
  const { code, stdout, stderr } = await ask("agent-messages", {
    flags: [],
    env: { ANTHROPIC_AUTH_TOKEN: account.key },
  });
  assert.deepEqual([code, stdout], [0, `The tool said: ${token}\n`], stderr);
});

test("a key from a helper, with all of it in the settings", async () => {
  gateway.upstream.answer("agent-chat", agent({ commands: ["cat token.txt"] }));
  const folder = path.join(place.home, ".claude");
  mkdirSync(folder);
  const settings = { apiKeyHelper: `echo ${account.key}`, env: { ANTHROPIC_BASE_URL: counter.url } };
  writeFileSync(path.join(folder, "settings.json"), JSON.stringify(settings));
  const { code, stdout, stderr } = await ask("agent-chat", { flags: [], env: {}, origin: undefined });
  assert.deepEqual([code, stdout], [0, `The tool said: ${token}\n`], stderr);
});

test("a key that is none: one request, and our words", async () => {
  const { code, stdout } = await ask("agent-messages", {
    env: { ANTHROPIC_API_KEY: `${account.key.slice(0, -4)}AAAA` },
  });
  assert.equal(code, 1);
  assert.match(stdout, /Failed to authenticate\. API Error: 401/);
  assert.deepEqual(
    inference().map(({ status }) => status),
    [401],
  );
});

test("an account without credit: one request, and what to do", async () => {
  account = await gateway.account({ usd: "0" });
  const { code, stdout } = await ask("agent-messages");
  assert.equal(code, 1);
  assert.match(stdout, /Credit balance is too low/);
  assert.deepEqual(
    inference().map(({ status }) => status),
    [402],
  );
  assert.equal(gateway.upstream.requests.length, 0);
});

test("a model that is none: asked once more without a stream, and said so", async () => {
  const { code, stdout } = await ask("no-such-model");
  assert.equal(code, 1);
  assert.match(stdout, /There's an issue with the selected model \(no-such-model\)/);
  assert.deepEqual(
    inference().map(({ status, stream }) => [status, stream]),
    [
      [404, true],
      [404, false],
    ],
  );
  await assertPaid(gateway, account, 0);
});
