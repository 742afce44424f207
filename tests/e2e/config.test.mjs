// A Worker that was deployed with a wrong variable: it serves nothing, and its log says why.
import assert from "node:assert/strict";
import { test } from "node:test";
import { errorBody } from "./chat.mjs";
import { startGateway } from "./harness.mjs";

test("a wrong variable is named in the log, and its value nowhere", async () => {
  const short = "too-short-pepper";
  const gateway = await startGateway({ secrets: { KEY_PEPPERS: `1:${short}` } });
  try {
    for (const [method, path] of [
      ["GET", "/health"],
      ["GET", "/v1/models"],
      ["POST", "/v1/chat/completions"],
      ["POST", "/console/api/account"],
    ]) {
      const response = await gateway.fetch(path, { method });
      assert.equal(response.status, 500, path);
      const id = response.headers.get("x-request-id");
      const text = await response.text();
      assert.deepEqual(
        JSON.parse(text),
        errorBody("internal_error", "Something went wrong on our side. Please try again."),
      );
      const line = gateway.logs().find((line) => line.includes(id));
      assert.equal(line, `error: ${id}: configuration: KEY_PEPPERS: is too short: at least 32 characters`);
      assert.ok(!`${text}${gateway.logs()}`.includes(short));
    }
  } finally {
    await gateway.close();
  }
});
