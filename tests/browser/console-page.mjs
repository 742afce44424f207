// The console in a real browser, with a session that is kept already and an account API that answers by script. What
// serves the pages, with its headers, is as it is deployed.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { chromium as playwright } from "playwright-core";
import { ROOT } from "../../dev/processes.mjs";
import { NOW } from "./console-data.mjs";
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

const CONFIG = {
  supabase_url: "http://127.0.0.1:54321",
  supabase_anon_key: null,
  oauth_providers: ["google", "github"],
  payments: true,
};

const SESSION = {
  access_token: "scripted.access.token",
  refresh_token: "scripted-refresh-token",
  token_type: "bearer",
  expires_in: 3600,
  expires_at: NOW / 1000 + 3000,
  user: {
    id: "7d1f7f8e-1c52-4f2b-9d39-8d9a6a3f3a10",
    email: "robin@example.com",
    aud: "authenticated",
    app_metadata: {},
    user_metadata: {},
    created_at: "2026-09-01T08:00:00Z",
  },
};

/** Starts the browser; resolves to `{ newPage, close }`. */
export async function startBrowser() {
  const profile = mkdtempSync(path.join(tmpdir(), "chromium-"));
  const browser = await playwright.launchPersistentContext(profile, {
    executablePath: chromium(),
    headless: true,
    args: QUIET,
  });
  return {
    /** The browser of playwright, for contexts of its own. */
    browser: browser.browser(),
    newPage: () => browser.newPage(),
    async close() {
      await browser.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}

/**
 * Prepares a page of the console at `origin`: `answers` are those of console-data.mjs, or a function of a route;
 * `signedIn` puts a session into its storage. What the page logs as an error, and what its policy refuses, is
 * gathered in `problems`.
 */
export async function scriptPage(page, { origin, answers, signedIn = true, live = "" }) {
  const problems = [];
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  page.on("pageerror", (error) => problems.push(String(error)));
  await page.clock.setFixedTime(NOW);
  await page.addInitScript(
    ({ session }) => {
      if (session) localStorage.setItem("oneinterface-session", session);
      document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) =>
        console.error(`policy: ${violatedDirective} ${blockedURI}`),
      );
    },
    { session: signedIn ? JSON.stringify(SESSION) : null },
  );
  await page.route(`${origin}/console/api/**`, async (route) => {
    const request = route.request();
    const url = new URL(request.url());
    if (url.pathname === "/console/api/config") return route.fulfill({ json: { ...CONFIG, base_url: origin } });
    if (url.pathname === "/console/api/live") return route.fulfill({ contentType: "text/event-stream", body: live });
    const answer = answers[`${request.method()} ${url.pathname}`];
    if (!answer)
      return route.fulfill({
        status: 404,
        json: { error: { message: "There is no such route.", type: "oneinterface_error", code: "invalid_request" } },
      });
    const body = await answer(url.searchParams, request);
    if (body === null) return; // it never answers
    if (body.status) return route.fulfill({ status: body.status, json: body.json });
    return route.fulfill({ json: body });
  });
  return { problems };
}

let axeSource;

/** What axe-core finds wrong with the page, by rule and element. */
export async function axe(page) {
  axeSource ??= readFileSync(path.join(ROOT, "console/node_modules/axe-core/axe.min.js"), "utf8");
  await page.evaluate(axeSource);
  const violations = await page.evaluate(
    async () => (await globalThis.axe.run(document, { resultTypes: ["violations"] })).violations,
  );
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id}: ${target.join(" ")}: ${failureSummary}`),
  );
}
