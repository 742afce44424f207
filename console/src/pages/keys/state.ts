import type { Key } from "../../api/types.ts";
import { showAgo, showDate } from "../../lib/time.ts";
import { parseUsd } from "../../lib/usd.ts";

const DAY_MS = 86_400_000;
/** A key that ends within a week is one to replace. */
const NEAR_MS = 7 * DAY_MS;
/** From here on a date says more than a count of days. */
const FAR_MS = 90 * DAY_MS;

/** Whether a key has ended, by hand or by its date. */
export function isEnded(key: Key, now: number): boolean {
  return Boolean(key.revoked_at) || hasExpired(key, now);
}

export function hasExpired({ limits }: Key, now: number): boolean {
  return limits.expires_at !== undefined && limits.expires_at !== null && Date.parse(limits.expires_at) <= now;
}

/** A key by what is shown of it: its first characters, or its id where they were not kept. */
export const shownStart = ({ start, id }: Pick<Key, "start" | "id">) => (start ? `${start}…` : id);

/** The keys that end when `key` is revoked: those that still count and descend from it, itself excepted. */
export function endingWith(keys: readonly Key[], key: Key, now: number): Key[] {
  const parents = new Map(keys.map(({ id, parent_id }) => [id, parent_id]));
  const descends = (id: string) => {
    const seen = new Set<string>();
    for (let at = parents.get(id); at && !seen.has(at); at = parents.get(at)) {
      if (at === key.id) return true;
      seen.add(at);
    }
    return false;
  };
  return keys.filter((other) => other.id !== key.id && !isEnded(other, now) && descends(other.id));
}

/** The end of a key by its date, in words for its badge, and whether it is near enough to warn. */
export function endOf(expiresAt: string, now: number): { said: string; isNear: boolean } {
  const left = Date.parse(expiresAt) - now;
  return left < FAR_MS
    ? { said: showAgo(expiresAt, now), isNear: left < NEAR_MS }
    : { said: `on ${showDate(expiresAt)}`, isNear: false };
}

/** How much of its budget a key has spent, in whole percent, at most 100. */
export function spentPercent(spent: string, budget: string): number {
  const limit = parseUsd(budget);
  if (limit <= 0n) return 100;
  const percent = (parseUsd(spent) * 100n) / limit;
  return percent > 100n ? 100 : Number(percent);
}
