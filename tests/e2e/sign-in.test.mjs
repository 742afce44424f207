// From signing up to the sum of what was spent by API alone, as the web app and a customer's program do it: the sign-in
// stand-in through @supabase/supabase-js, the stand-in for Stripe, the console's API, and OpenAI's SDK.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "@supabase/supabase-js";
import OpenAI from "openai";
import { startSignIn } from "../../dev/sign-in/server.mjs";
import { completion } from "./chat.mjs";
import { exported, get } from "./console.mjs";
import { nanoUsd } from "./harness.mjs";
import { startPaid } from "./payments.mjs";
import { json } from "./upstream.mjs";

let signIn, gateway;
before(async () => {
  signIn = await startSignIn();
  const vars = {
    SUPABASE_URL: signIn.url,
    SUPABASE_JWT_ALGORITHMS: "ES256",
    SUPABASE_ANON_KEY: signIn.anonKey,
    OAUTH_PROVIDERS: "google,github",
    WELCOME_CREDIT_USD: "1",
  };
  gateway = await startPaid({ vars });
  gateway.upstream.answer("chat", json(completion("chat", "hello")));
});
after(async () => {
  await gateway?.close();
  await signIn.close();
});

test("sign up, account, top-up, key, answer, usage, budget, sign out", async () => {
  const config = await (await gateway.fetch("/console/api/config")).json();
  const { auth } = createClient(config.supabase_url, config.supabase_anon_key, { auth: { autoRefreshToken: false } });
  const { data, error } = await auth.signUp({ email: "new@example.com", password: "long enough" });
  assert.equal(error, null);
  const token = () => auth.getSession().then(({ data: { session } }) => session?.access_token);
  const call = async (method, path, body) => {
    const response = await gateway.fetch(`/console/api${path}`, {
      method,
      key: await token(),
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text === "" ? null : JSON.parse(text) };
  };

  // 1. The account, with its welcome.
  assert.equal((await call("GET", "/account")).status, 404);
  const made = await call("POST", "/account");
  assert.deepEqual([made.status, made.body.balance_usd], [200, "1"]);
  assert.deepEqual(made.body.user, { id: data.user.id, email: "new@example.com" });

  // 2. Money.
  const topUp = await call("POST", "/topups", { amount_usd: "20" });
  assert.equal(topUp.status, 201, JSON.stringify(topUp.body));
  assert.equal((await gateway.press({ url: topUp.body.checkout_url })).status, 303);
  await gateway.standIn.webhooks.delivered();
  assert.equal((await call("GET", "/balance")).body.balance_usd, "21");

  // 3. A key, and an answer.
  const key = await call("POST", "/keys", { name: "first" });
  assert.equal(key.status, 201);
  const openai = new OpenAI({ apiKey: key.body.key, baseURL: `${config.base_url}/v1`, maxRetries: 0 });
  const ask = () => openai.chat.completions.create({ model: "chat", messages: [{ role: "user", content: "hi" }] });
  assert.equal((await ask()).choices[0].message.content, "hello");
  assert.equal((await call("GET", "/account")).body.balance_usd, "20.99993");

  // 4. Its row, its day, and a file whose sum is the journal's.
  const [row] = (await call("GET", "/usage")).body.data;
  assert.deepEqual(
    [row.key_name, row.model, row.endpoint, row.cost_usd],
    ["first", "chat", "/v1/chat/completions", "0.00007"],
  );
  const [day] = (await call("GET", "/usage/daily?by=model")).body.data;
  assert.deepEqual([day.group, day.requests, day.cost_usd], ["chat", 1, "0.00007"]);
  const file = (await exported(gateway, await token())).rows.reduce(
    (sum, { cost_usd: cost }) => sum + nanoUsd(cost),
    0n,
  );
  const journal = (await get(gateway, await token(), "journal?kind=usage")).data;
  assert.equal(file, -journal.reduce((sum, { amount_usd: amount }) => sum + nanoUsd(amount), 0n));

  // 5. A budget bites.
  const limits = { budget: { usd: "0.00008", period: "monthly" } };
  assert.equal((await call("PATCH", `/keys/${key.body.id}`, { limits })).status, 200);
  await assert.rejects(ask(), (error) => error.status === 402 && error.error.reason === "key_budget");
  const lifted = await call("PATCH", `/keys/${key.body.id}`, { limits: { budget: null } });
  assert.deepEqual([lifted.status, lifted.body.limits], [200, {}]);

  // 6. A refreshed session is a session.
  assert.equal((await auth.refreshSession()).error, null);
  assert.equal((await call("GET", "/account")).status, 200);

  // 7. Signed out here and there: what was issued opens nothing, and the key goes on.
  const old = await token();
  assert.equal((await call("DELETE", "/sessions")).status, 204);
  assert.equal((await auth.signOut({ scope: "global" })).error, null);
  assert.equal((await gateway.fetch("/console/api/account", { key: old })).status, 401);
  assert.equal((await openai.models.list()).data.length > 0, true);

  // 8. And in again, to the same account. A session of the very second in which others ended does not count.
  await sleep(1_000);
  assert.equal((await auth.signInWithPassword({ email: "new@example.com", password: "long enough" })).error, null);
  const again = await call("POST", "/account");
  assert.deepEqual(
    [again.status, again.body.account_id, again.body.balance_usd],
    [200, made.body.account_id, "20.99993"],
  );

  // 9. The key ends at once.
  assert.equal((await call("DELETE", `/keys/${key.body.id}`)).status, 200);
  await assert.rejects(openai.models.list(), (error) => error.status === 401);
});
