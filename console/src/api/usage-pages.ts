// A list of requests that is shown, with a request that has just come.
import type { UsageFilters } from "./queries.ts";
import type { Page, UsageRow } from "./types.ts";

/** The pages with `row` at their head, or as they are when it is there already or does not fit the filters. */
export function withRow(pages: Page<UsageRow>[], row: UsageRow, filters: UsageFilters): Page<UsageRow>[] {
  const [first, ...rest] = pages;
  if (!first || !fits(row, filters) || pages.some(({ data }) => data.some(({ seq }) => seq === row.seq))) return pages;
  return [{ ...first, data: [row, ...first.data] }, ...rest];
}

/** Whether a request is one of those that filters of UTC days ask for. */
function fits(row: UsageRow, { from, to, ...equal }: UsageFilters): boolean {
  const day = row.created_at.slice(0, 10);
  if ((from && day < from) || (to && day > to)) return false;
  return (["key_id", "model", "endpoint", "status"] as const).every(
    (name) => !equal[name] || equal[name] === row[name],
  );
}
