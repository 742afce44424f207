// What the API answers, by the names that the pages use.

export interface ApiErrorBody {
  error: { message: string; type: string; code: string; [detail: string]: unknown };
}

export interface Page<Row> {
  data: Row[];
  next_cursor: string | null;
}

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

export interface Balance {
  balance_usd: string;
  held_usd: string;
  available_usd: string;
  uncollected_usd: string;
  running: number;
  as_of: string;
}

export interface UsageRow {
  request_id: string;
  seq: number;
  created_at: string;
  settled_at: string;
  key_id: string;
  key_name: string | null;
  endpoint: string;
  model: string;
  status: string;
  billing_status: string;
  settled_by: string;
  input_tokens: number;
  cache_read_tokens: number;
  cache_write_5m_tokens: number;
  cache_write_1h_tokens: number;
  output_tokens: number;
  reasoning_tokens: number;
  web_searches: number;
  cost_usd: string;
  uncollected_usd: string;
  dropped?: unknown;
}

export interface DailyRow {
  day: string;
  group: string | null;
  requests: number;
  input_tokens: number;
  output_tokens: number;
  cost_usd: string;
}

export interface JournalRow {
  seq: number;
  id: string;
  kind: string;
  at: string;
  amount_usd: string;
  balance_after_usd: string;
  description: string;
}

export interface Pricing {
  input: string;
  output?: string | null;
  cache_read?: string | null;
  cache_write_5m?: string | null;
  cache_write_1h?: string | null;
  request?: string | null;
  web_search?: string | null;
}

export interface Model {
  id: string;
  name: string;
  owned_by: string;
  context_window: number;
  max_output_tokens?: number | null;
  capabilities: string[];
  created: string | number;
  pricing?: Pricing | null;
}

export type Permission = "inference" | "account:read" | "keys:write";
export type Period = "daily" | "weekly" | "monthly" | "total";

export interface Limits {
  requests_per_minute?: number;
  max_running?: number;
  budget?: { usd: string; period: Period };
  expires_at?: string;
  models?: string[];
  addresses?: string[];
}

export interface Key {
  id: string;
  name: string;
  permissions: Permission[];
  limits: Limits;
  created_at: string;
  revoked_at?: string | null;
  last_used_at?: string | null;
  start?: string | null;
  parent_id?: string | null;
  spent_usd: string;
  running: number;
}

/** What a new key is answered with: the secret is in it this once. */
export interface NewKey {
  id: string;
  name: string;
  key: string;
  old_key_ends_at?: string;
}

export interface TopUp {
  id: string;
  at: string;
  kind: "checkout" | "auto";
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
