// A page of somebody else that its visitor, who is signed in here, has open: it can neither show the console in a frame,
// nor have the browser act in the visitor's name, nor read what the gateway answers.
import assert from "node:assert/strict";
import http from "node:http";
import { after, before, test } from "node:test";
import { startGateway } from "../e2e/harness.mjs";
import { FULL } from "./console-data.mjs";
import { scriptPage, startBrowser } from "./console-page.mjs";

let gateway, account, evil, chromium, page;

before(async () => {
  gateway = await startGateway();
  account = await gateway.account();
  evil = http.createServer((request, response) => {
    response.writeHead(200, { "content-type": "text/html" });
    response.end(`<!doctype html><title>prizes</title><iframe src="${gateway.url}/keys"></iframe>
      <form method="post" enctype="text/plain" action="${gateway.url}/console/api/keys"><input name='{"name":"stolen","x":"' value='"}'></form>`);
  });
  await new Promise((resolve) => evil.listen(0, "127.0.0.1", resolve));
  chromium = await startBrowser();
  // The victim has been here before, and is signed in.
  const visit = await chromium.newPage();
  await scriptPage(visit, { origin: gateway.url, answers: FULL });
  await visit.goto(gateway.url);
  await visit.getByText("Recent requests").waitFor();
  await visit.close();
  page = await chromium.newPage();
});
after(async () => {
  await chromium?.close();
  evil?.close();
  await gateway?.close();
});

const visitEvil = () => page.goto(`http://127.0.0.1:${evil.address().port}/`);

test("the console is not shown in a frame", async () => {
  const refused = new Promise((resolve) =>
    page.on("console", (message) => /frame/i.test(message.text()) && resolve(message.text())),
  );
  await visitEvil();
  assert.match(await refused, /frame-ancestors|X-Frame-Options/i);
  const [, frame] = page.frames();
  assert.ok(!(await frame.content()).includes('id="root"'));
});

test("a form that is sent from elsewhere does nothing", async () => {
  await visitEvil();
  const [response] = await Promise.all([
    page.waitForResponse(/console\/api\/keys/),
    page.evaluate(() => document.forms[0].submit()),
  ]);
  assert.equal(response.status(), 401);
  // The form leads there; the next page is asked for once it has.
  await page.waitForURL(/console\/api\/keys/);
  const { body } = await gateway.keys(account, "GET");
  assert.deepEqual(
    body.data.map(({ name }) => name),
    ["test"],
  );
});

test("a script from elsewhere reads nothing of the account API", async () => {
  await visitEvil();
  for (const path of ["/console/api/balance", "/console/api/config", "/console/api/models"]) {
    const read = await page.evaluate(
      (url) =>
        fetch(url, { credentials: "include" }).then(
          (response) => response.text(),
          () => null,
        ),
      gateway.url + path,
    );
    assert.equal(read, null, path);
  }
});
