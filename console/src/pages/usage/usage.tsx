// Every request: as a chart, as a table, as a file.
import "./usage.css";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useCallback, useMemo, useState } from "react";
import { dailyQuery, keysQuery, usageQuery } from "../../api/queries.ts";
import type { UsageRow } from "../../api/types.ts";
import { chartData } from "../../chart/series.ts";
import { ChartPlace, SpendChart } from "../../chart/spend-chart.tsx";
import { plural } from "../../lib/count.ts";
import { daysBetween } from "../../lib/time.ts";
import { useNow } from "../../lib/use-now.ts";
import { showUsd } from "../../lib/usd.ts";
import { Page } from "../../shell/page.tsx";
import { Button } from "../../ui/button.tsx";
import { Choices } from "../../ui/field.tsx";
import { Empty, Failed, Loaded, messageOf, SkeletonRows } from "../../ui/states.tsx";
import { DataTable } from "../../ui/table.tsx";
import { useToast } from "../../ui/toast.tsx";
import { columns } from "./columns.tsx";
import { exportCsv } from "./export.ts";
import { FilterBar } from "./filter-bar.tsx";
import { useChosen } from "./filters.ts";
import { RequestDialog } from "./request-dialog.tsx";

export default function Usage() {
  const now = useNow();
  const [chosen, change] = useChosen(now);
  const keys = useQuery(keysQuery());
  const daily = useQuery(dailyQuery(chosen.filters, chosen.by));
  const names = useMemo(() => new Map(keys.data?.map(({ id, name }) => [id, name])), [keys.data]);
  const days = daysBetween(chosen.from, chosen.to);
  const chart = useMemo(
    () =>
      daily.data &&
      chartData(daily.data.data, daysBetween(chosen.from, chosen.to), (group) => names.get(group) ?? group),
    [daily.data, chosen, names],
  );
  return (
    <Page
      title="Usage"
      description="What each request did cost. Days are UTC days."
      actions={<Export filters={chosen.filters} />}
    >
      <div className="stack">
        <section className="card" aria-label="Filters">
          <div className="body">
            <FilterBar chosen={chosen} change={change} keys={keys.data ?? []} daily={daily.data?.data ?? []} />
          </div>
        </section>
        <section className="card" aria-labelledby="chart">
          <header>
            <h2 id="chart">
              {chart
                ? `${showUsd(chart.total)} in ${plural(chart.requests, "request")}`
                : `${plural(days.length, "day")}`}
            </h2>
            <Choices
              label="Group by"
              value={chosen.by}
              onChange={(by) => change({ by: by === "model" ? null : by })}
              options={[
                ["model", "Model"],
                ["key", "Key"],
                ["endpoint", "Endpoint"],
              ]}
            />
          </header>
          <div className="body">
            <Loaded query={daily} loading={<ChartPlace />}>
              {() => chart && <SpendChart what="Spend by day" data={chart} />}
            </Loaded>
          </div>
        </section>
        <Requests chosen={chosen} />
      </div>
    </Page>
  );
}

const NO_ROWS: UsageRow[] = [];

function Requests({ chosen: { filters } }: { chosen: ReturnType<typeof useChosen>[0] }) {
  const usage = useInfiniteQuery(usageQuery(filters));
  const [opened, setOpened] = useState<UsageRow | null>(null);
  const rows = useMemo(() => usage.data?.pages.flatMap(({ data }) => data) ?? NO_ROWS, [usage.data]);
  const tableColumns = useMemo(() => columns(setOpened), []);
  const { hasNextPage, isFetching, fetchNextPage } = usage;
  const more = useCallback(() => {
    if (hasNextPage && !isFetching) void fetchNextPage();
  }, [hasNextPage, isFetching, fetchNextPage]);
  return (
    <section className="card usage-table" aria-labelledby="requests">
      <header>
        <h2 id="requests">Requests</h2>
        <span className="small muted num" role="status">
          {usage.data ? `${plural(rows.length, "row")}${hasNextPage ? " so far, more as you scroll" : ""}` : ""}
        </span>
      </header>
      {usage.error && rows.length === 0 ? (
        <Failed error={usage.error} retry={() => void usage.refetch()} />
      ) : usage.data ? (
        <DataTable
          label="Requests"
          long
          columns={tableColumns}
          data={rows}
          rowId={(row) => String(row.seq)}
          onNearEnd={more}
          empty={
            <Empty icon="search" title="No request fits">
              Take a longer time, or fewer filters.
            </Empty>
          }
        />
      ) : (
        <SkeletonRows rows={12} height={22} />
      )}
      {opened && <RequestDialog row={opened} onClose={() => setOpened(null)} />}
    </section>
  );
}

function Export({ filters }: { filters: Parameters<typeof exportCsv>[0] }) {
  const [busy, setBusy] = useState(false);
  const say = useToast();
  const run = async () => {
    setBusy(true);
    try {
      await exportCsv(filters);
    } catch (error) {
      say(messageOf(error), "danger");
    } finally {
      setBusy(false);
    }
  };
  return (
    <Button icon="download" busy={busy} onClick={() => void run()}>
      {busy ? "Preparing the file" : "Export CSV"}
    </Button>
  );
}
