// Each kind of provider, by its entry in the shipped catalogues: a stand-in for all of them checks where a
// request arrives, with which credentials and with which fields, and answers as that provider does.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { ROOT } from "../../dev/processes.mjs";
import { startGateway } from "./harness.mjs";
import { COUNTED, HIDDEN, KINDS, TEXT } from "./kinds.mjs";
import { eventStream, json, startUpstream } from "./upstream.mjs";

const LIMITS = ["max_tokens", "max_completion_tokens", "max_output_tokens"];
const CREDENTIALS = ["authorization", "x-api-key", "api-key"];

const SHIPPED = ["catalog.toml", "catalog.examples.toml"]
  .map((name) => readFileSync(path.join(ROOT, name), "utf8"))
  .join("\n");
const ENTRIES = SHIPPED.split(/^(?=\[\[(?:upstream|model)\]\]$)/m);

let upstream;
let gateway;

before(async () => {
  upstream = await startUpstream();
  const folder = mkdtempSync(path.join(os.tmpdir(), "kinds-"));
  const catalogue = path.join(folder, "catalog.toml");
  writeFileSync(catalogue, KINDS.flatMap(entriesOf).join("\n"));
  const names = [
    ...new Set(KINDS.flatMap(({ upstream }) => entry("upstream", upstream).match(/^secret = "(.*)"$/m)?.[1] ?? [])),
  ];
  const secrets = Object.fromEntries(names.map((name) => [name, keyOf(name)]));
  const vars = { SECRET_HOSTS: names.map((name) => `${name}=${upstream.host}`).join(" ") };
  try {
    gateway = await startGateway({ catalogue, upstream, secrets, vars });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
beforeEach(() => upstream.forget());
after(async () => {
  await gateway?.close();
  await upstream?.close();
});

/** No two providers have the same. */
function keyOf(secret) {
  return `key-of-${secret.toLowerCase()}`;
}

/** The text of a shipped entry. */
function entry(kind, id) {
  const found = ENTRIES.filter((text) => text.startsWith(`[[${kind}]]\nid = "${id}"\n`));
  assert.equal(found.length, 1, `${kind} ${id}`);
  return found[0];
}

/**
 * The entries of one kind as they ship, but for two things: the stand-in takes the place of the origin, which
 * becomes the beginning of the path, and the model has the one route.
 */
function entriesOf({ upstream, model }) {
  const moved = entry("upstream", upstream).replace(/^base_url = "(https?):\/\//m, 'base_url = "UPSTREAM/$1/');
  const [head, ...routes] = entry("model", model).split(/^(?=\[\[model\.route\]\]$)/m);
  const own = routes.find((route) => route.includes(`upstream = "${upstream}"\n`));
  assert.ok(own, `${model} has no route to ${upstream}`);
  return [
    moved,
    head.replace(/^id = .*$/m, `id = "by-${upstream}"`),
    own.includes("model =") ? own : `${own}model = "${model}"\n`,
  ];
}

function ask(account, kind, stream) {
  const messages = [{ role: "user", content: "hi" }];
  // Asked for in the field that this kind of model does not have, where it has one alone.
  const limit = kind.limit === "max_completion_tokens" ? "max_tokens" : "max_completion_tokens";
  const body = JSON.stringify({ model: `by-${kind.upstream}`, messages, [limit]: 100, ...(stream && { stream }) });
  return gateway.fetch("/v1/chat/completions", {
    method: "POST",
    key: account.key,
    headers: { "content-type": "application/json" },
    body,
  });
}

function check(kind, stream, { method, path, headers, json: body }) {
  const secret = entry("upstream", kind.upstream).match(/^secret = "(.*)"$/m)?.[1];
  const credentials = Object.fromEntries(
    Object.entries(kind.credentials).map(([name, text]) => [name, text.replace("KEY", () => keyOf(secret))]),
  );
  assert.deepEqual([method, path.replace(/^\/(https?)\//, "$1://")], ["POST", kind.url]);
  assert.deepEqual(
    Object.fromEntries(CREDENTIALS.flatMap((name) => (headers[name] === undefined ? [] : [[name, headers[name]]]))),
    credentials,
  );
  assert.equal(headers["content-type"], "application/json");
  assert.equal(headers["anthropic-version"] !== undefined, kind.upstream === "anthropic");
  assert.equal(body.model, kind.theirs);
  const limits = Object.fromEntries(LIMITS.flatMap((name) => (body[name] === undefined ? [] : [[name, body[name]]])));
  assert.deepEqual(limits, { [kind.limit ?? "max_completion_tokens"]: 100 });
  assert.deepEqual(body.stream_options, stream ? kind.streamed.stream_options : undefined);
}

for (const kind of KINDS) {
  for (const stream of [false, true]) {
    test(`${kind.upstream}, ${stream ? "streamed" : "whole"}`, async () => {
      upstream.answer(kind.theirs, stream ? eventStream(kind.stream(kind.theirs)) : json(kind.whole(kind.theirs)));
      const account = await gateway.account();
      const response = await ask(account, kind, stream);
      const text = await response.text();
      assert.equal(response.status, 200, text);
      assert.equal(upstream.requests.length, 1);
      check(kind, stream, upstream.requests[0]);
      assert.ok(!text.includes(HIDDEN), text);
      assert.equal(stream ? streamedText(text) : JSON.parse(text).choices[0].message.content, TEXT);
      const [row] = await gateway.usageRows(account, 1);
      const { upstream: by, status, settled_by, ...counts } = row;
      assert.deepEqual({ by, status, settled_by }, { by: kind.upstream, status: "completed", settled_by: "upstream" });
      assert.deepEqual(Object.fromEntries(Object.keys(COUNTED).map((name) => [name, counts[name]])), COUNTED);
      assert.ok(row.cost_nano_usd > 0);
    });
  }
}

/** The words of a stream of chat chunks, which must end as one that is complete. */
function streamedText(wire) {
  assert.ok(wire.endsWith("data: [DONE]\n\n"), wire);
  const data = wire.split("\n\n").filter((event) => event.startsWith("data: {"));
  const choices = data.flatMap((event) => JSON.parse(event.slice("data: ".length)).choices);
  assert.ok(
    choices.some(({ finish_reason: finish }) => finish === "stop"),
    wire,
  );
  return choices.map(({ delta }) => delta.content ?? "").join("");
}
