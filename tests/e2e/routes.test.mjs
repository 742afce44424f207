// Every route of the public API under the ways in which it is asked: other methods, browsers, odd slashes.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startGateway } from "./harness.mjs";

const POSTED = [
  "/v1/chat/completions",
  "/v1/completions",
  "/v1/responses",
  "/v1/messages",
  "/v1/messages/count_tokens",
  "/v1/embeddings",
];
const GOT = ["/v1/models", "/v1/models/chat", "/api/hello"];
const BOTH = ["/v1/responses/resp_1"];

let gateway;
let account;
before(async () => {
  gateway = await startGateway();
  account = await gateway.account();
});
after(() => gateway.close());

const ask = (method, path, init = {}) => gateway.fetch(path, { method, key: account.key, ...init });

test("a browser's preflight is answered on every route", async () => {
  const headers = {
    origin: "https://tool.example",
    "access-control-request-method": "DELETE",
    "access-control-request-headers": "x-api-key,anthropic-version",
  };
  for (const path of [...POSTED, ...GOT, ...BOTH, "//v1//messages/", "/v1/responses?x=1"]) {
    const response = await gateway.fetch(path, { method: "OPTIONS", headers });
    const get = (name) => response.headers.get(`access-control-${name}`);
    assert.deepEqual(
      [response.status, get("allow-origin"), get("allow-headers")],
      [204, "*", "x-api-key,anthropic-version"],
      path,
    );
    assert.equal(get("allow-methods"), "GET, HEAD, POST, DELETE");
    assert.equal(await response.text(), "");
  }
});

test("HEAD has the status and headers of GET, and no body", async () => {
  for (const path of [...GOT, ...POSTED, ...BOTH]) {
    const [got, head] = [await ask("GET", path), await ask("HEAD", path)];
    const ofBoth = ({ status, headers }) => [
      status,
      headers.get("content-type"),
      headers.get("allow"),
      headers.get("access-control-allow-origin"),
    ];
    assert.deepEqual(ofBoth(head), ofBoth(got), path);
    assert.equal(head.status, GOT.includes(path) ? 200 : POSTED.includes(path) ? 405 : 404, path);
    assert.equal(await head.text(), "", path);
    assert.notEqual(await got.text(), "", path);
  }
  // Claude Code asks it without a key.
  assert.equal((await gateway.fetch("/api/hello", { method: "HEAD" })).status, 200);
});

test("slashes that are doubled or trail do not matter", async () => {
  for (const path of POSTED) {
    const answers = [];
    for (const odd of [path, `${path}/`, path.replaceAll("/", "//"), `/${path}//?beta=true`]) {
      const response = await ask("POST", odd, { body: "{}" });
      const text = await response.text();
      answers.push(`${response.status} ${text.replace(/req_\w+/, "")}`);
    }
    assert.deepEqual(new Set(answers), new Set([answers[0]]), path);
    assert.match(answers[0], /^400 .*`model` is required/, path);
  }
  for (const path of GOT) assert.equal((await ask("GET", `/${path}/`)).status, 200, path);
});
