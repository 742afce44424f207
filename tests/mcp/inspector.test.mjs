// The Inspector in command-line mode: what a developer tries first.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { launch } from "../../dev/processes.mjs";
import { completionChunks } from "../e2e/chat.mjs";
import { startGateway } from "../e2e/harness.mjs";
import { events, eventStream } from "../e2e/upstream.mjs";

const INSPECTOR = path.join(
  import.meta.dirname,
  "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js",
);

let gateway;
let account;
let home;

before(async () => {
  gateway = await startGateway();
  account = await gateway.account();
  home = mkdtempSync(path.join(os.tmpdir(), "inspector-"));
});
after(async () => {
  await gateway?.close();
  if (home) rmSync(home, { recursive: true });
});

/** What it prints, as JSON. */
function inspect(...args) {
  const header = `Authorization: Bearer ${account.key}`;
  const all = [INSPECTOR, "--cli", `${gateway.url}/mcp`, "--transport", "http", "--header", header, ...args];
  const child = launch(process.execPath, all, {
    cwd: home,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 60_000,
    env: { PATH: process.env.PATH, HOME: home },
  });
  let [out, err] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text) => (out += text));
  child.stderr.setEncoding("utf8").on("data", (text) => (err += text));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      try {
        assert.equal(code, 0, `${out}${err}`);
        resolve(JSON.parse(out));
      } catch (error) {
        reject(error);
      }
    });
  });
}

/** What a tool says; `args` are NAME=VALUE. */
async function call(tool, ...args) {
  const { isError, structuredContent } = await inspect(
    "--method",
    "tools/call",
    "--tool-name",
    tool,
    ...args.flatMap((arg) => ["--tool-arg", arg]),
  );
  assert.ok(!isError, tool);
  return structuredContent;
}

test("it lists and calls all seven tools", async () => {
  assert.equal((await inspect("--method", "tools/list")).tools.length, 7);
  gateway.upstream.answer("chat", eventStream(events(completionChunks("chat"))));
  const told = await call("chat_completion", "model=chat", 'messages=[{"role":"user","content":"Hello."}]');
  assert.equal(told.finish_reason, "stop");
  assert.match((await call("get_balance")).balance_usd, /^9\.9/);
  assert.ok((await call("list_models", "limit=3")).models.length === 3);
  const made = await call("create_api_key", "name=inspected");
  assert.ok((await call("list_api_keys")).keys.some(({ id }) => id === made.id));
  assert.deepEqual((await call("revoke_api_key", `id=${made.id}`)).revoked, [made.id]);
  await gateway.usageRows(account, 1);
  assert.equal((await call("get_usage", "days=1")).requests.length, 1);
});

test("it reads resources and prompts", async () => {
  assert.equal((await inspect("--method", "resources/list")).resources.length, 2);
  const { contents } = await inspect("--method", "resources/read", "--uri", "oneinterface://models/chat");
  assert.equal(JSON.parse(contents[0].text).id, "chat");
  const { messages } = await inspect(
    "--method",
    "prompts/get",
    "--prompt-name",
    "choose_model",
    "--prompt-args",
    "task=haiku",
  );
  assert.match(messages[0].content.text, /task: haiku/);
});
