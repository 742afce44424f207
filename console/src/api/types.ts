// What the API answers, by the names that the pages use. The shapes are generated from the Worker's own description of
// its API (`npm run schema` in this folder); what it does not describe yet is written here.
import type { components } from "./schema.d.ts";

type Schemas = components["schemas"];

export type ApiErrorBody = Schemas["ErrorView"];

export interface Page<Row> {
  data: Row[];
  next_cursor: string | null;
}

export type Balance = Schemas["BalanceView"];
export type UsageRow = Schemas["UsageView"];
export type DailyRow = Schemas["DayView"];
export type JournalRow = Schemas["EntryView"];
export type Model = Schemas["PublicModel"];
export type Key = Schemas["ListedView"];
export type Limits = Schemas["LimitsView"];
export type Permission = Schemas["Permission"];
export type Period = Schemas["Period"];
/** What a new key is answered with: the secret is in it this once. */
export type NewKey = Schemas["MadeView"] & Partial<Pick<Schemas["RotatedView"], "old_key_ends_at">>;

export interface Config {
  supabase_url: string | null;
  supabase_anon_key: string | null;
  oauth_providers: string[];
  base_url: string;
  payments: boolean;
}

export interface Account {
  account_id: string;
  user: { id: string; email: string | null } | null;
  created_at: string;
  balance_usd: string;
  held_usd: string;
  available_usd: string;
  uncollected_usd: string;
}

export interface TopUp {
  id: string;
  at: string;
  kind: string;
  amount_usd: string;
  status: "pending" | "paid" | "failed" | "expired" | "refunded" | "partially_refunded" | "disputed";
  receipt_url: string | null;
}

export interface AutoTopUp {
  enabled: boolean;
  threshold_usd: string;
  amount_usd: string;
  monthly_cap_usd: string;
  spent_this_month_usd: string;
  method: { brand: string; last4: string } | null;
  stopped: { reason: string; at: string } | null;
}
