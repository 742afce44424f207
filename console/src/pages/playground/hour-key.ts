// The key that the playground makes for itself: for an hour, with a small budget. Pure.
import type { Key } from "../../api/types.ts";
import { isEnded } from "../keys/state.ts";

export const HOUR_KEY = { name: "Playground", budgetUsd: "1", lifeMs: 3_600_000 } as const;

/** Characters that the list of keys shows: those of the account, which all its keys have, and a few of the key's own. */
const SHOWN = 24;

/** A held key as the list of keys shows it; of a shorter text no more than half. */
export const shownKey = (key: string) => `${key.slice(0, Math.min(SHOWN, Math.floor(key.length / 2)))}…`;

/** The key of the list that is held, if the playground made it and it still counts. One that was pasted is not its to end. */
export function hourKeyOf(keys: readonly Key[], held: string, now: number): Key | undefined {
  return keys.find(
    (key) =>
      key.name === HOUR_KEY.name &&
      key.start.length >= SHOWN &&
      held.startsWith(key.start) &&
      Boolean(key.limits.expires_at) &&
      key.limits.budget?.period === "total" &&
      !isEnded(key, now),
  );
}
