// Reads from an account's journal how much the account paid for one request.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { PRICE } from "./cases.mjs";

// If a client disconnects before the first byte, the gateway notices it at a write that nobody reads for 10 s.
const SETTLE_LIMIT_MS = 40_000;
const POLL_MS = 20;

/** An account that sends one request at a time, so that the position of a row tells its request. */
export class Payer {
  constructor(gateway, account, balance) {
    Object.assign(this, { gateway, account, balance, seq: 1 }); // row 1 is the credit that the account began with
    this.key = account.key;
  }

  static async make(gateway, usd) {
    const account = await gateway.account({ usd });
    return new Payer(gateway, account, (await gateway.balance(account)).balance);
  }

  /** Waits for the usage row of the running request and checks the balance with it. */
  async paid() {
    const deadline = performance.now() + SETTLE_LIMIT_MS;
    for (;;) {
      const rows = await this.gateway.rows(this.account, `SELECT * FROM journal WHERE seq > ${this.seq} ORDER BY seq`);
      if (rows.length > 0) return this.#take(rows);
      if (performance.now() > deadline) throw new Error("no usage row, its hold is still open");
      await sleep(POLL_MS);
    }
  }

  async #take([row, ...more]) {
    assert.equal(more.length, 0, "more than one row for one request");
    this.seq = row.seq;
    this.balance += BigInt(row.amount_nano);
    assert.deepEqual(await this.gateway.balance(this.account), { balance: this.balance, held: 0n });
    return { ...row, usage: JSON.parse(row.usage) };
  }
}

/** Asserts that a row is what `bill` says: `{ outcome, billing, by, input, cached, output: [least, most] }`. */
export function assertBill({ amount_nano: amount, usage: row }, bill) {
  const { input, output, cache_read: cached } = row.usage;
  const found = { outcome: row.outcome, billing: row.billing_status, by: row.settled_by ?? null, input, cached };
  assert.deepEqual(found, {
    ...found,
    ...Object.fromEntries(
      Object.keys(found)
        .filter((name) => name in bill)
        .map((name) => [name, bill[name]]),
    ),
  });
  const [least, most] = bill.output;
  assert.ok(output >= least && output <= most, `${output} tokens of output, expected ${least} to ${most}`);
  const pico = BigInt(input) * PRICE.input + BigInt(cached) * PRICE.cached + BigInt(output) * PRICE.output;
  if (row.billing_status === "released") assert.equal(pico, 0n, "tokens of a request that is free");
  else assert.ok(input > 0, "no tokens of input");
  assert.equal(-BigInt(amount), (pico + 999n) / 1_000n);
}
