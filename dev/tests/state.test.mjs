import assert from "node:assert/strict";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { openState, updateDevVars, userSettings } from "../state.mjs";

let folder;
beforeEach(() => (folder = mkdtempSync(path.join(tmpdir(), "state-"))));
afterEach(() => rmSync(folder, { recursive: true }));

test("the Worker's variables are made once, are private, and are kept", () => {
  const state = openState(folder);
  const first = state.workerSettings({ SECRET_HOSTS: "A=a.example" });
  assert.match(first.KEY_PEPPERS, /^1:[0-9a-f]{64}$/);
  assert.equal(statSync(state.file.worker).mode & 0o777, 0o600);
  assert.deepEqual(openState(folder).workerSettings({ SECRET_HOSTS: "B=b.example" }), {
    ...first,
    SECRET_HOSTS: "B=b.example",
  });
});

test("computed variables, and variables that only an earlier version needed, are not kept", () => {
  const state = openState(folder);
  const { KEY_PEPPERS } = state.workerSettings({ SUPABASE_URL: "http://127.0.0.1:8789" });
  writeFileSync(state.file.worker, `${readFileSync(state.file.worker, "utf8")}SUPABASE_JWT_SECRET='old'\n`);
  const settings = openState(folder).workerSettings({});
  assert.equal(settings.KEY_PEPPERS, KEY_PEPPERS);
  assert.deepEqual([settings.SUPABASE_URL, settings.SUPABASE_JWT_SECRET], [undefined, undefined]);
});

test("clear deletes the files of npm start and no others", () => {
  const state = openState(folder);
  mkdirSync(path.join(folder, "v3"));
  writeFileSync(path.join(folder, "notes.txt"), "the user's");

  assert.equal(state.clear({ certain: false }), false, "nothing says that v3 is ours");
  assert.ok(existsSync(path.join(folder, "v3")));

  state.workerSettings({});
  state.writeFirstRun({ api_key: "k" });
  assert.equal(openState(folder).clear({ certain: false }), true);
  assert.deepEqual(readdirSync(folder), ["notes.txt"]);
});

test("a folder in use is refused, but the old claim of an ended process is not", async () => {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  const claim = path.join(folder, "running.json");
  writeFileSync(claim, JSON.stringify({ pid: process.ppid, port }));
  await assert.rejects(openState(folder).claim(9000), /in use by another npm start/);

  server.close();
  await once(server, "close");
  await openState(folder).claim(9000);
  assert.deepEqual(JSON.parse(readFileSync(claim, "utf8")), { pid: process.pid, port: 9000 });
});

test("the secrets file may be absent unless it was named", () => {
  const secrets = path.join(folder, "keys");
  assert.deepEqual(userSettings({ secrets, secretsNamed: false }), {});
  assert.throws(() => userSettings({ secrets, secretsNamed: true }), /there is no such file/);
});

test("the block of npm start in .dev.vars is no setting of the user, and is updated with the state", () => {
  const secrets = path.join(folder, ".dev.vars");
  updateDevVars(secrets, { A: "1" });
  assert.equal(statSync(secrets).mode & 0o777, 0o600);
  assert.deepEqual(userSettings({ secrets, secretsNamed: false }), {});

  writeFileSync(secrets, `MINE=x\n${readFileSync(secrets, "utf8")}`);
  updateDevVars(secrets, { A: "2" });
  assert.match(readFileSync(secrets, "utf8"), /^MINE=x\n# >>>.*\nA='2'\n# <<<.*\n$/);
  assert.deepEqual(userSettings({ secrets, secretsNamed: false }), { MINE: "x" });
});
