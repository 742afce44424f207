// The console as the Worker serves it: which paths are pages, and the headers that they have. What the pages do is told in
// tests/browser.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { ROOT } from "../../dev/processes.mjs";
import { startGateway } from "./harness.mjs";

const ASSETS = readdirSync(path.join(ROOT, "console/dist/assets"));
const SCRIPT = `/assets/${ASSETS.find((file) => file.endsWith(".js"))}`;

let gateway;

before(async () => (gateway = await startGateway({ vars: { SUPABASE_URL: "https://abc.supabase.co" } })));
after(() => gateway.close());

test("every path but those of the API is the app", async () => {
  for (const page of ["/", "/keys", "/usage?days=7", "/auth/callback?code=1", "/no/such/page", "/v10"]) {
    const response = await gateway.fetch(page);
    assert.equal(response.status, 200, page);
    assert.match(response.headers.get("content-type"), /^text\/html/, page);
    assert.match(await response.text(), /<div id="root">/, page);
    const head = await gateway.fetch(page, { method: "HEAD" });
    assert.deepEqual([head.status, await head.text()], [200, ""], page);
  }
});

test("unknown paths of the API are errors for programs", async () => {
  for (const unknown of [
    "/v1",
    "/v1/nothing",
    "/V1/models",
    "/console",
    "/console/api/nothing",
    "/operator/x",
    "/webhooks/x",
    "/api/x",
    "/.well-known/x",
  ]) {
    const response = await gateway.fetch(unknown);
    assert.equal(response.status, 404, unknown);
    assert.equal((await response.json()).error.code, "invalid_request", unknown);
  }
  const posted = await gateway.fetch("/keys", { method: "POST", body: "{}" });
  assert.deepEqual([posted.status, (await posted.json()).error.code], [404, "invalid_request"]);
});

test("a page is nobody's frame, runs no script of its own text, and speaks with the sign-in service", async () => {
  const { headers } = await gateway.fetch("/");
  const policy = headers.get("content-security-policy");
  const directives = new Map(
    policy.split("; ").map((directive) => [directive.split(" ")[0], directive.split(" ").slice(1)]),
  );
  assert.deepEqual(directives.get("default-src"), ["'none'"]);
  assert.deepEqual(directives.get("script-src"), ["'self'"]);
  assert.deepEqual(directives.get("style-src"), ["'self'"]);
  assert.deepEqual(directives.get("connect-src"), ["'self'", "https://abc.supabase.co"]);
  assert.deepEqual(directives.get("frame-ancestors"), ["'none'"]);
  assert.doesNotMatch(policy, /unsafe|\*|data:/);
  for (const [name, value] of [
    ["x-frame-options", /^DENY$/],
    ["x-content-type-options", /^nosniff$/],
    ["referrer-policy", /^no-referrer$/],
    ["strict-transport-security", /^max-age=\d{8}/],
    ["cross-origin-opener-policy", /^same-origin$/],
    ["permissions-policy", /camera=\(\)/],
    ["cache-control", /^no-cache$/],
  ]) {
    assert.match(headers.get(name) ?? "", value, name);
  }
});

test("a file with a hash in its name is kept for good, and one that is gone is no page", async () => {
  const script = await gateway.fetch(SCRIPT);
  assert.equal(script.status, 200);
  assert.match(script.headers.get("content-type"), /javascript/);
  assert.equal(script.headers.get("cache-control"), "public, max-age=31536000, immutable");
  assert.equal(script.headers.get("x-content-type-options"), "nosniff");
  const gone = await gateway.fetch("/assets/index-GONE0000.js");
  assert.equal(gone.status, 404);
  assert.equal(gone.headers.get("cache-control"), null);
  assert.equal((await gone.json()).error.code, "invalid_request");
});

test("a page that a browser has is not sent again", async () => {
  const { headers } = await gateway.fetch("/");
  const again = await gateway.fetch("/keys", { headers: { "if-none-match": headers.get("etag") } });
  assert.equal(again.status, 304);
});

test("other origins may not read the account API", async () => {
  const headers = {
    origin: "https://evil.example",
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization",
  };
  const preflight = await gateway.fetch("/console/api/keys", { method: "OPTIONS", headers });
  assert.equal(preflight.headers.get("access-control-allow-origin"), null);
  assert.ok(preflight.status >= 400, `${preflight.status}`);
});
