// The filters of the usage page live in its address, so that a view can be kept, sent and gone back from.
import { useCallback, useMemo } from "react";
import { useSearchParams } from "wouter";
import type { DailyBy, UsageFilters } from "../../api/queries.ts";
import { DAY_MS, dayOf, lastDays } from "../../lib/time.ts";

export const RANGES = [
  ["1", "Today"],
  ["7", "7 days"],
  ["30", "30 days"],
  ["90", "90 days"],
] as const;

export type Range = (typeof RANGES)[number][0] | "own";

/** The API sums up so many days at once, and no more. */
const MOST_DAYS = 400;
const DAY = /^\d{4}-\d{2}-\d{2}$/;
const GROUPS: readonly DailyBy[] = ["model", "key", "endpoint"];
const NAMES = ["key_id", "model", "endpoint", "status"] as const;

export interface Chosen {
  range: Range;
  /** UTC days, both included. */
  from: string;
  to: string;
  by: DailyBy;
  filters: UsageFilters;
}

/** What is wrong with two days, both included, as the time to look at; `null`: nothing. */
export function rangeProblem(from: string, to: string): string | null {
  if (!isDay(from) || !isDay(to)) return "Two whole dates are needed.";
  if (from > to) return "The first day is after the last one.";
  const earliest = dayOf(Date.parse(`${to}T00:00:00Z`) - (MOST_DAYS - 1) * DAY_MS);
  return from < earliest ? `At most ${MOST_DAYS} days at once.` : null;
}

/** A date of the calendar: one that is not, as the 30th of February, reads as another or as none. */
function isDay(text: string): boolean {
  const at = Date.parse(`${text}T00:00:00Z`);
  return DAY.test(text) && !Number.isNaN(at) && dayOf(at) === text;
}

/** What an address asks for; what it does not say, or says wrongly, is the last 30 days by model. */
export function readChosen(params: URLSearchParams, now: number): Chosen {
  const own = { from: params.get("from") ?? "", to: params.get("to") ?? "" };
  const isOwn = rangeProblem(own.from, own.to) === null;
  const range: Range = isOwn ? "own" : (RANGES.find(([days]) => days === params.get("days"))?.[0] ?? "30");
  const { from, to } = isOwn ? own : { from: lastDays(Number(range), now)[0] ?? dayOf(now), to: dayOf(now) };
  const by = GROUPS.find((group) => group === params.get("by")) ?? "model";
  const filters: UsageFilters = { from, to };
  for (const name of NAMES) {
    const value = params.get(name);
    if (value) filters[name] = value;
  }
  return { range, from, to, by, filters };
}

type Changes = Record<string, string | null>;

/** The filters of the address, and the function that changes some of them (`null` removes one). */
export function useChosen(now: number): [Chosen, (changes: Changes) => void] {
  const [params, setParams] = useSearchParams();
  // Within a day `now` changes nothing.
  const today = dayOf(now);
  const chosen = useMemo(() => readChosen(params, Date.parse(`${today}T12:00:00Z`)), [params, today]);
  const change = useCallback(
    (changes: Changes) =>
      setParams(
        (before) => {
          const next = new URLSearchParams(before);
          for (const [name, value] of Object.entries(changes)) {
            if (value === null || value === "") next.delete(name);
            else next.set(name, value);
          }
          return next;
        },
        { replace: true },
      ),
    [setParams],
  );
  return [chosen, change];
}
