// Who may keep an answer, what is not there, and which models are shown: over every route of src/router.rs.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { chatBody } from "./chat.mjs";
import { startGateway } from "./harness.mjs";
import { tool } from "./mcp.mjs";

// Everybody gets the same of these.
const PUBLIC = ["/api/hello", "/health", "/console/api/config", "/console/api/models"];

/** A path for each arm of the router's match, so that a new route is covered. */
function routes() {
  const source = readFileSync(new URL("../../src/router.rs", import.meta.url), "utf8");
  const find = source.slice(source.indexOf("fn find("), source.indexOf("#[cfg(test)]"));
  const arms = [...find.matchAll(/^\s+\[("[^\]]+)\](?: \| \[[^\]]+\])* =>/gm)].map(([, arm]) => arm);
  return arms.map((arm) =>
    arm
      .split(",")
      .map((part) => `/${part.trim().startsWith('"') ? part.trim().split('"')[1] : "x"}`)
      .join(""),
  );
}

let gateway;
let account;
before(async () => {
  gateway = await startGateway();
  account = await gateway.account();
});
after(() => gateway.close());

test("issue 13: what a key gets, and every refusal, is not kept by anybody", async () => {
  const paths = routes();
  assert.ok(
    paths.length > 35 && paths.includes("/v1/chat/completions") && paths.includes("/console/api/keys/x/rotate"),
    paths.join(" "),
  );
  for (const path of paths) {
    for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE"]) {
      for (const key of [account.key, undefined]) {
        // Ending the sessions of the account would end nothing here, and a stream of events is left at once.
        const body = ["GET", "DELETE"].includes(method) ? undefined : "{}";
        const response = await gateway.fetch(path, { method, key, body });
        const get = (name) => response.headers.get(name);
        const what = `${method} ${path} ${key ? "with" : "without"} a key: ${response.status}`;
        await response.body?.cancel();
        assert.equal(get("x-content-type-options"), "nosniff", what);
        if (PUBLIC.includes(path)) continue;
        assert.equal(get("cache-control"), "no-store", what);
        const vary = path.startsWith("/operator/")
          ? "authorization"
          : path === "/webhooks/stripe"
            ? null
            : "authorization, x-api-key";
        assert.equal(get("vary"), vary, what);
      }
    }
  }
  const models = await gateway.fetch("/console/api/models");
  assert.equal(models.headers.get("cache-control"), "public, max-age=60");
  const stream = await gateway.fetch("/console/api/live", { key: account.key });
  assert.equal(stream.headers.get("cache-control"), "no-store");
  await stream.body.cancel();
});

test("issue 13: what shows a secret is kept by nobody", async () => {
  for (const [path, body] of [
    ["", { name: "made" }],
    ["rotate", {}],
  ]) {
    const made = await gateway.keys(account, "POST", "", { name: "one" });
    const response = await gateway.fetch(path ? `/console/api/keys/${made.body.id}/${path}` : "/console/api/keys", {
      method: "POST",
      key: account.key,
      body: JSON.stringify(body),
    });
    assert.equal(response.status, 201);
    assert.match((await response.json()).key, /^oi_/);
    assert.deepEqual(
      [response.headers.get("cache-control"), response.headers.get("vary")],
      ["no-store", "authorization, x-api-key"],
    );
  }
});

test("issue 13: what clients probe for OAuth and old transports is 404 in JSON, and no page", async () => {
  const probes = [
    ...[
      "/authorize",
      "/register",
      "/token",
      "/sse",
      "/message",
      "/messages",
      "/oauth/authorize",
      "/oauth/token",
      "/oauth2/token",
      "/revoke",
      "/userinfo",
      "/jwks.json",
    ],
    ...[
      "oauth-authorization-server",
      "oauth-authorization-server/mcp",
      "oauth-protected-resource",
      "oauth-protected-resource/mcp",
      "openid-configuration",
    ].map((name) => `/.well-known/${name}`),
    ...["/mcp/.well-known/openid-configuration", "/mcp/sse"],
  ];
  for (const path of probes) {
    for (const accept of ["*/*", "text/event-stream", "text/html", "application/json"]) {
      for (const method of ["GET", "POST"]) {
        const response = await gateway.fetch(path, {
          method,
          headers: { accept },
          body: method === "POST" ? "{}" : undefined,
        });
        const what = `${method} ${path} ${accept}`;
        assert.equal(response.status, 404, what);
        assert.equal(response.headers.get("content-type"), "application/json", what);
        assert.equal((await response.json()).error.code, "invalid_request", what);
      }
    }
  }
});

test("issue 13: a model that no usable upstream serves is not shown, and asking for it is as before", async () => {
  const shown = {
    v1: (await (await gateway.fetch("/v1/models", { key: account.key })).json()).data,
    console: (await (await gateway.fetch("/console/api/models")).json()).data,
    mcp: (await tool(gateway, account.key, "list_models", { limit: 100 })).models,
  };
  const ids = Object.fromEntries(
    Object.entries(shown).map(([where, models]) => [where, models.map(({ id }) => id).sort()]),
  );
  assert.deepEqual(ids.console, ids.v1);
  assert.deepEqual(ids.mcp, ids.v1);
  assert.ok(ids.v1.includes("chat"));
  for (const model of ["unset", "unbound"]) {
    assert.ok(!ids.v1.includes(model), model);
    assert.equal((await gateway.fetch(`/v1/models/${model}`, { key: account.key })).status, 404, model);
    const asked = await gateway.fetch("/v1/chat/completions", {
      method: "POST",
      key: account.key,
      body: chatBody(model),
    });
    assert.deepEqual([asked.status, (await asked.json()).error.code], [503, "upstream_unavailable"], model);
  }
});
