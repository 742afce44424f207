// Tables by TanStack Table: it sorts and filters, the markup is here. Long ones draw only the rows that are seen.
import {
  columnFilteringFeature,
  createColumnHelper,
  createFilteredRowModel,
  createSortedRowModel,
  filterFn_includesString,
  globalFilteringFeature,
  metaHelper,
  rowSortingFeature,
  tableFeatures,
  useTable,
  type ColumnDef,
  type SortingState,
} from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef, useState, type ReactNode } from "react";
import { Icon } from "./icon.tsx";

interface Meta {
  /** Figures stand to the right. */
  end?: boolean;
  /** Left out on a phone. */
  wideOnly?: boolean;
}

const features = tableFeatures({
  rowSortingFeature,
  sortedRowModel: createSortedRowModel(),
  columnFilteringFeature,
  globalFilteringFeature,
  filteredRowModel: createFilteredRowModel(),
  filterFns: { includesString: filterFn_includesString },
  columnMeta: metaHelper<Meta>(),
});

type Features = typeof features;

/** Makes the columns of a table of `Row`. */
export const columnsOf = <Row extends object>() => createColumnHelper<Features, Row>();

/** The height of a row of a long table, which has to be the same for all. */
const ROW_PX = 42;
const OVERSCAN = 14;
/** So many rows before the end more are asked for. */
const AHEAD = 40;

interface Props<Row extends object> {
  label: string;
  // biome-ignore lint/suspicious/noExplicitAny: the columns of one table differ in the type of their values
  columns: ColumnDef<Features, Row, any>[];
  data: Row[];
  rowId: (row: Row) => string;
  sort?: SortingState;
  search?: string;
  /** Draw only the rows that are seen, in a window of its own. */
  long?: boolean;
  /** Called when a long table nears its end. */
  onNearEnd?: (() => void) | undefined;
  empty?: ReactNode;
}

export function DataTable<Row extends object>({
  label,
  columns,
  data,
  rowId,
  sort = [],
  search = "",
  long = false,
  onNearEnd,
  empty,
}: Props<Row>) {
  const [sorting, setSorting] = useState<SortingState>(sort);
  const table = useTable({
    features,
    columns,
    data,
    getRowId: rowId,
    state: { sorting, globalFilter: search },
    onSortingChange: setSorting,
    globalFilterFn: "includesString",
    enableSortingRemoval: false,
  });
  const { rows } = table.getRowModel();
  const scroll = useRef<HTMLDivElement>(null);
  // The virtualizer changes its result by itself, so nothing here may be memoised between renders.
  const virtual = useVirtualizer({
    count: rows.length,
    enabled: long,
    getScrollElement: () => scroll.current,
    estimateSize: () => ROW_PX,
    overscan: OVERSCAN,
  });
  const shown = long ? virtual.getVirtualItems() : [];
  const last = shown.at(-1)?.index ?? 0;
  useEffect(() => {
    if (long && onNearEnd && last >= rows.length - AHEAD) onNearEnd();
  }, [long, onNearEnd, last, rows.length]);

  if (rows.length === 0 && empty) return empty;
  const drawn = long
    ? shown.map(({ index }) => ({ index, row: rows[index] }))
    : rows.map((row, index) => ({ index, row }));
  const before = shown[0]?.start ?? 0;
  const after = long ? virtual.getTotalSize() - (shown.at(-1)?.end ?? 0) : 0;

  return (
    <div
      className={`table-wrap ${long ? "long" : ""}`}
      ref={scroll}
      tabIndex={0}
      role="region"
      aria-label={`${label}, table`}
    >
      <table className="table" aria-rowcount={long ? rows.length + 1 : undefined}>
        <thead>
          {table.getHeaderGroups().map((group) => (
            <tr key={group.id} aria-rowindex={long ? 1 : undefined}>
              {group.headers.map((header) => {
                const sorted = header.column.getIsSorted();
                const content = <table.FlexRender header={header} />;
                return (
                  <th
                    key={header.id}
                    scope="col"
                    className={classes(header.column.columnDef.meta)}
                    aria-sort={sorted === "asc" ? "ascending" : sorted === "desc" ? "descending" : undefined}
                  >
                    {header.column.getCanSort() ? (
                      <button type="button" onClick={header.column.getToggleSortingHandler()}>
                        {content}
                        <Icon name={sorted === "asc" ? "up" : "down"} className={`icon-sort ${sorted ? "" : "idle"}`} />
                      </button>
                    ) : (
                      <span>{content}</span>
                    )}
                  </th>
                );
              })}
            </tr>
          ))}
        </thead>
        <tbody>
          {before > 0 && <Gap height={before} />}
          {drawn.map(
            ({ row, index }) =>
              row && (
                <tr key={row.id} aria-rowindex={long ? index + 2 : undefined}>
                  {row.getAllCells().map((cell) => (
                    <td key={cell.id} className={classes(cell.column.columnDef.meta)}>
                      <table.FlexRender cell={cell} />
                    </td>
                  ))}
                </tr>
              ),
          )}
          {after > 0 && <Gap height={after} />}
        </tbody>
      </table>
    </div>
  );
}

/** The room of rows that are not drawn. */
function Gap({ height }: { height: number }) {
  return (
    <tr aria-hidden="true" className="gap" style={{ height }}>
      <td />
    </tr>
  );
}

const classes = (meta: Meta | undefined) =>
  [meta?.end && "end", meta?.wideOnly && "wide-only"].filter(Boolean).join(" ");
