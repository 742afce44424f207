// A customer's way through the console, in a real browser against the real Worker, with the stand-ins for sign-in and
// payments: sign up, pay, make a key, call, see the cost, be stopped by a budget, revoke, take the CSV, sign out.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { startPayments } from "../../dev/payments/server.mjs";
import { freePort } from "../../dev/ports.mjs";
import { startSignIn } from "../../dev/sign-in/server.mjs";
import { nanoUsd, startGateway } from "../e2e/harness.mjs";
import { demo } from "../e2e/upstream.mjs";
import { startBrowser } from "./console-page.mjs";

const EMAIL = "robin@example.com";
const PASSWORD = "a long enough password";
const WEBHOOK_SECRET = "whsec_the_one_of_the_walk_through_the_console";
const FIRST_PORT = 8900;

let gateway, signIn, payments, chromium, page;
const problems = [];
const urls = [];
const account = {};

before(async () => {
  const port = await freePort(FIRST_PORT);
  const origin = `http://127.0.0.1:${port}`;
  signIn = await startSignIn({ app: [origin] });
  payments = await startPayments({
    webhookSecret: WEBHOOK_SECRET,
    retryMs: 20,
    webhookUrl: `${origin}/webhooks/stripe`,
  });
  const vars = {
    SUPABASE_URL: signIn.url,
    SUPABASE_JWT_ALGORITHMS: "ES256",
    SUPABASE_ANON_KEY: signIn.anonKey,
    OAUTH_PROVIDERS: "google,github",
    STRIPE_API_URL: payments.url,
    STRIPE_SECRET_KEY: payments.secretKey,
    STRIPE_WEBHOOK_SECRETS: WEBHOOK_SECRET,
    CONSOLE_URL: origin,
  };
  gateway = await startGateway({ port, vars });
  assert.equal(gateway.url, origin);
  gateway.upstream.answer("chat", demo());
  chromium = await startBrowser();
  page = await chromium.newPage();
  page.setDefaultTimeout(20_000);
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => {
    // What the stand-ins' own pages say is theirs.
    if (message.type() === "error" && page.url().startsWith(origin))
      problems.push(`${message.text()} ${message.location().url}`);
  });
  page.on("request", (request) => urls.push(request.url()));
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) =>
      console.error(`policy: ${violatedDirective} ${blockedURI}`),
    );
  });
});
after(async () => {
  await chromium?.close();
  await gateway?.close();
  await payments?.close();
  await signIn?.close();
});

const go = (name) => page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name, exact: true }).click();
const session = () => page.evaluate(() => JSON.parse(localStorage.getItem("oneinterface-session")));
const call = () => {
  const openai = new OpenAI({ apiKey: account.key, baseURL: `${gateway.url}/v1`, maxRetries: 0 });
  return openai.chat.completions
    .create({ model: "chat", messages: [{ role: "user", content: "hello from the walk" }] })
    .withResponse();
};

test("1. one signs up, and has an account", async () => {
  await page.goto(gateway.url);
  await page.getByRole("button", { name: "Create one" }).click();
  await page.getByLabel("E-mail").fill(EMAIL);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Create account" }).click();
  await page.getByText("Three steps to your first answer").waitFor();
  const { user } = await session();
  account.userId = user.id;
  const { results } = await gateway.db.prepare("SELECT account_id FROM accounts WHERE user_id = ?").bind(user.id).all();
  account.accountId = results[0].account_id;
});

test("2. one pays, and the credit is there", async () => {
  await go("Credits");
  await page.getByText("$10", { exact: true }).click();
  await page.getByRole("button", { name: "Continue to payment" }).click();
  await page.getByRole("button", { name: "Pay $10.00" }).click();
  await page.getByText("$10.00 came in. Thank you.").waitFor();
  await page
    .getByRole("link", { name: /^Receipt/ })
    .first()
    .waitFor();
  await page.locator(".side-balance", { hasText: "$10.00" }).waitFor();
});

test("3. one makes a key, which is shown once", async () => {
  await go("API keys");
  await page.getByRole("button", { name: "Create a key" }).first().click();
  await page.getByLabel("Name").fill("Walk");
  await page.getByRole("button", { name: "Create the key" }).click();
  account.key = await page.getByTestId("new-key").textContent();
  assert.match(account.key, /^oi_/);
  await page.getByRole("checkbox").check();
  await page.getByRole("button", { name: "Done" }).click();
  await page.getByRole("button", { name: "Actions for Walk" }).waitFor();
});

test("4. a call by OpenAI's SDK shows by itself: its row, its cost and its bar", async () => {
  await go("Overview");
  await page.getByText("No requests yet").waitFor();
  const { response } = await call();
  account.cost = response.headers.get("x-oneinterface-cost");
  const row = page.getByRole("region", { name: "Recent requests, table" }).locator("tbody tr").first();
  await row.getByText("chat").waitFor();
  assert.equal((await row.locator("td").last().textContent()).replace("$", ""), account.cost);
  // Today's bar is the last one; the days before are flat.
  await page.locator(".recharts-bar-rectangle").last().waitFor();
  const left = nanoUsd("10") - nanoUsd(account.cost);
  await page
    .locator(".side-balance", {
      hasText: `$9.${String(left - nanoUsd("9"))
        .padStart(9, "0")
        .replace(/0+$/, "")}`,
    })
    .waitFor();
});

test("5. the playground streams an answer and shows what it cost", async () => {
  await go("Playground");
  await page.getByRole("button", { name: /^Make a key/ }).click();
  await page.getByRole("combobox", { name: "Model" }).selectOption("chat");
  await page.getByRole("textbox", { name: "Message" }).fill("hello from the playground");
  await page.keyboard.press("Enter");
  await page.locator(".turn.by-assistant .text", { hasText: "playground" }).waitFor();
  const settled = await page.getByTestId("settled-cost").textContent();
  const [, row] = await gateway.usageRows(account, 2);
  assert.equal(nanoUsd(settled.replace("$", "")), BigInt(row.cost_nano_usd));
});

test("6. a budget bites", async () => {
  await go("API keys");
  await page.getByRole("button", { name: "Actions for Walk" }).click();
  await page.getByRole("menuitem", { name: "Name and limits" }).click();
  await page.getByRole("dialog").getByLabel("Budget").fill("0.000000001");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("meter", { name: "Budget of Walk" }).waitFor();
  await assert.rejects(call(), (error) => error.status === 402 && error.code === "insufficient_credit");
});

test("7. a revoked key is refused at once", async () => {
  await page.getByRole("button", { name: "Actions for Walk" }).click();
  await page.getByRole("menuitem", { name: "Revoke" }).click();
  await page.getByRole("button", { name: "Revoke the key" }).click();
  await page.getByText("Walk has ended.").waitFor();
  // That there is too little credit is remembered for a second.
  await page.waitForTimeout(1_100);
  await assert.rejects(call(), (error) => error.status === 401 && error.code === "invalid_api_key");
});

test("8. the CSV's sum is the journal's, to the nano-dollar", async () => {
  await go("Usage");
  await page.getByRole("region", { name: "Requests, table" }).waitFor();
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "Export CSV" }).click(),
  ]);
  const [head, ...lines] = readFileSync(await download.path(), "utf8")
    .trim()
    .split(/\r?\n/);
  const column = head.split(",").indexOf("cost_usd");
  assert.ok(column >= 0, head);
  const exported = lines.reduce((sum, line) => sum + nanoUsd(line.split(",")[column]), 0n);
  const journal = (await gateway.journal(account)).filter(({ usage }) => usage !== null);
  const booked = journal.reduce((sum, row) => sum - BigInt(row.amount_nano), 0n);
  assert.ok(booked > 0n);
  assert.deepEqual([lines.length, exported], [journal.length, booked]);
});

test("9. after signing out everywhere the token is refused", async () => {
  const { access_token: token, refresh_token } = await session();
  const refreshed = () =>
    fetch(`${signIn.url}/auth/v1/token?grant_type=refresh_token`, {
      method: "POST",
      headers: { apikey: signIn.anonKey },
      body: JSON.stringify({ refresh_token }),
    });
  const asked = () => gateway.fetch("/console/api/balance", { key: token });
  assert.equal((await asked()).status, 200);
  await go("Settings");
  await page.getByRole("button", { name: "Sign out everywhere" }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Sign out everywhere" }).click();
  await page.getByRole("button", { name: "Create one" }).waitFor();
  assert.equal((await asked()).status, 401);
  assert.ok((await refreshed()).status >= 400);
});

test("10. one comes back by a link in a mail", async () => {
  // Sessions are told apart by the second.
  await page.waitForTimeout(1_100);
  await page.getByRole("button", { name: "E-mail me a link instead" }).click();
  await page.getByLabel("E-mail").fill(EMAIL);
  await page.getByRole("button", { name: "Send the link" }).click();
  await page.getByText("Look into your mail").waitFor();
  await page.goto(`${signIn.url}/inbox`);
  await page.getByRole("link", { name: "Sign in" }).first().click();
  await page.getByText("Recent requests").waitFor();
  assert.equal((await session()).user.id, account.userId);
  assert.equal(page.url(), `${gateway.url}/`);
});

test("11. the playground's key is not the next user's", async () => {
  await go("Playground");
  const make = page.getByRole("button", { name: /^Make a key/ });
  await make.click();
  await make.waitFor({ state: "hidden" });
  await page.getByRole("button", { name: "Account" }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  // In the same tab and without loading it anew, or the memory would be gone by itself.
  await page.getByRole("button", { name: "Create one" }).click();
  await page.getByLabel("E-mail").fill("sam@example.com");
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Create account" }).click();
  await page.locator(".side-balance", { hasText: "$0.00" }).waitFor();
  await go("Playground");
  await make.waitFor();
});

test("12. and by a provider", async () => {
  await page.getByRole("button", { name: "Account" }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await page.getByRole("button", { name: "Continue with GitHub" }).click();
  await page.waitForURL((url) => url.origin === signIn.url);
  await page.getByLabel("Somebody else").fill("octo@example.com");
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByText("Three steps to your first answer").waitFor();
  assert.equal((await session()).user.email, "octo@example.com");
});

test("no token and no key was in an address or in a log, and nothing was refused by the policy", async () => {
  const { access_token: token } = await session();
  const secrets = [account.key, token, token.split(".")[2], "refresh_token=", "access_token="];
  for (const secret of secrets) {
    assert.ok(!urls.some((url) => url.includes(secret)), secret);
    assert.ok(!gateway.logs().some((line) => line.includes(secret)), secret);
  }
  assert.deepEqual(
    problems.filter((text) => !/status of 401/.test(text)),
    [],
  );
});
