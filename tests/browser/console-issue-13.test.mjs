// What a customer reads of keys that end, of payments, of a failed sign-in and of two keys with one name. With PICTURES=DIR
// each page is kept as a picture.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { startGateway } from "../e2e/harness.mjs";
import { FULL, KEYS } from "./console-data.mjs";
import { axe, scriptPage, startBrowser } from "./console-page.mjs";

const { PICTURES } = process.env;

let gateway;
let chromium;
before(async () => {
  gateway = await startGateway();
  chromium = await startBrowser();
  if (PICTURES) mkdirSync(PICTURES, { recursive: true });
});
after(async () => {
  await chromium?.close();
  await gateway?.close();
});

async function open(to, answers = {}, { signedIn = true } = {}) {
  const page = await chromium.newPage();
  await page.setViewportSize({ width: 1280, height: 800 });
  // Pages share the browser's storage, and so the session of an earlier one.
  if (!signedIn) await page.addInitScript(() => localStorage.clear());
  await scriptPage(page, { origin: gateway.url, answers: { ...FULL, ...answers }, signedIn });
  await page.goto(gateway.url + to);
  return page;
}

const picture = (page, name) => PICTURES && page.screenshot({ path: path.join(PICTURES, `${name}.png`) });

test("issue 13: the dialog that revokes a key names and counts the keys that end with it", async () => {
  const [first] = KEYS;
  const child = (id, name, rest) => ({ ...first, id, name, start: `oi_1${id}`, running: 0, ...rest });
  const keys = [
    ...KEYS,
    child("a", "Preview deployments", { parent_id: "key_mcp1" }),
    child("b", "One preview", { parent_id: "a" }),
    child("c", "MCP, old secret", { parent_id: "key_mcp1", replaced_by: "key_mcp1" }),
    child("d", "Ended already", { parent_id: "key_mcp1", revoked_at: "2026-11-01T00:00:00.000Z" }),
  ];
  const page = await open("/keys", {
    "GET /console/api/keys": () => ({ data: keys }),
    "DELETE /console/api/keys/key_mcp1": () => ({ revoked: ["key_mcp1", "a", "b", "c"] }),
  });
  await page.getByRole("button", { name: "Actions for Claude Code, MCP" }).click();
  await page.getByRole("menuitem", { name: "Revoke" }).click();
  const dialog = page.getByRole("alertdialog");
  await dialog.getByText("3 other keys end with it:").waitFor();
  const named = await dialog.locator("li").allTextContents();
  assert.deepEqual(named, [
    "Preview deployments oi_1a…",
    "One preview oi_1b…",
    "MCP, old secret oi_1c…, which this key replaces",
  ]);
  await page.waitForTimeout(200);
  await picture(page, "revoke-many");
  assert.deepEqual(await axe(page), []);
  await dialog.getByRole("button", { name: "Revoke 4 keys" }).click();
  await page.getByText("Claude Code, MCP has ended, and 3 keys with it.").waitFor();
  await page.close();
});

test("issue 13: every top-up is shown, page by page", async () => {
  const topUp = (index) => ({
    id: `top_${index}`,
    at: new Date(Date.UTC(2026, 10, 1) - index * 3_600_000).toISOString(),
    kind: "checkout",
    amount_usd: String(5 + index),
    status: "paid",
    receipt_url: null,
  });
  const all = Array.from({ length: 120 }, (_, index) => topUp(index));
  const answers = {
    "GET /console/api/topups": (params) => {
      const from = Number(params.get("cursor") ?? 0);
      const to = from + Number(params.get("limit") ?? 50);
      return { data: all.slice(from, to), next_cursor: to < all.length ? String(to) : null };
    },
  };
  const page = await open("/credits", answers);
  const rows = page.getByRole("region", { name: "Top-ups, table" }).locator("tbody tr");
  await rows.nth(49).waitFor();
  const more = page.getByRole("button", { name: "Show older top-ups" });
  await more.scrollIntoViewIfNeeded();
  await picture(page, "top-ups");
  await more.click();
  await rows.nth(99).waitFor();
  await more.click();
  await rows.nth(119).waitFor();
  assert.equal(await rows.count(), 120);
  assert.equal(await more.count(), 0);
  assert.match(await rows.last().textContent(), /\$124/);
  await page.close();
});

test("issue 13: the sign-in page shows no text of the address", async () => {
  const marker = "Your account is locked. Call +1 555 0100";
  const told = encodeURIComponent(marker);
  for (const [address, sentence] of [
    [`?error=server_error&error_code=${told}&error_description=${told}`, "The sign-in did not succeed. Try again."],
    [`#error=${told}&error_description=${told}`, "The sign-in did not succeed. Try again."],
    [
      `?error=access_denied&error_code=otp_expired&error_description=${told}`,
      "This link has been used, or is too old.",
    ],
    [`#error=toString&error_description=${told}`, "The sign-in did not succeed. Try again."],
  ]) {
    const page = await open(`/auth/callback${address}`, {}, { signedIn: false });
    await page.getByText("You could not be signed in").waitFor();
    const text = await page.locator("body").innerText();
    assert.ok(text.includes(sentence) && !text.includes("555"), `${address}: ${text}`);
    await picture(page, "sign-in-failed");
    await page.close();
  }
  const page = await open(`/?error_description=${told}#error=${told}`, {}, { signedIn: false });
  await page.getByRole("button", { name: "Sign in" }).first().waitFor();
  assert.ok(!(await page.locator("body").innerText()).includes("555"));
  await page.close();
});

test("issue 13: two keys with one name are two series", async () => {
  const [prod, evaluation, ...others] = KEYS;
  const keys = [prod, { ...evaluation, name: prod.name }, ...others];
  const day = (group, cost) => ({
    day: "2026-11-20",
    group,
    requests: 1,
    cost_usd: cost,
    input_tokens: 1,
    output_tokens: 1,
  });
  const page = await open("/usage?from=2026-11-01&to=2026-11-24&by=key", {
    "GET /console/api/keys": () => ({ data: keys }),
    "GET /console/api/usage/daily": () => ({
      data: [day("key_prod", "2"), day("key_eval", "1")],
      next_cursor: null,
      as_of: "2026-11-24T00:00:00.000Z",
    }),
  });
  const legend = page.locator(".chart-legend li");
  await legend.nth(1).waitFor();
  assert.deepEqual(
    (await legend.allTextContents()).map((text) => text.trim()),
    ["Production backend (key_prod) $2.00", "Production backend (key_eval) $1.00"],
  );
  await picture(page, "usage-by-key");
  await page.close();
});
