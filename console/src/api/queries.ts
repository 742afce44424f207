// Every question that the pages ask of the account API, each in one place with its key.
import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { askJson, type Params } from "./client.ts";
import { fetchConfig } from "./config.ts";
import type { Account, AutoTopUp, Balance, DailyRow, JournalRow, Key, Model, Page, TopUp, UsageRow } from "./types.ts";

const API = "/console/api";
/** Rows of a page of a long list, the most that the API gives. */
const PAGE_ROWS = 200;

/** Filters of usage, as they stand in the page's address and in the API's. */
export interface UsageFilters {
  from?: string | undefined;
  to?: string | undefined;
  key_id?: string | undefined;
  model?: string | undefined;
  endpoint?: string | undefined;
  status?: string | undefined;
}

export const configQuery = () =>
  queryOptions({ queryKey: ["public", "config"], queryFn: fetchConfig, staleTime: Infinity });

/** Makes the account on the first sign-in, and shows it on every other. */
export const accountQuery = () =>
  queryOptions({
    queryKey: ["account"],
    queryFn: ({ signal }) => askJson<Account>(`${API}/account`, { method: "POST", signal }),
    staleTime: Infinity,
  });

export const balanceQuery = () =>
  queryOptions({ queryKey: ["balance"], queryFn: ({ signal }) => askJson<Balance>(`${API}/balance`, { signal }) });

export const recentQuery = () =>
  queryOptions({
    queryKey: ["usage", "recent"],
    queryFn: ({ signal }) => askJson<Page<UsageRow>>(`${API}/usage`, { params: { limit: 10 }, signal }),
  });

export const usageQuery = (filters: UsageFilters) =>
  infiniteQueryOptions({
    queryKey: ["usage", "list", filters],
    queryFn: ({ pageParam, signal }) =>
      askJson<Page<UsageRow>>(`${API}/usage`, { params: { ...filters, cursor: pageParam, limit: PAGE_ROWS }, signal }),
    initialPageParam: null as string | null,
    getNextPageParam: ({ next_cursor }) => next_cursor,
    staleTime: 30_000,
  });

export type DailyBy = "model" | "key" | "endpoint" | "none";

export const dailyQuery = (filters: UsageFilters, by: DailyBy) =>
  queryOptions({
    queryKey: ["usage", "daily", filters, by],
    queryFn: ({ signal }) => askJson<Page<DailyRow>>(`${API}/usage/daily`, { params: { ...filters, by }, signal }),
    staleTime: 30_000,
    placeholderData: (previous) => previous,
  });

export const keysQuery = () =>
  queryOptions({
    queryKey: ["keys"],
    queryFn: ({ signal }) => everyPage<Key>(`${API}/keys`, signal),
  });

export const journalQuery = (kind: string) =>
  infiniteQueryOptions({
    queryKey: ["journal", kind],
    queryFn: ({ pageParam, signal }) =>
      askJson<Page<JournalRow>>(`${API}/journal`, { params: { kind, cursor: pageParam, limit: 50 }, signal }),
    initialPageParam: null as string | null,
    getNextPageParam: ({ next_cursor }) => next_cursor,
  });

/** The newest of them. */
export const topUpsQuery = () =>
  queryOptions({
    queryKey: ["topups", "list"],
    queryFn: ({ signal }) => askJson<Page<TopUp>>(`${API}/topups`, { params: { limit: 50 }, signal }),
  });

/** All of them, by pages. */
export const topUpPagesQuery = () =>
  infiniteQueryOptions({
    queryKey: ["topups", "pages"],
    queryFn: ({ pageParam, signal }) =>
      askJson<Page<TopUp>>(`${API}/topups`, { params: { cursor: pageParam, limit: 50 }, signal }),
    initialPageParam: null as string | null,
    getNextPageParam: ({ next_cursor }) => next_cursor,
  });

export const autoTopUpQuery = () =>
  queryOptions({
    queryKey: ["topups", "auto"],
    queryFn: ({ signal }) => askJson<AutoTopUp>(`${API}/topups/auto`, { signal }),
  });

export const modelsQuery = () =>
  queryOptions({
    queryKey: ["public", "models"],
    queryFn: ({ signal }) => everyPage<Model>(`${API}/models`, signal, null),
    staleTime: 300_000,
  });

async function everyPage<Row>(path: string, signal: AbortSignal, token?: null): Promise<Row[]> {
  const rows: Row[] = [];
  let cursor: string | null | undefined = null;
  do {
    const params: Params = cursor ? { cursor } : {};
    const page: Page<Row> = await askJson<Page<Row>>(
      path,
      token === null ? { params, signal, token } : { params, signal },
    );
    rows.push(...page.data);
    cursor = page.next_cursor;
  } while (cursor);
  return rows;
}
