// The rules that must hold for all accounts after the last crash, whatever the crash has lost.
import { setTimeout as sleep } from "node:timers/promises";
import { cost, usageOf } from "./load.mjs";

// The alarms of the accounts deliver the rows of the outbox.
const DRAIN_LIMIT_MS = 90_000;

const OPEN = 0;
const ADJUSTED = 3;

/**
 * Checks every account of `gateway` against itself, against D1 and against what the clients of `load`
 * saw. Resolves to counts, and `violations`, in words.
 */
export async function check(gateway, accounts, load) {
  const found = {
    requests: {},
    saw: count(load.sent.map(({ saw, status }) => (saw === "refusal" ? `refusals with ${status}` : NAMES[saw]))),
    outcomes: {},
    complete: {},
    violations: [],
  };
  const rows = new Map();
  const wrong = (violation) => void found.violations.push(violation);
  for (const account of accounts) {
    for (const row of await checkAccount(gateway, account, (violation) =>
      wrong(`${account.accountId}: ${violation}`),
    )) {
      if (rows.has(row.id)) wrong(`${row.id} is in two accounts`);
      rows.set(row.id, { ...row, account });
    }
  }
  checkRequests(rows, load, found, wrong);
  for (const request of load.twice) wrong(`request ${request} reached the upstream twice`);
  const dispatched = load.dispatched.size;
  if (dispatched > rows.size) wrong(`${dispatched} requests reached the upstream, ${rows.size} were admitted`);
  found.requests = { sent: load.sent.length, admitted: rows.size, dispatched };
  found.outcomes = count(
    [...rows.values()].map(
      ({ usage }) => `${usage.billing_status}/${usage.outcome}${usage.settled_by ? ` by ${usage.settled_by}` : ""}`,
    ),
  );
  return found;
}

const NAMES = { answer: "whole answers", error: "broken answers", cut: "connections cut" };

/** Checks the journal, the holds, the balance and D1's copy of one account. Resolves to its usage rows. */
export async function checkAccount(gateway, account, wrong) {
  await drained(gateway, account, wrong);
  const journal = await gateway.journal(account);
  let balance = 0n;
  for (const [at, { seq, amount_nano: amount, balance_after_nano: after }] of journal.entries()) {
    balance += BigInt(amount);
    if (seq !== at + 1) wrong(`row ${seq} stands where row ${at + 1} should`);
    if (BigInt(after) !== balance) wrong(`row ${seq} says ${after} after it, the sum is ${balance}`);
    if (balance < 0n) wrong(`row ${seq} takes the balance below zero`);
  }
  const told = await gateway.balance(account);
  if (told.balance !== balance || told.held !== 0n)
    wrong(`the balance is ${told.balance}, ${told.held} held; the sum is ${balance}`);

  const usage = journal.filter(({ kind }) => kind === "usage");
  const byId = Map.groupBy(usage, ({ id }) => id);
  const adjusted = Map.groupBy(
    journal.filter((row) => row.usage && row.kind === "adjustment"),
    ({ id }) => id,
  );
  const holds = new Map(
    (await gateway.rows(account, "SELECT request_id, state, seq FROM holds")).map((hold) => [hold.request_id, hold]),
  );
  for (const [id, { state }] of holds) {
    if (state === OPEN) wrong(`${id} is still open`);
    else if (byId.get(id)?.length !== 1) wrong(`${id} was admitted and has ${byId.get(id)?.length ?? 0} usage rows`);
    const late = adjusted.get(id)?.length ?? 0;
    if (late !== (state === ADJUSTED ? 1 : 0)) wrong(`${id} has ${late} adjustments`);
  }
  for (const id of byId.keys()) if (!holds.has(id)) wrong(`${id} has a usage row and no hold`);
  for (const id of adjusted.keys()) if (!byId.has(id)) wrong(`${id} has an adjustment and no usage row`);
  await checkCopy(gateway, account, journal, wrong);
  return usage.map((row) => ({ ...row, adjustment: adjusted.get(row.id)?.[0] }));
}

/** Waits until the outbox is empty and then reports the problems that the operator's audit finds. */
async function drained(gateway, account, wrong) {
  for (const deadline = performance.now() + DRAIN_LIMIT_MS; ; await sleep(200)) {
    const report = await gateway.audit(account);
    if (report.delivered_seq === report.rows || performance.now() > deadline) {
      if (report.delivered_seq !== report.rows) wrong(`D1 has ${report.delivered_seq} of ${report.rows} rows`);
      for (const problem of report.problems) wrong(`the audit says: ${problem}`);
      return;
    }
  }
}

/** Compares D1's rows, usage included, with the rows of the account object. */
async function checkCopy(gateway, { accountId }, journal, wrong) {
  const { results } = await gateway.db
    .prepare("SELECT * FROM journal WHERE account_id = ? ORDER BY seq")
    .bind(accountId)
    .all();
  if (results.length !== journal.length) wrong(`D1 has ${results.length} rows, the account ${journal.length}`);
  for (const [at, copy] of results.entries()) {
    const { seq, id, kind, at_ms, amount_nano, balance_after_nano, usage } = journal[at] ?? {};
    const own = [
      seq,
      id,
      kind,
      at_ms,
      amount_nano,
      balance_after_nano,
      usage?.usage.input,
      usage?.usage.output,
      usage?.outcome,
      usage?.billing_status,
      usage?.settled_by,
    ];
    const { amount_nano_usd, balance_after_nano_usd, input_tokens, output_tokens, status, billing_status, settled_by } =
      copy;
    const copied = [
      copy.seq,
      copy.id,
      copy.kind,
      copy.at_ms,
      amount_nano_usd,
      balance_after_nano_usd,
      input_tokens,
      output_tokens,
      status,
      billing_status,
      settled_by,
    ];
    if (own.some((value, n) => (value ?? null) !== (copied[n] ?? null)))
      wrong(`D1's row ${copy.seq} is ${copied}, the account's ${own}`);
  }
}

/** Compares usage rows with the answers that clients received and with the upstream's counts. */
function checkRequests(rows, load, found, wrong) {
  const charged = new Map();
  for (const { id, usage, amount_nano: amount, adjustment } of rows.values()) {
    const last = adjustment?.usage ?? usage;
    const uncollected = BigInt(usage.uncollected) + BigInt(adjustment?.usage.uncollected ?? 0);
    const paid = -BigInt(amount) - BigInt(adjustment?.amount_nano ?? 0) + uncollected;
    const counted = last.settled_by ? cost(last.usage.input, last.usage.output) : 0n;
    if (paid !== counted) wrong(`${id} paid ${paid} for a usage of ${counted}`);
    if (last.settled_by !== "upstream") continue;
    const n = last.usage.input - usageOf(0).prompt_tokens;
    if (last.usage.output !== usageOf(n).completion_tokens) wrong(`${id} has a usage that the upstream never reported`);
    if (charged.has(n)) wrong(`request ${n} was charged twice: ${charged.get(n)} and ${id}`);
    charged.set(n, id);
  }
  const complete = [];
  for (const { n, kind, account, id, saw, status } of load.sent) {
    if (id === null) continue;
    const row = rows.get(id);
    if (row && row.account !== account) wrong(`${id} was charged to another account`);
    if (status === 200 && !row) wrong(`${id} was answered and never admitted`);
    if (status === 402 && row) wrong(`${id} was refused and admitted`);
    if (saw !== "answer" || !row) continue;
    const settled = charged.get(n) === id;
    // If the balance does not cover a whole stream, the gateway stops the stream as if it had reached its limit.
    const { outcome } = row.usage;
    const ends = { limited: "stopped at the limit", lost: "lost before the settle was written" };
    if (!settled && outcome !== "lost" && outcome !== "limited")
      wrong(`request ${n} (${kind}) was answered and ended as ${JSON.stringify(row.usage)}`);
    complete.push(`${settled ? "charged exactly" : ends[outcome]} (${kind})`);
  }
  found.complete = count(complete);
}

function count(names) {
  const counts = {};
  for (const name of names.sort()) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
