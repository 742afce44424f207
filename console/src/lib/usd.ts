// Amounts of money. The API says them as decimal strings, exact to the nano-dollar; here they are whole
// nano-dollars as bigints. No amount is ever a float, except where a chart needs a height.

/** Nano-dollars in a dollar. */
export const NANO = 1_000_000_000n;

const DECIMAL = /^(-?)(\d+)(?:\.(\d{1,9}))?$/;

/** Decimal USD as nano-dollars. Throws a `RangeError` for anything else. */
export function parseUsd(text: string): bigint {
  const match = DECIMAL.exec(text);
  if (!match) throw new RangeError(`not an amount of USD: ${text}`);
  const [, sign, whole = "0", fraction = ""] = match;
  const nano = BigInt(whole) * NANO + BigInt(fraction.padEnd(9, "0"));
  return sign === "-" ? -nano : nano;
}

/** Nano-dollars as decimal USD without needless zeros, as the API writes them: `"0.000012345"`. */
export function toUsd(nano: bigint): string {
  const { sign, whole, fraction } = parts(nano);
  const shown = fraction.replace(/0+$/, "");
  return `${sign}${whole}${shown === "" ? "" : `.${shown}`}`;
}

/**
 * An amount for people, exact: at least two decimals, as many as it has, thousands grouped.
 * `"$1,234.50"`, `"$0.000012345"`, `"−$3.00"` (with a true minus sign).
 */
export function showUsd(amount: string | bigint, { signed = false } = {}): string {
  const nano = typeof amount === "bigint" ? amount : parseUsd(amount);
  const { sign, whole, fraction } = parts(nano);
  const shown = fraction.replace(/0+$/, "").padEnd(2, "0");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  const mark = sign === "-" ? "−" : signed && nano > 0n ? "+" : "";
  return `${mark}$${grouped}.${shown}`;
}

/** The exact sum of decimal amounts. */
export function sumUsd(amounts: Iterable<string>): bigint {
  let sum = 0n;
  for (const amount of amounts) sum += parseUsd(amount);
  return sum;
}

/** For the height of a bar and nothing else. */
export function toHeight(nano: bigint): number {
  return Number(nano) / Number(NANO);
}

/**
 * What somebody typed as an amount: digits, perhaps a `$`, grouping commas and up to `decimals` decimals. As the API wants it, or
 * `null`.
 */
export function readUsd(typed: string, decimals = 9): string | null {
  const text = typed
    .trim()
    .replace(/^\$\s*/, "")
    .replace(/,(?=\d{3}(\D|$))/g, "");
  const match = /^(\d{1,12})(?:\.(\d*))?$/.exec(text);
  if (!match || (match[2] ?? "").length > decimals) return null;
  return toUsd(parseUsd(match[2] ? `${match[1]}.${match[2]}` : (match[1] ?? "0")));
}

/** Whether what somebody typed would be an amount if its comma were a decimal point: `"5,00"`. */
export const hasDecimalComma = (typed: string) => readUsd(typed) === null && /^\$?\s*[\d.]*\d,\d+$/.test(typed.trim());

/** A JSON number as it was written, perhaps with an exponent, as nano-dollars, rounded up: what a cost in a stream is. */
export function fromJsonNumber(text: string): bigint | null {
  const match = /^(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,3}))?$/.exec(text.trim());
  if (!match) return null;
  const [, whole = "", fraction = "", exponent = "0"] = match;
  const shift = Number(exponent) + 9 - fraction.length;
  const digits = BigInt(whole + fraction);
  if (shift >= 0) return digits * 10n ** BigInt(shift);
  const divisor = 10n ** BigInt(-shift);
  return (digits + divisor - 1n) / divisor;
}

function parts(nano: bigint) {
  const magnitude = nano < 0n ? -nano : nano;
  const fraction = String(magnitude % NANO).padStart(9, "0");
  return { sign: nano < 0n ? "-" : "", whole: String(magnitude / NANO), fraction };
}
