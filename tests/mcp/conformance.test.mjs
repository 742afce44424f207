// The official conformance suite, both releases, through a proxy that adds the key. Most scenarios want
// tools of a test server of its own, which a product has not: expected-failures*.yml name each of them with
// its reason. The suite fails where another one does, and where one of those passes.
import assert from "node:assert/strict";
import path from "node:path";
import { after, before, test } from "node:test";
import { launch } from "../../dev/processes.mjs";
import { startGateway } from "../e2e/harness.mjs";
import { startProxy } from "./proxy.mjs";

const HERE = import.meta.dirname;

let gateway;
let proxy;
before(async () => {
  gateway = await startGateway();
  proxy = await startProxy(gateway.url, (await gateway.account()).key);
});
after(async () => {
  await proxy?.close();
  await gateway?.close();
});

function conform(name, ...args) {
  const script = path.join(HERE, "node_modules", name, "dist/index.js");
  const child = launch(process.execPath, [script, "server", "--url", `${proxy.url}/mcp`, ...args], {
    cwd: HERE,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 110_000,
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code: code ?? signal, output }));
  });
}

for (const [title, name, ...args] of [
  ["the released suite", "@modelcontextprotocol/conformance", "--expected-failures", "expected-failures.yml"],
  [
    "the suite of 2026-07-28",
    "conformance-alpha",
    "--requirements",
    "2026-07-28",
    "--expected-failures",
    "expected-failures-2026-07-28.yml",
  ],
]) {
  test(`${title} finds no failure but those that are expected`, async () => {
    const { code, output } = await conform(name, ...args);
    assert.equal(code, 0, output.slice(-6_000));
  });
}
