// Counts for people.
const whole = new Intl.NumberFormat("en-US");
const compact = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

/** `"12,345"`. */
export const showCount = (count: number) => whole.format(count);
/** `"12.3K"`, where the exact count stands nearby or does not matter. */
export const showCompact = (count: number) => compact.format(count);

/** Tokens as model makers write them: `"128K"` for 128,000 and for 131,072, `"1M"`, `"8.2K"`. */
export function showTokens(count: number): string {
  for (const [unit, thousand] of [
    ["M", 1_000_000],
    ["M", 1_048_576],
    ["K", 1_000],
    ["K", 1_024],
  ] as const) {
    if (count >= thousand && count % thousand === 0) return `${count / thousand}${unit}`;
  }
  return compact.format(count);
}

/** `"1 request"`, `"2 requests"`. */
export const plural = (count: number, one: string, many = `${one}s`) =>
  `${showCount(count)} ${count === 1 ? one : many}`;
