// Sums by day and group, as stacked series of a chart: the largest groups by name, and the rest as one.
import { parseUsd, toHeight } from "../lib/usd.ts";

/** Series with a colour of their own; what is beyond them is "Other". */
const NAMED = 5;
const OTHER = "Other";

export interface Series {
  /** The group; `null`: all groups that have no series of their own. */
  id: string | null;
  name: string;
  /** Nano-dollars over all days. */
  total: bigint;
}

export interface ChartDay {
  day: string;
  /** Nano-dollars, exact, by series. */
  exact: bigint[];
  total: bigint;
  requests: number;
  /** The same as dollars, for the height of bars alone. */
  heights: number[];
}

export interface ChartData {
  series: Series[];
  days: ChartDay[];
  total: bigint;
  requests: number;
}

interface Row {
  day: string;
  group: string | null;
  requests: number;
  cost_usd: string;
}

/**
 * Fills `days` (UTC days, oldest first) with `rows`; days without any are zero. `labels` names groups. Groups are told
 * apart by their ids, for two keys may have one name.
 */
export function chartData(
  rows: readonly Row[],
  days: readonly string[],
  labels: (group: string) => string = (group) => group,
): ChartData {
  const totals = new Map<string, bigint>();
  for (const { group, cost_usd } of rows) {
    const id = group ?? "";
    totals.set(id, (totals.get(id) ?? 0n) + parseUsd(cost_usd));
  }
  const ranked = [...totals].sort(([a, x], [b, y]) => (x === y ? a.localeCompare(b) : x > y ? -1 : 1));
  // One more in its own colour takes no more room than "Other" would.
  const named = ranked.length <= NAMED + 1 ? ranked : ranked.slice(0, NAMED);
  const nameOf = distinct(
    named.map(([id]) => id),
    labels,
  );
  const series: Series[] = named.map(([id, total]) => ({ id, name: nameOf(id), total }));
  const rest = ranked.slice(named.length);
  if (rest.length > 0) series.push({ id: null, name: OTHER, total: rest.reduce((sum, [, total]) => sum + total, 0n) });

  const place = new Map(named.map(([id], index) => [id, index]));
  const byDay = new Map(days.map((day) => [day, { exact: series.map(() => 0n), requests: 0 }]));
  for (const { day, group, cost_usd, requests } of rows) {
    const at = byDay.get(day);
    const index = place.get(group ?? "") ?? series.length - 1;
    if (!at) continue;
    at.exact[index] = (at.exact[index] ?? 0n) + parseUsd(cost_usd);
    at.requests += requests;
  }
  const filled = [...byDay].map(([day, { exact, requests }]) => {
    const total = exact.reduce((sum, amount) => sum + amount, 0n);
    return { day, exact, total, requests, heights: exact.map(toHeight) };
  });
  return {
    series,
    days: filled,
    total: filled.reduce((sum, { total }) => sum + total, 0n),
    requests: filled.reduce((sum, { requests }) => sum + requests, 0),
  };
}

/** Names of groups, with the id behind a name that another group has too. */
function distinct(ids: readonly string[], labels: (group: string) => string): (id: string) => string {
  const names = ids.map(labels);
  const isShared = (name: string) => names.indexOf(name) !== names.lastIndexOf(name);
  return (id) => {
    const name = labels(id);
    return isShared(name) && name !== id ? `${name} (${id})` : name;
  };
}
