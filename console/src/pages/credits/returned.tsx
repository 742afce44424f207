// After the payment page: says how it went, and waits for the payment to be told.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { useSearchParams } from "wouter";
import { balanceQuery, topUpsQuery } from "../../api/queries.ts";
import { showUsd } from "../../lib/usd.ts";
import { Icon } from "../../ui/icon.tsx";

const POLL_MS = 1_500;

export function Returned() {
  const [params] = useSearchParams();
  const id = params.get("topup");
  if (id === null) return null;
  return params.has("cancelled") ? <Cancelled /> : <Waiting id={id} />;
}

function Cancelled() {
  return (
    <p className="notice" role="status">
      <Icon name="info" />
      You left the payment page. Nothing was charged.
    </p>
  );
}

function Waiting({ id }: { id: string }) {
  const queries = useQueryClient();
  const { data } = useQuery({
    ...topUpsQuery(),
    refetchInterval: ({ state }) => (isSettled(state.data?.data.find((topUp) => topUp.id === id)?.status) ? false : POLL_MS),
  });
  const topUp = data?.data.find((one) => one.id === id);
  const settled = isSettled(topUp?.status);
  useEffect(() => {
    if (!settled) return;
    void queries.invalidateQueries(balanceQuery());
    void queries.invalidateQueries({ queryKey: ["journal"] });
    void queries.invalidateQueries({ queryKey: ["topups", "auto"] });
  }, [settled, queries]);
  if (!topUp || !settled) {
    return (
      <p className="notice" role="status">
        <Icon name="refresh" />
        Waiting for word of your payment. It takes seconds, seldom minutes.
      </p>
    );
  }
  const paid = topUp.status === "paid";
  return (
    <p className={`notice ${paid ? "ok" : "danger"}`} role="status">
      <Icon name={paid ? "check" : "alert"} />
      {paid ? `${showUsd(topUp.amount_usd)} came in. Thank you.` : "The payment did not go through. Nothing was charged."}
    </p>
  );
}

const isSettled = (status: string | undefined) => status !== undefined && status !== "pending";
