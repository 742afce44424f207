// The Worker as it ships, on workerd, with the test catalogue and the scripted upstream behind it.
// Accounts, keys and money are made through the Worker's own API.
import { randomBytes, randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { signToken } from "../../dev/jwt.mjs";
import { ROOT } from "../../dev/processes.mjs";
import { run } from "../../dev/steps.mjs";
import { wranglerEnv } from "../../dev/wrangler.mjs";
import { ensureBundle } from "./bundle.mjs";
import { startUpstream } from "./upstream.mjs";

// wrangler and Miniflare run in this process; they read these while they are imported.
Object.assign(process.env, wranglerEnv());
const { createTestHarness } = await import("./workerd.mjs");

const CATALOGUE = path.join(ROOT, "tests/fixtures/catalog.test.toml");
const SUPABASE_URL = "http://127.0.0.1:54321";

// Rows reach D1 as soon as the object's alarm has run; on a busy machine that takes its time.
const OUTBOX_LIMIT_MS = 10_000;
const POLL_MS = 20;
const BATCH = 500;

/** The upstream keys that the Worker holds; no client may ever see or send one. */
export const UPSTREAM_KEYS = {
  MAIN_KEY: "main-upstream-key",
  BACKUP_KEY: "backup-upstream-key",
  UNBOUND_KEY: "unbound-upstream-key",
};

/**
 * Starts a gateway. `catalogue` is a file in which UPSTREAM stands for the scripted upstream's origin;
 * `copies` has it hold some models several times (`{ chat: 2 }` adds chat-1 and chat-2, and the same to
 * their ids at the upstreams), for a test of failures that must not remember one another's; `vars` and `secrets` are added to the Worker's, `entry` and `inspect` are
 * as in workerd.mjs; `port` is the one that it listens on, any free one when absent.
 *
 * One that is to outlive its process is given a folder, `state`, and then its own `secrets` and an
 * `upstream` each time; who starts it on an empty folder says `fresh`. Resolves to the methods below.
 */
export async function startGateway({
  catalogue = CATALOGUE,
  copies = {},
  vars = {},
  secrets,
  entry,
  inspect = false,
  port = 0,
  state,
  fresh = true,
  upstream,
} = {}) {
  const bundle = await ensureBundle();
  const ownUpstream = upstream ? null : await startUpstream();
  upstream ??= ownUpstream;
  const own = { ...freshSecrets(), ...secrets };
  const harness = createTestHarness({
    root: ROOT,
    state,
    inspect,
    port,
    workers: [
      {
        configPath: "wrangler.toml",
        prebuiltWorkerDir: bundle,
        entry,
        vars: {
          SUPABASE_URL,
          SECRET_HOSTS: `MAIN_KEY=${upstream.host} BACKUP_KEY=${upstream.host}`,
          OUTBOX_FLUSH_SECONDS: "0",
          WELCOME_CREDIT_USD: "0",
          ALLOW_UNPRICED_MODELS: "0",
          ...vars,
        },
        secrets: { ...UPSTREAM_KEYS, ...own },
      },
    ],
  });
  const { url } = await harness.listen();
  const worker = harness.getWorker();
  const { DB: db } = await worker.getEnv();
  if (fresh) {
    await worker.applyD1Migrations("DB");
    const statements = await catalogueStatements(withCopies(readFileSync(catalogue, "utf8"), copies), upstream.url);
    // A batch of thousands is more than workerd takes at once.
    for (let at = 0; at < statements.length; at += BATCH) {
      await db.batch(statements.slice(at, at + BATCH).map((sql) => db.prepare(sql)));
    }
  }

  const origin = url.origin;
  const post = async (path, token, body = {}) => {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const response = await fetch(`${origin}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    const text = await response.text();
    if (!response.ok) throw new Error(`POST ${path}: ${response.status} ${text}`);
    return JSON.parse(text);
  };
  const sessionOf = (userId) =>
    signToken(
      { iss: `${vars.SUPABASE_URL ?? SUPABASE_URL}/auth/v1`, sub: userId, aud: "authenticated", role: "authenticated" },
      own.SUPABASE_JWT_SECRET,
    );

  const gateway = {
    /** The origin, without /v1. */
    url: origin,
    upstream,
    /** The address of the inspector, with `inspect`. */
    inspectorUrl: inspect ? await harness.getInspectorUrl() : null,
    /** The Worker's D1. */
    db,
    /** Handle of the running Worker: `evictDurableObject`, `getDurableObjectStorage`. */
    worker,

    /** `fetch` of a path, with a key where one is given. */
    fetch(path, { key, headers = {}, ...init } = {}) {
      const authorization = key ? { authorization: `Bearer ${key}` } : {};
      return fetch(`${origin}${path}`, { ...init, headers: { ...authorization, ...headers } });
    },

    /** A new account with `usd` (a decimal string) and a key that may do everything: `{ accountId, userId, key }`. */
    async account({ usd = "10" } = {}) {
      const userId = randomUUID();
      const { account_id: accountId } = await post("/console/api/account", sessionOf(userId));
      const account = { accountId, userId };
      if (Number(usd) !== 0) await gateway.grant(account, usd);
      return { ...account, key: await gateway.key(account) };
    },

    /** One more key of an account; `permissions` as in the console's API, all when absent. */
    async key({ userId }, permissions) {
      const { key } = await post("/console/api/keys", sessionOf(userId), { name: "test", permissions });
      return key;
    },

    /** A session of an account's owner, as a bearer token. */
    session: ({ userId }) => sessionOf(userId),

    /** An account's keys API as its owner uses it, or, with `key`, as that key does: `{ status, body }`. */
    async keys({ userId }, method, path = "", body, key = sessionOf(userId)) {
      const init = { method, ...(body && { body: JSON.stringify(body) }) };
      const response = await gateway.fetch(`/console/api/keys${path}`, { key, ...init });
      const text = await response.text();
      return { status: response.status, body: text === "" ? null : JSON.parse(text) };
    },

    /** The operator's audit of an account, as it came. */
    audit: ({ accountId }, repair = false) =>
      post("/operator/audit", signToken({ aud: "operator" }, own.OPERATOR_SECRET), { account_id: accountId, repair }),

    /** How the upstreams fare: `[{ id, usable, models }]`. */
    async upstreams() {
      const response = await gateway.fetch("/operator/upstreams", {
        key: signToken({ aud: "operator" }, own.OPERATOR_SECRET),
      });
      if (!response.ok) throw new Error(`GET /operator/upstreams: ${response.status} ${await response.text()}`);
      return (await response.json()).data;
    },

    /** Enters money as an operator does; a negative amount takes it out. */
    grant({ accountId }, usd) {
      const entry = {
        account_id: accountId,
        id: randomUUID(),
        kind: usd.startsWith("-") ? "adjustment" : "grant",
        amount_usd: usd,
      };
      return post("/operator/entries", signToken({ aud: "operator" }, own.OPERATOR_SECRET), entry);
    },

    /** `{ balance, held }` in nano-USD, as bigints, from the account itself. */
    async balance({ userId }) {
      const { balance_usd: balance, held_usd: held } = await post("/console/api/account", sessionOf(userId));
      return { balance: nanoUsd(balance), held: nanoUsd(held) };
    },

    /** Rows of the account's own tables, as its object keeps them. */
    async rows({ accountId }, sql) {
      const storage = await worker.getDurableObjectStorage("ACCOUNT", { name: objectName(accountId) });
      return [...(await storage.exec(sql))];
    },

    /** The account's journal as its object keeps it: what D1 has not heard of too. */
    async journal(account) {
      const rows = await gateway.rows(account, "SELECT * FROM journal ORDER BY seq");
      return rows.map((row) => ({ ...row, usage: row.usage === null ? null : JSON.parse(row.usage) }));
    },

    /** Has the account's object forget what it has in memory, as the platform does now and then. */
    evict: ({ accountId }) => worker.evictDurableObject("ACCOUNT", { name: objectName(accountId) }),

    /** The account's rows of D1's view `usage`, oldest first, once there are `count` at least. */
    async usageRows({ accountId }, count) {
      const select = db.prepare("SELECT * FROM usage WHERE account_id = ? ORDER BY seq").bind(accountId);
      const deadline = performance.now() + OUTBOX_LIMIT_MS;
      for (;;) {
        const { results } = await select.all();
        if (results.length >= count) return results;
        if (performance.now() > deadline)
          throw new Error(`D1 has ${results.length} of ${count} usage rows of ${accountId}`);
        await sleep(POLL_MS);
      }
    },

    /** What the Worker logged, one string a line. */
    logs: () => harness.getLogs().map(({ level, message }) => `${level}: ${message}`),

    async close() {
      await harness.close();
      await ownUpstream?.close();
    },
  };
  return gateway;
}

/** Secrets of the Worker that no other gateway has. */
export function freshSecrets() {
  const secret = () => randomBytes(32).toString("hex");
  return { KEY_PEPPERS: `1:${secret()}`, SUPABASE_JWT_SECRET: secret(), OPERATOR_SECRET: secret() };
}

/** The name of an account's object, as `durable_objects/src/client.rs` makes it. */
function objectName(accountId) {
  return `${accountId.replace("acct_", "")}.1`;
}

/** Decimal USD as nano-USD. */
export function nanoUsd(decimal) {
  const [, sign, whole, fraction = ""] = decimal.match(/^(-?)(\d+)(?:\.(\d{1,9}))?$/);
  const nano = BigInt(whole) * 1_000_000_000n + BigInt(fraction.padEnd(9, "0"));
  return sign ? -nano : nano;
}

/** A catalogue with copies of models in it. */
function withCopies(text, copies) {
  const blocks = text.split(/^(?=\[\[model\]\])/m);
  const copied = Object.entries(copies).flatMap(([id, count]) => {
    const block = blocks.find((block) => block.startsWith(`[[model]]\nid = "${id}"\n`));
    return Array.from({ length: count }, (_, n) => block.replace(/^(id|model) = "(.*)"$/gm, `$1 = "$2-${n + 1}"`));
  });
  return [...blocks, ...copied].join("\n");
}

/** The catalogue as SQL, by the operator's own command. */
async function catalogueStatements(catalogue, upstreamUrl) {
  const folder = mkdtempSync(path.join(os.tmpdir(), "catalogue-"));
  try {
    const file = path.join(folder, "catalog.toml");
    writeFileSync(file, catalogue.replaceAll('"UPSTREAM/', `"${upstreamUrl}/`));
    const sql = await run("cargo", ["run", "-q", "-p", "xtask", "--", "catalog", "sql", file, "--allow-unpriced"]);
    return sql.split("\n").filter((statement) => statement !== "");
  } finally {
    rmSync(folder, { recursive: true });
  }
}
