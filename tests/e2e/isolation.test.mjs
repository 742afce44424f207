// Two customers, side by side: whatever one of them asks for by an id of the other's is not there, in the same
// envelope as what was never there, and nothing of it is told or changed.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { chatBody, completion } from "./chat.mjs";
import { startGateway } from "./harness.mjs";
import { json } from "./upstream.mjs";

/** Routes that name something by id: method, path and body of a request for it. */
const BY_ID = {
  key: [
    ["PATCH", (id) => `/console/api/keys/${id}`, { name: "mine now" }],
    ["PATCH", (id) => `/console/api/keys/${id}`, { limits: {} }],
    ["DELETE", (id) => `/console/api/keys/${id}`],
  ],
  request: [["GET", (id) => `/v1/generation?id=${id}`]],
};
// By key alone: /v1 takes no session.
const KEYS_ALONE = ["/v1/"];

/** Routes that show what an account has. */
const LISTS = ["/console/api/account", "/console/api/keys", "/v1/key", "/v1/credits", "/v1/activity"];

let gateway, ada, bob;
before(async () => {
  gateway = await startGateway();
  gateway.upstream.answer("chat", json(completion("chat")));
  [ada, bob] = [await customer("Ada"), await customer("Bob")];
});
after(() => gateway.close());

/** A customer with a key, a request, and the ids of both. */
async function customer(name) {
  const account = await gateway.account();
  const { body: made } = await gateway.keys(account, "POST", "", { name: `${name}'s secret project` });
  const response = await gateway.fetch("/v1/chat/completions", {
    method: "POST",
    key: made.key,
    body: chatBody("chat"),
  });
  assert.equal(response.status, 200, await response.text());
  await gateway.usageRows(account, 1);
  const ids = { key: made.id, request: response.headers.get("x-request-id") };
  const whole = { ...account, ids, session: gateway.session(account) };
  const traces = [
    account.accountId,
    account.userId,
    account.key,
    made.key,
    ids.key,
    ids.request,
    `${name}'s secret project`,
  ];
  return { ...whole, traces };
}

async function ask(method, path, key, body) {
  const response = await gateway.fetch(path, { method, key, ...(body && { body: JSON.stringify(body) }) });
  const text = await response.text();
  return { status: response.status, text, headers: JSON.stringify([...response.headers]) };
}

const everything = async (of) => [
  await gateway.journal(of),
  await gateway.rows(of, "SELECT * FROM keys ORDER BY key_id"),
];

test("an id of somebody else's is as one that was never there", async () => {
  const before = await everything(bob);
  for (const [kind, routes] of Object.entries(BY_ID)) {
    for (const [method, path, body] of routes) {
      const callers = [ada.key, ...(KEYS_ALONE.some((start) => path("x").startsWith(start)) ? [] : [ada.session])];
      for (const caller of callers) {
        const foreign = bob.ids[kind];
        const never = `${foreign.slice(0, -1)}${foreign.endsWith("0") ? "1" : "0"}`;
        const [theirs, nobodys] = [
          await ask(method, path(foreign), caller, body),
          await ask(method, path(never), caller, body),
        ];
        const what = `${method} ${path(foreign)}`;
        assert.equal(theirs.status, 404, what);
        assert.equal(JSON.parse(theirs.text).error.code, "invalid_request", what);
        assert.deepEqual([theirs.status, theirs.text], [nobodys.status, nobodys.text], what);
        for (const trace of bob.traces)
          assert.ok(!`${theirs.text}${theirs.headers}`.includes(trace), `${what} tells ${trace}`);
        // The very same is there for its owner.
        const own = await ask(
          method === "DELETE" ? "PATCH" : method,
          path(ada.ids[kind]),
          caller,
          method === "DELETE" ? { name: "still mine" } : body,
        );
        assert.ok(own.status < 300, `${what}: ${own.text}`);
      }
    }
  }
  assert.deepEqual(await everything(bob), before);
});

test("what shows an account shows one", async () => {
  for (const path of LISTS) {
    const callers = path.startsWith("/v1/") ? [ada.key] : [ada.key, ada.session];
    for (const caller of callers) {
      const { status, text } = await ask("GET", path, caller);
      assert.equal(status, 200, `${path}: ${text}`);
      for (const trace of bob.traces) assert.ok(!text.includes(trace), `${path} tells ${trace}`);
    }
  }
});

test("one customer's session and keys do nothing in the other's name", async () => {
  const before = await everything(bob);
  await ask("DELETE", "/console/api/sessions", ada.session);
  assert.equal((await ask("GET", "/console/api/account", ada.session)).status, 401);
  assert.equal((await ask("GET", "/console/api/account", bob.session)).status, 200);
  assert.deepEqual(await everything(bob), before);
});
