// The account's live stream: what it says goes into the caches that the pages read from. It is left while the page is not
// seen, and asked for again when it ends, sooner after a normal end than after a failure.
import { useQueryClient, type InfiniteData, type QueryClient } from "@tanstack/react-query";
import { useEffect, useSyncExternalStore } from "react";
import { ask } from "./client.ts";
import { balanceQuery, recentQuery, type UsageFilters } from "./queries.ts";
import { readEvents } from "../lib/sse.ts";
import { parseUsd } from "../lib/usd.ts";
import type { Balance, Page, UsageRow } from "./types.ts";
import { withRow } from "./usage-pages.ts";

const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 30_000;
/** Sums by day are asked again this long after the last new request, not after each. */
const CALM_MS = 1_500;
const RECENT_ROWS = 10;

let isLive = false;
const listeners = new Set<() => void>();

/** Whether the stream stands at this moment. */
export function useIsLive(): boolean {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => isLive,
  );
}

function setLive(value: boolean) {
  if (isLive === value) return;
  isLive = value;
  for (const listener of listeners) listener();
}

/** Keeps the stream while the component that calls it is there. */
export function useLive(): void {
  const queries = useQueryClient();
  useEffect(() => {
    const over = new AbortController();
    void keep(queries, over.signal);
    return () => over.abort();
  }, [queries]);
}

async function keep(queries: QueryClient, over: AbortSignal) {
  let wait = FIRST_WAIT_MS;
  while (!over.aborted) {
    await untilVisible(over);
    const connection = new AbortController();
    const leave = () => connection.abort();
    const leaveHidden = () => document.hidden && leave();
    over.addEventListener("abort", leave, { once: true });
    document.addEventListener("visibilitychange", leaveHidden);
    try {
      const response = await ask("/console/api/live", { signal: connection.signal });
      if (!response.body) return;
      for await (const { event, data } of readEvents(response.body)) {
        setLive(true);
        wait = FIRST_WAIT_MS;
        if (event === "balance") takeBalance(queries, JSON.parse(data) as Balance);
        if (event === "request") takeRequest(queries, JSON.parse(data) as UsageRow);
      }
    } catch {
      // Gone, refused or left: each is answered by coming again, later each time.
      wait = Math.min(LONGEST_WAIT_MS, wait * 2);
    } finally {
      setLive(false);
      over.removeEventListener("abort", leave);
      document.removeEventListener("visibilitychange", leaveHidden);
    }
    if (!over.aborted && !document.hidden) await pause(wait * (0.75 + Math.random() / 2), over);
  }
}

function takeBalance(queries: QueryClient, balance: Balance) {
  const before = queries.getQueryData<Balance>(balanceQuery().queryKey);
  queries.setQueryData(balanceQuery().queryKey, balance);
  if (!before || before.balance_usd === balance.balance_usd) return;
  // Money that came in has rows of its own, and what came in by itself stands among the top-ups.
  if (parseUsd(balance.balance_usd) > parseUsd(before.balance_usd)) hasMoneyCome = true;
  refreshLater(queries);
}

function takeRequest(queries: QueryClient, row: UsageRow) {
  queries.setQueryData(recentQuery().queryKey, (page) => {
    if (!page || page.data.some(({ seq }) => seq === row.seq)) return page;
    return { ...page, data: [row, ...page.data].slice(0, RECENT_ROWS) };
  });
  for (const { queryKey } of queries.getQueryCache().findAll({ queryKey: ["usage", "list"] })) {
    const filters = queryKey[2] as UsageFilters;
    queries.setQueryData<InfiniteData<Page<UsageRow>>>(
      queryKey,
      (list) => list && { ...list, pages: withRow(list.pages, row, filters) },
    );
  }
  queries.setQueryData(["settled", row.request_id], row);
  refreshLater(queries);
}

let hasMoneyCome = false;
let refresh: ReturnType<typeof setTimeout> | undefined;

function refreshLater(queries: QueryClient) {
  clearTimeout(refresh);
  refresh = setTimeout(() => {
    void queries.invalidateQueries({ queryKey: ["usage", "daily"] });
    void queries.invalidateQueries({ queryKey: ["journal"] });
    void queries.invalidateQueries({ queryKey: ["keys"] });
    if (hasMoneyCome) void queries.invalidateQueries({ queryKey: ["topups"] });
    hasMoneyCome = false;
  }, CALM_MS);
}

function untilVisible(over: AbortSignal): Promise<void> {
  if (!document.hidden || over.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      if (document.hidden && !over.aborted) return;
      document.removeEventListener("visibilitychange", done);
      over.removeEventListener("abort", done);
      resolve();
    };
    document.addEventListener("visibilitychange", done);
    over.addEventListener("abort", done);
  });
}

function pause(ms: number, over: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    over.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
