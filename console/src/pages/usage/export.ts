// The file comes by `fetch`, with the token in a header, and is handed over as a blob: a link to it would need the token in
// its address.
import { ask } from "../../api/client.ts";
import type { UsageFilters } from "../../api/queries.ts";

/** Saves every row that fits the filters as a CSV file. Throws `ApiError`. */
export async function exportCsv(filters: UsageFilters): Promise<void> {
  const response = await ask("/console/api/usage.csv", { params: { ...filters } });
  const url = URL.createObjectURL(await response.blob());
  const link = document.createElement("a");
  link.href = url;
  link.download = `usage-${filters.from ?? "all"}-${filters.to ?? "now"}.csv`;
  link.click();
  // The browser has taken it by the next turn.
  setTimeout(() => URL.revokeObjectURL(url), 0);
}
