import type { TopUp } from "../../api/types.ts";
import { showUsd } from "../../lib/usd.ts";

interface Outcome {
  tone: "ok" | "danger" | undefined;
  text: string;
}

/** How a payment went, in words; `null` while nothing is known of it. */
export function outcomeOf({ status, amount_usd }: Pick<TopUp, "status" | "amount_usd">): Outcome | null {
  const amount = showUsd(amount_usd);
  switch (status) {
    case "pending":
      return null;
    case "paid":
      return { tone: "ok", text: `${amount} came in. Thank you.` };
    case "refunded":
      return { tone: undefined, text: `${amount} came in, and went back to you since.` };
    case "partially_refunded":
      return { tone: undefined, text: `${amount} came in, and a part of it went back to you since.` };
    case "disputed":
      return { tone: "danger", text: `${amount} came in. The payment has been disputed since.` };
    case "failed":
      return { tone: "danger", text: "The payment did not go through. Nothing was charged." };
    case "expired":
      return { tone: "danger", text: "The payment page was open for too long. Nothing was charged." };
  }
}
