// How fast an account spends, and how long its balance lasts at that pace.
import { parseUsd } from "./usd.ts";
import { lastDays } from "./time.ts";

/** Whole days that are averaged. */
export const BURN_DAYS = 7;

export interface Burn {
  /** Spent a day on average, nano-dollars, rounded up. */
  perDay: bigint;
  /** Whole days that the available balance lasts; `null` when nothing is spent. */
  daysLeft: bigint | null;
}

/**
 * The pace of the last `BURN_DAYS` UTC days, today included, from sums by day. An account that is younger is averaged
 * over the days that it has spent in, so that a first busy day does not look like a seventh of one.
 */
export function burn(days: readonly { day: string; cost_usd: string }[], availableUsd: string, now: number): Burn {
  const window = new Set(lastDays(BURN_DAYS, now));
  const spent = days.filter(({ day, cost_usd }) => window.has(day) && parseUsd(cost_usd) > 0n);
  const first = spent.reduce((least, { day }) => (day < least ? day : least), "9999");
  const count = BigInt([...window].filter((day) => day >= first).length);
  const sum = spent.reduce((total, { cost_usd }) => total + parseUsd(cost_usd), 0n);
  if (count === 0n || sum === 0n) return { perDay: 0n, daysLeft: null };
  const perDay = (sum + count - 1n) / count;
  const available = parseUsd(availableUsd);
  return { perDay, daysLeft: available <= 0n ? 0n : available / perDay };
}
