// What the API answers, by the names that the pages use. The shapes are generated from the Worker's own description of
// its API (`npm run schema` in this folder).
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
export type ChangedLimits = Schemas["ChangedLimits"];
export type Permission = Schemas["Permission"];
export type Period = Schemas["Period"];
/** What a new key is answered with: the secret is in it this once. */
export type NewKey = Schemas["MadeView"] & Partial<Pick<Schemas["RotatedView"], "old_key_ends_at">>;

export type Config = Schemas["ConfigView"];
export type Account = Schemas["AccountView"];
export type TopUp = Schemas["TopUpView"];
export type AutoTopUp = Schemas["AutoTopUpView"];
