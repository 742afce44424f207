// A real model behind the gateway: llama.cpp's own server, by the entry of catalog.examples.toml. Start one with
// `llama-server -m MODEL --alias smollm2 --api-key KEY --jinja`, and name it: LLAMA_CPP_URL=http://127.0.0.1:8080/v1
// LLAMA_CPP_API_KEY=KEY. Without these the tests skip.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { ROOT } from "../../dev/processes.mjs";
import { readStream, readWhole, send, wordsOf } from "../chaos/clients.mjs";
import { startGateway } from "./harness.mjs";

const { LLAMA_CPP_URL: url, LLAMA_CPP_API_KEY: key = "" } = process.env;
const skip = url ? false : "no server is named (LLAMA_CPP_URL)";
const MODEL = "llama-cpp/smollm2";

let gateway;

before(async () => {
  if (skip) return;
  const folder = mkdtempSync(path.join(os.tmpdir(), "llama-cpp-"));
  try {
    const catalogue = path.join(folder, "catalog.toml");
    const examples = readFileSync(path.join(ROOT, "catalog.examples.toml"), "utf8");
    writeFileSync(catalogue, examples.replace("http://127.0.0.1:8080/v1", url));
    const vars = { SECRET_HOSTS: `LLAMA_CPP_API_KEY=${new URL(url).host}` };
    gateway = await startGateway({ catalogue, vars, secrets: { LLAMA_CPP_API_KEY: key } });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
after(() => gateway?.close());

for (const client of ["chat", "messages", "responses"]) {
  for (const mode of ["whole", "stream"]) {
    test(`llama.cpp answers a client of ${client}, ${mode}`, { skip }, async () => {
      const account = await gateway.account();
      const sent = send(gateway.url, account.key, {
        client,
        mode,
        model: MODEL,
        words: "Say hello in one short sentence.",
      });
      const { status, text } = await readWhole(sent);
      assert.equal(status, 200, text);
      if (mode === "stream") assert.equal(readStream(client, text).ends, "complete", text);
      assert.notEqual(mode === "stream" ? readStream(client, text).words : wordsOf(client, text), "");
      const [row] = await gateway.usageRows(account, 1);
      assert.deepEqual([row.upstream, row.status, row.settled_by], ["llama-cpp", "completed", "upstream"]);
      // It keeps prompts in a cache of its own, and says so.
      assert.ok(row.input_tokens + row.cache_read_tokens > 5 && row.output_tokens > 1, JSON.stringify(row));
    });
  }
}
