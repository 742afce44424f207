// The OpenAI SDK in a real browser, on a page of another origin: preflight, streaming, errors and the
// headers that a script may read.
import assert from "node:assert/strict";
import http from "node:http";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { build } from "esbuild";
import { chromium as playwright } from "playwright-core";
import { ROOT } from "../../dev/processes.mjs";
import { startGateway } from "../e2e/harness.mjs";
import { demo } from "../e2e/upstream.mjs";
import { chromium } from "./run.mjs";

// Without them a browser in a closed network spends its time on refused connections of its own.
const QUIET = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

let gateway, account, site, browser, page;
const profile = mkdtempSync(path.join(tmpdir(), "chromium-"));

before(async () => {
  gateway = await startGateway();
  account = await gateway.account();
  gateway.upstream.answer("chat", demo());
  const { outputFiles } = await build({
    stdin: { contents: 'import OpenAI from "openai"; globalThis.OpenAI = OpenAI;', resolveDir: ROOT },
    bundle: true,
    format: "iife",
    platform: "browser",
    write: false,
  });
  site = http.createServer((request, response) => {
    const isScript = request.url === "/sdk.js";
    response.writeHead(200, { "content-type": isScript ? "text/javascript" : "text/html" });
    response.end(isScript ? outputFiles[0].contents : '<!doctype html><script src="/sdk.js"></script>');
  });
  await new Promise((resolve) => site.listen(0, "127.0.0.1", resolve));
  browser = await playwright.launchPersistentContext(profile, {
    executablePath: chromium(),
    headless: true,
    args: QUIET,
  });
  page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${site.address().port}/`);
});

after(async () => {
  await browser?.close();
  site?.close();
  await gateway?.close();
  rmSync(profile, { recursive: true, force: true });
});

/** Runs `ask(client)` in the page; functions travel as text, so it may use nothing from out here. */
function inPage(ask, apiKey = account.key) {
  return page.evaluate(
    async ({ source, baseURL, apiKey }) => {
      const client = new globalThis.OpenAI({ baseURL, apiKey, dangerouslyAllowBrowser: true });
      // biome-ignore lint/security/noGlobalEval: the page runs the source of a function of this file
      return (0, eval)(source)(client);
    },
    { source: ask.toString(), baseURL: `${gateway.url}/v1`, apiKey },
  );
}

test("a stream arrives piece by piece, with its usage and its cost", async () => {
  const { chunks, text, usage } = await inPage(async (client) => {
    const request = {
      model: "chat",
      stream: true,
      stream_options: { include_usage: true },
      messages: [{ role: "user", content: "hello" }],
    };
    const seen = [];
    for await (const chunk of await client.chat.completions.create(request)) seen.push(chunk);
    return {
      chunks: seen.length,
      text: seen.map((chunk) => chunk.choices[0]?.delta?.content ?? "").join(""),
      usage: seen.at(-1).usage,
    };
  });
  assert.ok(chunks > 3 && text.includes("hello"), text);
  const [row] = await gateway.usageRows(account, 1);
  assert.equal(usage.completion_tokens, row.output_tokens);
  assert.equal(usage.cost, row.cost_nano_usd / 1e9);
});

test("a whole answer, and the headers that a script may read", async () => {
  const headers = await inPage(async (client) => {
    const request = { model: "chat", messages: [{ role: "user", content: "hello" }] };
    const { response } = await client.chat.completions.create(request).withResponse();
    return ["x-request-id", "x-oneinterface-cost", "x-oneinterface-balance"].map((name) => response.headers.get(name));
  });
  assert.match(headers[0], /^req_/);
  assert.ok(Number(headers[1]) > 0 && Number(headers[2]) < 10, headers.join());
});

test("an error is read as one", async () => {
  const error = await inPage(
    async (client) =>
      client.models.list().then(
        () => null,
        ({ status, code }) => ({ status, code }),
      ),
    "oi_wrong",
  );
  assert.deepEqual(error, { status: 401, code: "invalid_api_key" });
});
