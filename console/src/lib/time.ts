// Times and days. The API speaks UTC, and its days are UTC days.

export const DAY_MS = 86_400_000;

const shortTime = new Intl.DateTimeFormat(undefined, {
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
});
const fullTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
const dateOnly = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
// Days of the API are UTC days, so they are said as such.
const shortDay = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", timeZone: "UTC" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

/** `"Nov 24, 13:05"`, in the reader's own time. */
export const showTime = (at: string) => shortTime.format(new Date(at));
/** With the year, seconds and the zone that it is said in, for a tooltip. */
export const showFullTime = (at: string) => fullTime.format(new Date(at));
/** `"Nov 24, 2026"`. */
export const showDate = (at: string) => dateOnly.format(new Date(at));
/** A UTC day, `"2026-11-24"`, as `"Nov 24"`. */
export const showDay = (day: string) => shortDay.format(new Date(`${day}T00:00:00Z`));

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["day", DAY_MS],
  ["hour", 3_600_000],
  ["minute", 60_000],
];

/** `"3 minutes ago"`, `"in 2 days"`, `"just now"`. */
export function showAgo(at: string, now: number): string {
  const distance = new Date(at).getTime() - now;
  for (const [unit, length] of STEPS) {
    if (Math.abs(distance) >= length) return relative.format(Math.trunc(distance / length), unit);
  }
  return distance > 0 ? "in a moment" : "just now";
}

/** The UTC day of a moment, `"2026-11-24"`. */
export const dayOf = (at: number) => new Date(at).toISOString().slice(0, 10);

/** The last `count` UTC days up to `now`, oldest first. */
export function lastDays(count: number, now: number): string[] {
  return Array.from({ length: count }, (_, index) => dayOf(now - (count - 1 - index) * DAY_MS));
}

/** Every UTC day from `from` to `to`, both included; at most 400. */
export function daysBetween(from: string, to: string): string[] {
  const first = Date.parse(`${from}T00:00:00Z`);
  const count = Math.min(400, Math.round((Date.parse(`${to}T00:00:00Z`) - first) / DAY_MS) + 1);
  return Array.from({ length: Math.max(0, count) }, (_, index) => dayOf(first + index * DAY_MS));
}
