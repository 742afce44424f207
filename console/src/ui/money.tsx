import { showUsd } from "../lib/usd.ts";

/** An amount, exact. `signed` puts a plus before what comes in. */
export function Usd({ amount, signed = false }: { amount: string | bigint; signed?: boolean }) {
  return <span className="num nowrap">{showUsd(amount, { signed })}</span>;
}
