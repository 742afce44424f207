// The marks of the chart's axis of dollars. They are found here and not by Recharts, so that the room for them is known
// before they are drawn.

/** Steps between marks that one reads at a glance, times a power of ten. */
const ROUND = [1, 2, 2.5, 5, 10];
/** Marks above zero, at most. */
const MARKS = 3;
/** What a character of a mark takes, and the room between it and the bars, in px at 12 px of height. */
const CHARACTER_PX = 7;
const GAP_PX = 12;

const mark = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3 });

/** A mark in words: a round figure of its own, not an amount of anybody's. */
export const axisUsd = (dollars: number) => `$${mark.format(dollars)}`;

/** Marks from zero to no less than `highest`, in dollars, and the px that the widest of them takes. */
export function axisOf(highest: number): { ticks: number[]; width: number } {
  const least = highest > 0 ? highest / MARKS : 1;
  const power = 10 ** Math.floor(Math.log10(least));
  const step = (ROUND.find((round) => round * power >= least) ?? 10) * power;
  const count = highest > 0 ? Math.ceil(highest / step) : 1;
  const ticks = Array.from({ length: count + 1 }, (_, index) => index * step);
  const longest = Math.max(...ticks.map((dollars) => axisUsd(dollars).length));
  return { ticks, width: longest * CHARACTER_PX + GAP_PX };
}
