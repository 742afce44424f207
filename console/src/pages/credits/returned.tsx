// After the payment page: says how it went, and waits for the payment to be told.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useSearchParams } from "wouter";
import { balanceQuery, topUpsQuery } from "../../api/queries.ts";
import type { TopUp } from "../../api/types.ts";
import { Icon } from "../../ui/icon.tsx";
import { outcomeOf } from "./outcome.ts";

const POLL_MS = 1_500;

export function Returned() {
  const [params] = useSearchParams();
  // The address loses them when all is said; the word stays until the page is left.
  const [{ id, isCancelled }] = useState(() => ({ id: params.get("topup"), isCancelled: params.has("cancelled") }));
  if (id === null) return null;
  return isCancelled ? <Cancelled /> : <Waiting id={id} />;
}

/** Takes the payment out of the address once all is said of it, so that it is not said again of an old one. */
function useForget(isOver: boolean) {
  const [params, setParams] = useSearchParams();
  const isThere = params.has("topup");
  useEffect(() => {
    if (!isOver || !isThere) return;
    setParams(
      (before) => {
        const next = new URLSearchParams(before);
        next.delete("topup");
        next.delete("cancelled");
        return next;
      },
      { replace: true },
    );
  }, [isOver, isThere, setParams]);
}

function Cancelled() {
  useForget(true);
  return (
    <p className="notice" role="status">
      <Icon name="info" />
      You left the payment page. Nothing was charged.
    </p>
  );
}

function Waiting({ id }: { id: string }) {
  const queries = useQueryClient();
  const find = (topUps: TopUp[] | undefined) => topUps?.find((topUp) => topUp.id === id);
  const { data, isFetching } = useQuery({
    ...topUpsQuery(),
    // One that is not in the list is none of this account, or an old one: it does not come by waiting.
    refetchInterval: ({ state }) => (!state.data || find(state.data.data)?.status === "pending" ? POLL_MS : false),
  });
  const topUp = find(data?.data);
  const outcome = topUp ? outcomeOf(topUp) : null;
  const isSettled = outcome !== null;
  // A list from before the payment is no answer: what is asked at this moment is waited for.
  const isUnknown = data !== undefined && !topUp && !isFetching;
  useForget(isSettled || isUnknown);
  useEffect(() => {
    if (!isSettled) return;
    void queries.invalidateQueries(balanceQuery());
    void queries.invalidateQueries({ queryKey: ["journal"] });
    void queries.invalidateQueries({ queryKey: ["topups", "auto"] });
  }, [isSettled, queries]);
  if (outcome) {
    return (
      <p className={`notice ${outcome.tone ?? ""}`} role="status">
        <Icon name={outcome.tone === "ok" ? "check" : outcome.tone === "danger" ? "alert" : "info"} />
        {outcome.text}
      </p>
    );
  }
  return (
    <p className="notice" role="status">
      <Icon name={isUnknown ? "info" : "refresh"} />
      {isUnknown
        ? "This payment is not among the last ones of your account."
        : "Waiting for word of your payment. It takes seconds, seldom minutes."}
    </p>
  );
}
