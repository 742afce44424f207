import type { UsageRow } from "../../api/types.ts";

type Counts = Pick<UsageRow, "input_tokens" | "cache_read_tokens" | "cache_write_5m_tokens" | "cache_write_1h_tokens">;

/** Everything that went in: the classes are disjoint, so they add up. */
export const inputTokens = (row: Counts) =>
  row.input_tokens + row.cache_read_tokens + row.cache_write_5m_tokens + row.cache_write_1h_tokens;
