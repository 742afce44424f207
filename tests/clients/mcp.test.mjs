// Claude Code as a client of /mcp: registered by the line in README, and in a session without a terminal in
// which a scripted model calls the tools.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { reached, startDialects } from "../agent/gateway.mjs";
import { newResults } from "../agent/read.mjs";
import { says, text, tool } from "../agent/wire.mjs";
import { ROOT } from "../../dev/processes.mjs";
import { claude, claudeMcp, workplace } from "./programs.mjs";

const MODEL = "agent-messages";

let gateway;
let account;
let place;

before(async () => {
  gateway = await startDialects();
});
after(() => gateway?.close());

beforeEach(async (context) => {
  gateway.upstream.forget();
  account = await gateway.account();
  place = workplace();
  context.after?.(() => place.remove());
});

/** Registers the server as README says, with another address and key. */
function add(key) {
  const readme = readFileSync(path.join(ROOT, "README.md"), "utf8");
  const [line] = readme.match(/claude mcp add [^\n]*\\\n[^\n]*/);
  const words = line
    .replace("\\\n", " ")
    .match(/"[^"]*"|\S+/g)
    .slice(2);
  const args = words.map((word) =>
    word
      .replaceAll('"', "")
      .replace(/^http:.*\/mcp$/, `${gateway.url}/mcp`)
      .replace("$ONEINTERFACE_API_KEY", key),
  );
  return claudeMcp(args, place);
}

test("claude mcp list says that it is connected", async () => {
  const added = await add(account.key);
  assert.equal(added.code, 0, added.stdout + added.stderr);
  const { stdout, stderr } = await claudeMcp(["list"], place);
  assert.match(stdout, /oneinterface: .*\/mcp \(HTTP\) - ✔ Connected/, stderr);
});

test("with a wrong key it says that the server rejected it", async () => {
  await add("oi_1wrong");
  const { stdout } = await claudeMcp(["list"], place);
  assert.match(stdout, /✘ Failed to connect.*401/s);
});

test("a session lists models, makes a key and reads the balance", async () => {
  await add(account.key);
  const named = (name) => ({ name: `mcp__oneinterface__${name}` });
  const steps = [
    [tool("call_1", named("list_models"), "{}")],
    [tool("call_2", named("create_api_key"), '{"name":"by claude","permissions":["inference"]}')],
    [tool("call_3", named("get_balance"), "{}")],
    [text("Done.")],
  ];
  for (const step of steps) gateway.upstream.answerOnce(MODEL, says(step));
  const tools = ["list_models", "create_api_key", "get_balance"].map((name) => named(name).name).join(",");
  // Its experimental features would hide the tools behind a search.
  const env = { ANTHROPIC_API_KEY: account.key, CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS: "1" };
  const { code, stdout, stderr } = await claude({
    origin: gateway.url,
    model: MODEL,
    prompt: "Make me a key.",
    place,
    flags: [],
    tools,
    env,
  });
  assert.deepEqual([code, stdout], [0, "Done.\n"], stderr);
  const [models, made, balance] = newResults(reached(gateway, MODEL).at(-1)).map((result) => JSON.parse(result.text));
  assert.ok(models.models.some(({ id }) => id === MODEL));
  assert.match(balance.balance_usd, /^9\./);
  const { body } = await gateway.keys(account, "GET");
  assert.ok(body.data.some(({ id, name }) => id === made.id && name === "by claude"));
  assert.equal((await gateway.fetch("/v1/models", { key: made.key })).status, 200);
});
