// Every page of the console in every state, light, dark and on a phone: nothing that axe finds wrong, nothing that the
// policy refuses, nothing wider than the screen. With SCREENSHOTS_DIR each is kept as a picture there.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { startGateway } from "../e2e/harness.mjs";
import { EMPTY, FULL } from "./console-data.mjs";
import { axe, scriptPage, startBrowser } from "./console-page.mjs";

const LOOKS = {
  light: { width: 1360, height: 900, colorScheme: "light" },
  dark: { width: 1360, height: 900, colorScheme: "dark" },
  phone: { width: 390, height: 844, colorScheme: "light" },
};
const PICTURES = process.env.SCREENSHOTS_DIR;

const failing = Object.fromEntries(
  Object.keys(FULL).map((route) => [
    route,
    route.startsWith("POST")
      ? FULL[route]
      : () => ({
          status: 400,
          json: { error: { message: "It is refused.", type: "oneinterface_error", code: "invalid_request" } },
        }),
  ]),
);
const silent = {
  ...Object.fromEntries(Object.keys(FULL).map((route) => [route, () => null])),
  "POST /console/api/account": FULL["POST /console/api/account"],
};
const made = {
  ...FULL,
  "POST /console/api/keys": () => ({
    id: "key_new",
    name: "CI",
    start: "oi_1abc",
    permissions: ["inference"],
    limits: {},
    key: "oi_1abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJ",
  }),
};

const actions = (name, item) => async (page) => {
  await page.getByRole("button", { name: `Actions for ${name}` }).click();
  await page.getByRole("menuitem", { name: item }).click();
};
const openMake = (page) => page.getByRole("button", { name: "Create a key" }).first().click();

/** What is looked at: its path, a text that says that it is there, and what is done before. */
const VIEWS = {
  "sign-in": { path: "/", text: "Create one", signedIn: false },
  "sign-in-link": {
    path: "/",
    text: "Send the link",
    signedIn: false,
    act: (page) => page.getByText("E-mail me a link instead").click(),
  },
  "models-public": { path: "/models", text: "Claude Opus 5.5", signedIn: false },
  "docs-public": { path: "/docs", text: "When it is refused", signedIn: false },
  overview: { path: "/", text: "Recent requests" },
  "overview-empty": { path: "/", text: "Three steps to your first answer", answers: EMPTY },
  "overview-figures": { path: "/", text: "Day (UTC)", act: (page) => page.getByText("The figures").click() },
  keys: { path: "/keys", text: "Production backend" },
  "keys-empty": { path: "/keys", text: "No key yet", answers: EMPTY },
  "key-make": { path: "/keys", text: "It may", act: openMake },
  "key-wrong": {
    path: "/keys",
    text: "Give it a name by which you will know it.",
    act: async (page) => {
      await openMake(page);
      await page.getByRole("button", { name: "Create the key" }).click();
    },
  },
  "key-made": {
    path: "/keys",
    text: "CI is ready",
    answers: made,
    act: async (page) => {
      await openMake(page);
      await page.getByLabel("Name").fill("CI");
      await page.getByRole("button", { name: "Create the key" }).click();
    },
  },
  "key-menu": {
    path: "/keys",
    text: "Name and limits",
    act: (page) => page.getByRole("button", { name: "Actions for Nightly evaluations" }).click(),
  },
  "key-edit": {
    path: "/keys",
    text: "Change Production backend",
    act: actions("Production backend", "Name and limits"),
  },
  "key-rotate": { path: "/keys", text: "The old key ends", act: actions("Nightly evaluations", "Rotate") },
  "key-revoke": { path: "/keys", text: "Revoke the key", act: actions("Nightly evaluations", "Revoke") },
  usage: { path: "/usage", text: "more as you scroll" },
  "usage-filtered": {
    path: "/usage?from=2026-11-01&to=2026-11-24&by=key&model=gpt-4o&key_id=key_prod",
    text: "Clear filters",
  },
  "usage-empty": { path: "/usage", text: "No request fits", answers: EMPTY },
  "usage-failed": { path: "/usage", text: "It is refused.", answers: failing },
  "usage-loading": { path: "/usage", text: "Export CSV", answers: silent },
  request: {
    path: "/usage",
    text: "The client left before the end.",
    act: (page) => page.locator(".table .open").nth(7).click(),
  },
  credits: { path: "/credits", text: "Receipt" },
  "credits-empty": { path: "/credits", text: "No top-up yet", answers: EMPTY },
  "credits-journal": {
    path: "/credits",
    text: "Automatic top-up",
    act: (page) => page.getByText("Every entry").click(),
  },
  "credits-left": { path: "/credits?topup=top_3&cancelled=1", text: "You left the payment page." },
  "credits-paid": { path: "/credits?topup=top_3", text: "came in. Thank you." },
  models: { path: "/models?can=tools&q=claude", text: "Claude Opus 5.5" },
  docs: { path: "/docs?tool=claude-code", text: "As tools: every model and your account" },
  "docs-codex": { path: "/docs?tool=codex", text: "config.toml" },
  settings: { path: "/settings", text: "Sign out everywhere" },
  playground: { path: "/playground", text: "First, a key" },
  drawer: {
    path: "/",
    text: "Close the navigation",
    looks: ["phone"],
    act: (page) => page.getByRole("button", { name: "Open the navigation" }).click(),
  },
  "no-such-page": { path: "/no/such/page", text: "Nothing lives at this address" },
};

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

async function open({ path: to, answers = FULL, signedIn = true }, look = "light") {
  const page = await chromium.newPage();
  await wear(page, look);
  const { problems } = await scriptPage(page, { origin: gateway.url, answers, signedIn });
  await page.goto(gateway.url + to);
  return { page, problems };
}

async function wear(page, look) {
  const { width, height, colorScheme } = LOOKS[look];
  await page.setViewportSize({ width, height });
  await page.emulateMedia({ colorScheme });
}

for (const [name, view] of Object.entries(VIEWS)) {
  test(name, async () => {
    const looks = view.looks ?? Object.keys(LOOKS);
    const { page, problems } = await open(view, looks[0]);
    await view.act?.(page);
    await page
      .getByText(view.text)
      .or(page.getByRole("button", { name: view.text }))
      .filter({ visible: true })
      .first()
      .waitFor({ timeout: 15_000 });
    for (const look of looks) {
      await wear(page, look);
      await page.waitForTimeout(150); // until charts and menus stand
      if (PICTURES) await page.screenshot({ path: path.join(PICTURES, `${name}-${look}.png`), fullPage: !view.act });
      assert.deepEqual(await axe(page), [], `${name}, ${look}`);
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= LOOKS[look].width, `${name}, ${look} is ${width} px wide`);
    }
    const expected = (text) => view.answers === failing && text.includes("status of 400");
    assert.deepEqual(
      problems.filter((text) => !expected(text)),
      [],
      name,
    );
    await page.close();
  });
}

test("the keyboard reaches everything: past the navigation, into a dialog and out of it", async () => {
  const { page } = await open({ path: "/keys" });
  await page.getByText("Production backend").first().waitFor();
  const focused = () =>
    page.evaluate(() => document.activeElement.textContent || document.activeElement.getAttribute("aria-label"));
  await page.keyboard.press("Tab");
  assert.equal(await focused(), "Skip to the page");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement.id === "main");
  await page.keyboard.press("Tab");
  assert.equal(await focused(), "Create a key");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  for (let n = 0; n < 30; n += 1) {
    await page.keyboard.press("Tab");
    assert.ok(
      await page.evaluate(() => document.activeElement.closest("[role=dialog]") !== null),
      `Tab ${n} left the dialog`,
    );
  }
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  await page.waitForFunction(() => document.activeElement.textContent === "Create a key");
  await page.getByRole("button", { name: "Actions for Nightly evaluations" }).focus();
  await page.keyboard.press("Enter");
  const isAt = (text) => page.waitForFunction((wanted) => document.activeElement.textContent.trim() === wanted, text);
  await isAt("Name and limits");
  await page.keyboard.press("ArrowDown");
  await isAt("Rotate");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Rotate Nightly evaluations" }).waitFor();
  await page.keyboard.press("Escape");
  await page.waitForFunction(
    () => document.activeElement.getAttribute("aria-label") === "Actions for Nightly evaluations",
  );
  await page.close();
});

test("a new key is shown until one says that it is kept", async () => {
  const { page } = await open({ path: "/keys", answers: made });
  await VIEWS["key-made"].act(page);
  const dialog = page.getByRole("dialog", { name: "CI is ready" });
  await dialog.waitFor();
  await page.keyboard.press("Escape");
  await page.mouse.click(5, 5);
  assert.ok(await dialog.isVisible());
  assert.ok(await dialog.getByRole("button", { name: "Done" }).isDisabled());
  await dialog.getByRole("checkbox").check();
  await dialog.getByRole("button", { name: "Done" }).click();
  await dialog.waitFor({ state: "hidden" });
  assert.ok(!(await page.content()).includes("oi_1abcdefghijklmnop"));
  await page.close();
});

test("the theme is chosen, and holds before the first paint of the next visit", async () => {
  const { page } = await open({ path: "/settings" });
  await page.getByText("Dark", { exact: true }).click();
  const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  assert.equal(await ground(), "rgb(18, 20, 18)");
  await page.reload({ waitUntil: "commit" });
  await page.locator("#root").waitFor({ state: "attached" });
  assert.equal(await ground(), "rgb(18, 20, 18)");
  await page.close();
});

test("a session that was ended elsewhere leads to sign-in", async () => {
  const refused = () => ({
    status: 401,
    json: { error: { message: "The session has ended.", type: "oneinterface_error", code: "invalid_api_key" } },
  });
  const { page } = await open({ path: "/keys", answers: { ...FULL, "GET /console/api/keys": refused } });
  await page.getByText("Create one").waitFor();
  assert.equal(await page.evaluate(() => localStorage.getItem("oneinterface-session")), null);
  await page.close();
});

test("a page whose file is gone is loaded anew once, and then says so beside the navigation", async () => {
  const { page } = await open({ path: "/" });
  await page.getByText("Recent requests").waitFor();
  await page.route("**/assets/keys-*.js", (route) => route.fulfill({ status: 404, body: "" }));
  let loads = 0;
  page.on("load", () => (loads += 1));
  await page.getByRole("link", { name: "API keys" }).click();
  await page.getByText("This could not be loaded").waitFor();
  assert.equal(loads, 1);
  await page.getByRole("link", { name: "Credits" }).click();
  await page.getByText("Add credit").first().waitFor();
  await page.close();
});

test("days are typed: half a date takes neither field away, and asks for nothing", async () => {
  const { page } = await open({ path: "/usage?from=2026-11-01&to=2026-11-24" });
  const [from, to] = [page.getByLabel("From", { exact: true }), page.getByLabel("To", { exact: true })];
  await from.focus();
  await page.keyboard.press("Backspace");
  await page.getByText("Two whole dates are needed.").waitFor();
  assert.ok(await to.isVisible());
  await from.fill("2026-11-30");
  await page.getByText("The first day is after the last one.").waitFor();
  assert.equal(new URL(page.url()).searchParams.get("from"), "2026-11-01");
  await from.fill("2026-11-10");
  await page.waitForURL((url) => url.searchParams.get("from") === "2026-11-10");
  assert.deepEqual([await from.inputValue(), await to.inputValue()], ["2026-11-10", "2026-11-24"]);
  await page.close();
});

test("a payment can be begun again when the browser brings the page back as it was left", async () => {
  // An address that is not followed leaves the page where a followed one would have left it.
  const answers = { ...FULL, "POST /console/api/topups": () => ({ id: "top_4", checkout_url: "about:blank" }) };
  const { page } = await open({ path: "/credits", answers });
  await page.getByRole("button", { name: "Continue to payment" }).click();
  await page.getByRole("button", { name: "Opening the payment page" }).waitFor();
  await page.evaluate(() => dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true })));
  assert.ok(await page.getByRole("button", { name: "Continue to payment" }).isEnabled());
  await page.close();
});

test("a payment that is none of the account's is not waited for, and leaves the address", async () => {
  const { page } = await open({ path: "/credits?topup=top_9" });
  await page.getByText("This payment is not among the last ones of your account.").waitFor();
  await page.waitForURL((url) => url.search === "");
  assert.ok(await page.getByText("This payment is not among the last ones").isVisible());
  await page.close();
});

test("a card is forgotten when one says so, and without one automatic top-up is off and stays off", async () => {
  let auto = await FULL["GET /console/api/topups/auto"]();
  const asked = [];
  const answers = {
    ...FULL,
    "GET /console/api/topups/auto": () => auto,
    "DELETE /console/api/topups/method": () => {
      auto = { ...auto, method: null };
      return {};
    },
    "PUT /console/api/topups/auto": () => {
      asked.push("PUT");
      return auto;
    },
  };
  const { page } = await open({ path: "/credits", answers });
  const on = page.getByRole("switch");
  await page.getByRole("button", { name: "Forget the card" }).click();
  assert.ok(auto.method);
  await page.getByRole("alertdialog").getByRole("button", { name: "Forget it" }).click();
  await page.getByText("Nothing is topped up").waitFor();
  assert.equal(await on.getAttribute("aria-checked"), "false");
  await on.click();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("It cannot be switched on without a kept payment method").waitFor();
  assert.deepEqual(asked, []);
  await page.close();
});

test("what is live comes in by itself", async () => {
  const page = await chromium.newPage();
  const balance = {
    ...(await FULL["GET /console/api/balance"]()),
    balance_usd: "7.000000001",
    available_usd: "6.5",
    running: 1,
  };
  const [row] = FULL["GET /console/api/usage"](new URLSearchParams("limit=1")).data;
  const fresh = { ...row, seq: 20_000, request_id: "req_fresh", model: "fresh-model", cost_usd: "0.000000042" };
  const live = `event: balance\ndata: ${JSON.stringify(balance)}\n\n: keep-alive\n\nevent: request\ndata: ${JSON.stringify(fresh)}\n\n`;
  await scriptPage(page, { origin: gateway.url, answers: FULL, live });
  await page.goto(gateway.url);
  await page.getByText("fresh-model").waitFor();
  await page.getByText("$0.000000042").waitFor();
  await page.getByText("$7.000000001").waitFor();
  await page.close();
});
