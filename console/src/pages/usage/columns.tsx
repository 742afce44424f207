import type { UsageRow } from "../../api/types.ts";
import { showCount } from "../../lib/count.ts";
import { showFullTime, showTime } from "../../lib/time.ts";
import { Usd } from "../../ui/money.tsx";
import { columnsOf } from "../../ui/table.tsx";
import { keyName } from "./key-name.ts";
import { Status } from "./status.tsx";
import { inputTokens } from "./tokens.ts";

const helper = columnsOf<UsageRow>();

/** Rows come in the order of the API, newest first, and are not sorted here: what is not loaded could not be. */
export const columns = (open: (row: UsageRow) => void) =>
  helper.columns([
    helper.accessor("created_at", {
      header: "Time",
      enableSorting: false,
      meta: { wideOnly: true },
      cell: ({ getValue }) => <span title={showFullTime(getValue())}>{showTime(getValue())}</span>,
    }),
    helper.accessor("model", {
      header: "Model",
      enableSorting: false,
      cell: ({ row: { original } }) => (
        <span className="two-lines">
          <button
            type="button"
            className="open model-cell"
            title="Everything about this request"
            onClick={() => open(original)}
          >
            {original.model}
          </button>
          <span className="narrow-only small muted">{showTime(original.created_at)}</span>
        </span>
      ),
    }),
    helper.accessor(keyName, { id: "key", header: "Key", enableSorting: false, meta: { wideOnly: true } }),
    helper.accessor("endpoint", {
      header: "Endpoint",
      enableSorting: false,
      meta: { wideOnly: true },
      cell: ({ getValue }) => <span className="muted">{getValue()}</span>,
    }),
    helper.accessor("status", {
      header: "Status",
      enableSorting: false,
      meta: { wideOnly: true },
      cell: ({ row }) => <Status row={row.original} />,
    }),
    helper.accessor((row) => inputTokens(row), {
      id: "input",
      header: "In",
      enableSorting: false,
      meta: { end: true, wideOnly: true },
      cell: ({ getValue }) => showCount(getValue()),
    }),
    helper.accessor("output_tokens", {
      header: "Out",
      enableSorting: false,
      meta: { end: true, wideOnly: true },
      cell: ({ getValue }) => showCount(getValue()),
    }),
    helper.accessor("cost_usd", {
      header: "Cost",
      enableSorting: false,
      meta: { end: true },
      cell: ({ getValue }) => <Usd amount={getValue()} />,
    }),
  ]);
