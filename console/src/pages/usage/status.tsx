import type { UsageRow } from "../../api/types.ts";
import { Badge, type Tone } from "../../ui/badge.tsx";

interface Ending {
  label: string;
  tone: Tone | undefined;
  meaning: string;
}

/** How a request can end. */
export const ENDINGS: Record<string, Ending> = {
  completed: { label: "Completed", tone: "ok", meaning: "The answer came whole." },
  limited: { label: "Limited", tone: "warn", meaning: "The stream was ended here: no more could be reserved for it." },
  truncated: {
    label: "Truncated",
    tone: "warn",
    meaning: "The provider's stream broke off. What came until then is charged.",
  },
  client_gone: {
    label: "Left",
    tone: "warn",
    meaning: "The client left before the end. What was produced is charged.",
  },
  upstream_failed: { label: "Failed", tone: "danger", meaning: "No provider gave an answer." },
  rejected: { label: "Rejected", tone: "danger", meaning: "The provider called the request invalid." },
  lost: { label: "Lost", tone: "danger", meaning: "Nothing more was heard of the request." },
};

export const endingOf = (status: string): Ending => ENDINGS[status] ?? { label: status, tone: undefined, meaning: "" };

/** How a request ended, in a word. */
export function Status({ row }: { row: Pick<UsageRow, "status"> }) {
  const { label, tone, meaning } = endingOf(row.status);
  return (
    <span title={meaning}>
      <Badge tone={tone}>{label}</Badge>
    </span>
  );
}
