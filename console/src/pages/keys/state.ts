import type { Key } from "../../api/types.ts";
import { parseUsd } from "../../lib/usd.ts";

/** Whether a key has ended, by hand or by its date. */
export function isEnded(key: Key, now: number): boolean {
  return Boolean(key.revoked_at) || hasExpired(key, now);
}

export function hasExpired({ limits }: Key, now: number): boolean {
  return limits.expires_at !== undefined && limits.expires_at !== null && Date.parse(limits.expires_at) <= now;
}

/** How much of its budget a key has spent, in whole percent, at most 100. */
export function spentPercent(spent: string, budget: string): number {
  const limit = parseUsd(budget);
  if (limit <= 0n) return 100;
  const percent = (parseUsd(spent) * 100n) / limit;
  return percent > 100n ? 100 : Number(percent);
}
