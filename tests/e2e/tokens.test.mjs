// Sessions of a Supabase project on the real Worker: which tokens open the console, and which keys count when. The
// whole table of attacks is native, in src/session/tests.rs; here are those of each kind.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { errorBody } from "./chat.mjs";
import { freshSecrets, startGateway } from "./harness.mjs";
import { newKey, signTexts, startProject } from "./tokens.mjs";

const REFUSED = errorBody("invalid_api_key", "Sign in to use the console.");
// As in src/session/cache.rs: between two fetches, and how long keys are fresh at least.
const BETWEEN_MS = 10_000;

const [ec, rsa] = [newKey("ES256"), newKey("RS256")];
const secrets = freshSecrets();
const secret = secrets.SUPABASE_JWT_SECRET;

const vars = (url, algorithms = "HS256,ES256,RS256") => ({ SUPABASE_URL: url, SUPABASE_JWT_ALGORITHMS: algorithms });

let project, gateway;
before(async () => {
  project = await startProject();
  project.keys = [ec, rsa];
  gateway = await startGateway({ vars: vars(project.url), secrets });
});
after(async () => {
  await gateway.close();
  await project.close();
});

/** The status and body of the console's answer to a token: 404 is a user who has no account yet. */
async function ask(token, at = gateway) {
  const response = await at.fetch("/console/api/account", { headers: { authorization: `Bearer ${token}` } });
  return { status: response.status, body: await response.json(), headers: response.headers };
}

test("many who come at once cost one fetch", async () => {
  const answers = await Promise.all(Array.from({ length: 40 }, () => ask(project.token(ec))));
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [404]);
  assert.equal(project.fetches, 1);
});

test("every configured way to sign opens the console and MCP", async () => {
  const hs = signTexts(JSON.stringify({ alg: "HS256", typ: "JWT" }), JSON.stringify(project.claims()), secret);
  for (const token of [project.token(ec), project.token(rsa), hs]) {
    const headers = {
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
    };
    const made = await gateway.fetch("/console/api/account", { method: "POST", headers });
    const account = await made.json();
    assert.deepEqual([made.status, account.user.email, account.balance_usd], [200, "a@example.com", "0"]);
    assert.equal((await ask(token)).body.account_id, account.account_id);
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: {} });
    const tools = await gateway.fetch("/mcp", { method: "POST", headers, body });
    assert.equal(tools.status, 200, await tools.text());
  }
});

test("what is none is 401, in one envelope", async () => {
  const own = project.claims();
  const text = (claims) => JSON.stringify(claims);
  const es = text({ alg: "ES256", kid: ec.kid });
  const hs = text({ alg: "HS256" });
  const valid = project.token(ec);
  const [header, claims, signature] = valid.split(".");
  const stranger = newKey("ES256", ec.kid);
  const pem = ec.privateKey.export({ format: "pem", type: "pkcs8" });
  const tokens = {
    "alg none": signTexts(text({ alg: "none" }), text(own), null),
    "alg none, with the signature left": `${Buffer.from(text({ alg: "none" })).toString("base64url")}.${claims}.${signature}`,
    "the public key as a shared secret": signTexts(hs, text(own), JSON.stringify(ec.jwk)),
    "the public key's PEM as a shared secret": signTexts(text({ alg: "HS256", kid: ec.kid }), text(own), pem),
    "an RSA token that says ES256": signTexts(es, text(own), rsa),
    "an EC token that says RS256": signTexts(text({ alg: "RS256", kid: ec.kid }), text(own), ec),
    "the id of a key and the signature of another": project.token(stranger),
    "a made-up key": project.token(newKey("ES256")),
    "no key": project.token(ec, {}, { kid: undefined }),
    "a path as a key": project.token(ec, {}, { kid: "../../etc/passwd" }),
    "a key of its own in the header": project.token(stranger, {}, { jwk: stranger.jwk, jku: "http://127.0.0.1:1/" }),
    "an extension to be understood": project.token(ec, {}, { crit: ["exp"] }),
    "another issuer": project.token(ec, { iss: "https://other.example/auth/v1" }),
    "another audience": project.token(ec, { aud: "anon" }),
    anon: signTexts(hs, text({ iss: "supabase", role: "anon", iat: own.iat, exp: own.exp }), secret),
    service_role: signTexts(hs, text({ iss: "supabase", role: "service_role", iat: own.iat, exp: own.exp }), secret),
    "the service's role with a subject": project.token(ec, { role: "service_role" }),
    "an anonymous user": project.token(ec, { is_anonymous: true }),
    "an application that acts for the user": project.token(ec, { client_id: "app" }),
    "no subject": project.token(ec, { sub: undefined }),
    "a subject that is no UUID": project.token(ec, { sub: "' OR 1=1 --" }),
    "a subject in other digits": project.token(ec, { sub: own.sub.replace(/\d/, "\uff11") }),
    expired: project.token(ec, { exp: own.iat - 31 }),
    "without an end": project.token(ec, { exp: undefined }),
    "not yet": project.token(ec, { nbf: own.iat + 60 }),
    "issued in the future": project.token(ec, { iat: own.iat + 60 }),
    "issued at no time": project.token(ec, { iat: undefined }),
    "a role twice": signTexts(es, text(own).replace("{", '{"role":"anon",'), ec),
    "an algorithm twice": signTexts(`{"alg":"none",${es.slice(1)}`, text(own), ec),
    "too long": project.token(ec, { user_metadata: { about: "x".repeat(20_000) } }),
    "two parts": `${header}.${claims}`,
    "four parts": `${valid}.${signature}`,
    "no signature": `${header}.${claims}.`,
    padding: `${valid}==`,
    "other claims": `${header}.${Buffer.from(text({ ...own, sub: randomUUID() })).toString("base64url")}.${signature}`,
    nothing: "",
  };
  for (const [name, token] of Object.entries(tokens)) {
    const { status, body, headers } = await ask(token);
    assert.deepEqual([status, body], [401, REFUSED], name);
    assert.deepEqual([headers.get("x-should-retry"), headers.get("www-authenticate")], ["false", "Bearer"], name);
  }
  assert.equal((await ask(valid)).status, 404, "and the true one still is one");
});

test("a flood of made-up keys costs one fetch in ten seconds, and locks nobody out", async () => {
  await sleep(BETWEEN_MS);
  const before = project.fetches;
  const flood = Array.from({ length: 60 }, () => ask(project.token({ ...ec, kid: randomUUID() })));
  const [one] = await Promise.all([ask(project.token(ec)), ...flood]);
  assert.equal(one.status, 404);
  for (const { status } of await Promise.all(flood)) assert.ok(status === 401 || status === 429, String(status));
  assert.ok(project.fetches - before <= 1, `${project.fetches - before} fetches`);
});

test("a new key counts as soon as it may be asked for, and one that was taken back no longer than that", async () => {
  const next = newKey("ES256");
  project.keys = [next, rsa];
  await sleep(BETWEEN_MS);
  // The new one is unknown, so the set is fetched anew; and with that the old one is gone.
  assert.equal((await ask(project.token(next))).status, 404);
  const { status, body } = await ask(project.token(ec));
  assert.deepEqual([status, body], [401, REFUSED]);
  // Without a word about anything new, too, once the set is no longer fresh.
  project.keys = [next];
  await sleep(BETWEEN_MS);
  assert.equal((await ask(project.token(rsa))).status, 401);
  assert.equal((await ask(project.token(next))).status, 404);
});

test("while the project does not answer, known keys count and nothing else does", async () => {
  const [known] = project.keys;
  project.answer = (response) => response.writeHead(500).end();
  await sleep(BETWEEN_MS);
  assert.equal((await ask(project.token(known))).status, 404);
  assert.equal((await ask(project.token(newKey("ES256")))).status, 401);
  project.answer = null;
});

test("without any key nobody knows, and says so", async () => {
  const other = await startProject();
  const answers = {
    "an error": (response) => response.writeHead(500).end(),
    "what is no set": (response) => response.end("<html>"),
    "a redirect": (response) => response.writeHead(302, { location: `${project.url}/keys` }).end(),
    "too much": (response) =>
      response.end(JSON.stringify({ keys: project.keys.map(({ jwk }) => jwk), pad: "x".repeat(70_000) })),
    silence: () => {},
  };
  for (const [name, answer] of Object.entries(answers)) {
    other.answer = answer;
    const fresh = await startGateway({ vars: vars(other.url, "ES256") });
    try {
      const { status, body, headers } = await ask(other.token(project.keys[0]), fresh);
      assert.deepEqual([status, body.error.code], [503, "internal_error"], name);
      assert.ok(Number(headers.get("retry-after")) >= 1, name);
      const hs = signTexts('{"alg":"HS256"}', JSON.stringify(other.claims()), secret);
      assert.equal((await ask(hs, fresh)).status, 401, "which needs no key, and is not configured");
    } finally {
      await fresh.close();
    }
  }
  await other.close();
});
