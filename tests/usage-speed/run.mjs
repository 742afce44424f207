// `npm run usage-speed` measures how long a page of usage takes with a million requests in D1, and prints the query
// plans.
import { readFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { ROOT } from "../../dev/processes.mjs";
import { main, StepFailed } from "../../dev/steps.mjs";
import { startGateway } from "../e2e/harness.mjs";

const HELP = `npm run usage-speed -- [--rows N] [--runs N]

Runs the Worker on workerd, fills its local D1 with so many usage rows of one account, and asks for pages of them with
each filter, from the newest row and from cursors at random. Prints the percentiles of the times that a client
waits, how long an export of all rows takes and how large workerd becomes by it, and how SQLite goes about a page.`;

const DAYS = 180;
const DAY_MS = 86_400_000;
const CHUNK = 25_000;

const QUESTIONS = [
  ["no filter", {}],
  ["a day, 90 days ago", { from: day(90), to: day(90) }],
  ["a key of twenty", { key_id: "key_3" }],
  ["a key of long ago", { key_id: "key_of_old" }],
  ["a model of twelve", { model: "model-5" }],
  ["a rare model", { model: "rare" }],
  ["a route of three", { endpoint: "/v1/messages" }],
  ["a rare status", { status: "truncated" }],
  ["a key, model and week", { key_id: "key_3", model: "model-9", from: day(40), to: day(33) }],
  ["nothing that there is", { model: "nobody" }],
];

await main(async () => {
  const options = { rows: { type: "string", default: "1000000" }, runs: { type: "string", default: "40" } };
  const { values } = parseArgs({ options: { ...options, help: { type: "boolean", short: "h", default: false } } });
  const [rows, runs] = [Number(values.rows), Number(values.runs)];
  if (values.help) return console.log(HELP);
  if (![rows, runs].every((n) => Number.isSafeInteger(n) && n > 0)) throw new StepFailed(HELP);
  const gateway = await startGateway();
  try {
    const account = await gateway.account({ usd: "100" });
    await fill(gateway, account, rows);
    await measure(gateway, account, rows, runs);
    await exportAll(gateway, account, rows);
    await plans(gateway.db);
  } finally {
    await gateway.close();
  }
});

/** Rows of half a year, as if the account had delivered them: 20 keys, 12 models, three routes. */
async function fill(gateway, account, rows) {
  const started = performance.now();
  const first = Date.now() - DAYS * DAY_MS;
  // Row 1 is the grant. One key was used a year ago alone and one model sixty times; one request in a thousand broke
  // off.
  const insert =
    gateway.db.prepare(`WITH RECURSIVE n(seq) AS (SELECT CAST(?2 AS INTEGER) UNION ALL SELECT seq + 1 FROM n WHERE seq + 1 < ?3)
    INSERT INTO journal (account_id, seq, id, kind, at_ms, amount_nano_usd, balance_after_nano_usd, key_id, endpoint,
      model, upstream, input_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, output_tokens,
      reasoning_tokens, web_searches, status, billing_status, settled_by, uncollected_nano_usd, price_version, unpriced,
      created_at_ms)
    SELECT ?1, seq, printf('req_%026d', seq), 'usage', CAST(?4 + seq * ?5 AS INTEGER) + 900, -70000, 1000000000,
      CASE WHEN seq < 500 THEN 'key_of_old' ELSE 'key_' || (seq * 7 % 20) END,
      CASE seq % 3 WHEN 0 THEN '/v1/chat/completions' WHEN 1 THEN '/v1/responses' ELSE '/v1/messages' END,
      CASE WHEN seq % CAST(?6 AS INTEGER) = 7 THEN 'rare' ELSE 'model-' || (seq * 11 % 12) END, 'main', 1000, 200, 0, 0, 300, 0, 0,
      CASE WHEN seq % 1000 = 3 THEN 'truncated' ELSE 'completed' END, 'settled', 'upstream', 0, 0, 0, CAST(?4 + seq * ?5 AS INTEGER)
    FROM n`);
  const apart = Math.floor((DAYS * DAY_MS) / rows);
  for (let seq = 2; seq < rows + 2; seq += CHUNK) {
    const end = Math.min(seq + CHUNK, rows + 2);
    await insert.bind(account.accountId, seq, end, first, apart, Math.max(8, Math.floor(rows / 60))).run();
    process.stderr.write(`\r${end - 2} of ${rows} rows`);
  }
  // The account object knows its last row and that D1 has this row.
  await gateway.rows(
    account,
    `INSERT INTO journal (seq, id, kind, at_ms, amount_nano, balance_after_nano) VALUES (${rows + 2}, 'end', 'adjustment', ${Date.now()}, 0, 100000000000)`,
  );
  await gateway.rows(account, `UPDATE account SET delivered_seq = ${rows + 1}`);
  await gateway.evict(account);
  const { sums } = await gateway.db.prepare("SELECT count(*) AS sums FROM usage_daily").first();
  console.error(`\r${rows} rows in ${sums} sums, made in ${((performance.now() - started) / 1_000).toFixed(0)} s`);
}

async function measure(gateway, account, rows, runs) {
  const ask = async (route, query) => {
    const started = performance.now();
    const response = await gateway.fetch(`/console/api/${route}?${new URLSearchParams(query)}`, { key: account.key });
    const body = await response.json();
    if (!response.ok) throw new StepFailed(JSON.stringify(body));
    return { ms: performance.now() - started, found: body.data.length };
  };
  const questions = [];
  for (const [name, query] of QUESTIONS) {
    questions.push([name, "usage", () => query]);
    questions.push([
      `${name}, anywhere`,
      "usage",
      () => ({ ...query, cursor: String(2 + Math.floor(Math.random() * rows)) }),
    ]);
  }
  questions.push(["30 days by model", "usage/daily", () => ({ by: "model" })]);
  questions.push(["180 days by key", "usage/daily", () => ({ by: "key", from: day(180) })]);
  questions.push(["the journal", "journal", () => ({})]);
  questions.push(["the journal's grants", "journal", () => ({ kind: "grant" })]);
  const table = [];
  for (const [name, route, query] of questions) {
    const times = [];
    let found = 0;
    for (let run = -3; run < runs; run += 1) {
      const asked = await ask(route, query());
      if (run < 0) continue;
      times.push(asked.ms);
      found += asked.found;
    }
    times.sort((a, b) => a - b);
    const at = (share) => Number(times[Math.min(times.length - 1, Math.floor(share * times.length))].toFixed(1));
    table.push({ page: name, "rows found": Number((found / runs).toFixed(1)), "p50 ms": at(0.5), "p95 ms": at(0.95) });
  }
  console.table(table);
}

/** Returns the date of this many days ago. */
function day(ago) {
  return new Date(Date.now() - ago * DAY_MS).toISOString().slice(0, 10);
}

/** Reads an export to its end, line by line. */
async function exportAll(gateway, account, rows) {
  const [before, started] = [residentMb(), performance.now()];
  const response = await gateway.fetch("/console/api/usage.csv", { key: account.key });
  let [bytes, lines, largest] = [0, 0, before];
  for await (const chunk of response.body) {
    bytes += chunk.length;
    lines += chunk.reduce((count, byte) => count + (byte === 10 ? 1 : 0), 0);
    largest = Math.max(largest, residentMb());
  }
  if (lines !== rows + 1) throw new StepFailed(`the export has ${lines} lines`);
  const seconds = (performance.now() - started) / 1_000;
  console.log(
    `export: ${lines} lines, ${(bytes / 1e6).toFixed(0)} MB in ${seconds.toFixed(1)} s; workerd had ${before} MB before and ${largest} MB at most`,
  );
}

/** Returns the resident memory of the workerd processes of this process, in MB. */
function residentMb() {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").trim().split(" ").filter(Boolean);
  const kb = (pid) => Number(readFileSync(`/proc/${pid}/status`, "utf8").match(/^VmRSS:\s+(\d+)/m)?.[1] ?? 0);
  return Math.round(children.reduce((sum, pid) => sum + kb(pid), 0) / 1_000);
}

/** Prints the query plans of the Worker's own statements. */
async function plans(db) {
  for (const [name, parameters] of [
    ["before", 12],
    ["after", 13],
  ]) {
    const sql = readFileSync(path.join(ROOT, `src/d1/requests/${name}.sql`), "utf8");
    const { results } = await db
      .prepare(`EXPLAIN QUERY PLAN ${sql}`)
      .bind(...Array(parameters).fill(null))
      .all();
    console.log(`\nsrc/d1/requests/${name}.sql`);
    for (const { detail } of results) console.log(`  ${detail}`);
  }
}
