import { useQuery } from "@tanstack/react-query";
import { askJson } from "../../api/client.ts";
import type { Page, UsageRow } from "../../api/types.ts";
import { showCount } from "../../lib/count.ts";
import { showUsd } from "../../lib/usd.ts";
import { Usd } from "../../ui/money.tsx";
import type { Turn } from "./use-chat.ts";

const POLL_MS = 2_000;
const POLLS = 15;

export function TurnView({ turn }: { turn: Turn }) {
  return (
    <article className={`turn by-${turn.role}`}>
      <span className="who">{turn.role === "user" ? "You" : turn.model}</span>
      {turn.reasoning && (
        <details className="small">
          <summary className="muted">Reasoning</summary>
          <div className="text muted">{turn.reasoning}</div>
        </details>
      )}
      {turn.text && <div className="text">{turn.text}</div>}
      {turn.failure && (
        <p className="notice danger" role="alert">
          {turn.failure}
        </p>
      )}
      {turn.role === "assistant" && <Meta turn={turn} />}
    </article>
  );
}

/** What it costs: while it runs nothing is known, at its end the stream says it, and its row in usage is the last word. */
function Meta({ turn }: { turn: Turn }) {
  const settled = useSettled(turn);
  if (turn.state === "running") return <p className="meta">{turn.text ? "Writing" : "Waiting for the first word"}</p>;
  return (
    <p className="meta">
      {turn.state === "stopped" && <span>Stopped</span>}
      {settled ? (
        <span>
          <strong data-testid="settled-cost">
            <Usd amount={settled.cost_usd} />
          </strong>{" "}
          settled
        </span>
      ) : (
        <>
          {turn.cost !== null && <span className="num">{showUsd(turn.cost)}</span>}
          {turn.requestId && <span>settling</span>}
        </>
      )}
      {turn.tokens && (
        <span className="num">
          {showCount(turn.tokens.input)} in, {showCount(turn.tokens.output)} out
        </span>
      )}
    </p>
  );
}

/** The request's row: from the live stream as it comes, otherwise asked for a few times. */
function useSettled({ requestId, state }: Turn): UsageRow | null {
  const { data } = useQuery({
    queryKey: ["settled", requestId],
    enabled: requestId !== null && state !== "running",
    staleTime: Infinity,
    queryFn: async ({ signal }) => {
      const page = await askJson<Page<UsageRow>>("/console/api/usage", { params: { limit: 20 }, signal });
      return page.data.find((row) => row.request_id === requestId) ?? null;
    },
    refetchInterval: ({ state: { data: found, dataUpdateCount } }) =>
      found || dataUpdateCount >= POLLS ? false : POLL_MS,
  });
  return data ?? null;
}
