// Models without a price, or with price zero: served where ALLOW_UNPRICED_MODELS says so, at no cost
// and marked, and nowhere else.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { chatBody, completion, errorBody } from "./chat.mjs";
import { startGateway } from "./harness.mjs";
import { json } from "./upstream.mjs";

const UNPRICED = ["unpriced", "free"];
// Its first price is still to come, so it is neither for sale nor free.
const ANNOUNCED = "announced";

const gateways = [];
after(() => Promise.all(gateways.map((gateway) => gateway.close())));

async function start(vars) {
  const gateway = await startGateway({ vars });
  gateways.push(gateway);
  for (const model of UNPRICED) gateway.upstream.answer(model, json(completion(model)));
  return gateway;
}

const ask = (gateway, key, model) =>
  gateway.fetch("/v1/chat/completions", { method: "POST", key, body: chatBody(model) });

async function listed(gateway, key) {
  const { data } = await (await gateway.fetch("/v1/models", { key })).json();
  return [...UNPRICED, ANNOUNCED].filter((id) => data.some((model) => model.id === id));
}

const NOT_AVAILABLE = errorBody("model_not_available", "The requested model is not available.", "model");

test("trap_23 off: such a model is not available, and not listed", async () => {
  const gateway = await start({ ALLOW_UNPRICED_MODELS: "0" });
  const account = await gateway.account();
  for (const model of [...UNPRICED, ANNOUNCED]) {
    const response = await ask(gateway, account.key, model);
    assert.deepEqual([response.status, await response.json()], [404, NOT_AVAILABLE], model);
    const shown = await gateway.fetch(`/v1/models/${model}`, { key: account.key });
    assert.deepEqual([shown.status, await shown.json()], [404, NOT_AVAILABLE], model);
  }
  assert.deepEqual(await listed(gateway, account.key), []);
  assert.deepEqual(gateway.upstream.requests, []);
  assert.deepEqual(
    (await gateway.journal(account)).map(({ kind }) => kind),
    ["grant"],
  );
});

test("trap_23 on: it is served at no cost, and marked in its usage row", async () => {
  const gateway = await start({ ALLOW_UNPRICED_MODELS: "1" });
  const account = await gateway.account({ usd: "0" });
  for (const model of UNPRICED) {
    const response = await ask(gateway, account.key, model);
    assert.deepEqual([response.status, await response.json()], [200, completion(model)], model);
    assert.equal(response.headers.get("x-oneinterface-cost"), "0");
  }
  const rows = await gateway.usageRows(account, 2);
  assert.deepEqual(
    rows.map((row) => [
      row.model,
      row.unpriced,
      row.cost_nano_usd,
      row.input_tokens,
      row.output_tokens,
      row.billing_status,
    ]),
    UNPRICED.map((model) => [model, 1, 0, 10, 5, "settled"]),
  );
  assert.deepEqual(await listed(gateway, account.key), UNPRICED);
  const announced = await ask(gateway, account.key, ANNOUNCED);
  assert.deepEqual([announced.status, await announced.json()], [404, NOT_AVAILABLE]);
});

test("trap_23 on: a model with a price still costs it", async () => {
  const [, gateway] = gateways;
  const account = await gateway.account();
  gateway.upstream.answer("chat", json(completion("chat")));
  assert.equal((await ask(gateway, account.key, "chat")).status, 200);
  const [row] = await gateway.usageRows(account, 1);
  assert.deepEqual([row.unpriced, row.cost_nano_usd], [0, 70_000]);
});
