// What the account has, how fast it goes, and what it was spent on.
import "./overview.css";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { chartData } from "../../chart/series.ts";
import { ChartPlace, SpendChart } from "../../chart/spend-chart.tsx";
import { dailyQuery, keysQuery, recentQuery } from "../../api/queries.ts";
import { lastDays } from "../../lib/time.ts";
import { useNow } from "../../lib/use-now.ts";
import { Page } from "../../shell/page.tsx";
import { Choices } from "../../ui/field.tsx";
import { Loaded } from "../../ui/states.tsx";
import { FirstSteps } from "./first-steps.tsx";
import { Recent } from "./recent.tsx";
import { Tiles } from "./tiles.tsx";

const DAYS = 30;
type By = "model" | "key";

export default function Overview() {
  const now = useNow();
  const days = lastDays(DAYS, now);
  const daily = useQuery(dailyQuery(rangeOf(days), "model"));
  const recent = useQuery(recentQuery());
  return (
    <Page title="Overview">
      <div className="stack">
        <Tiles daily={daily.data?.data} now={now} />
        {/* Which of the two it is has to be known first: neither may push the other away. */}
        <Loaded query={recent} loading={<RestPlace />}>
          {({ data }) => (
            <>
              {data.length === 0 ? <FirstSteps /> : <Spend days={days} />}
              <section className="card" aria-labelledby="recent">
                <header>
                  <h2 id="recent">Recent requests</h2>
                  <Link href="/usage" className="button compact">
                    All usage
                  </Link>
                </header>
                <Recent rows={data} />
              </section>
            </>
          )}
        </Loaded>
      </div>
    </Page>
  );
}

function Spend({ days }: { days: string[] }) {
  const [by, setBy] = useState<By>("model");
  const daily = useQuery(dailyQuery(rangeOf(days), by));
  const keys = useQuery({ ...keysQuery(), enabled: by === "key" });
  const names = new Map(keys.data?.map(({ id, name }) => [id, name]));
  return (
    <section className="card" aria-labelledby="spend">
      <header>
        <h2 id="spend">Spend, last {DAYS} days</h2>
        <Choices
          label="Group by"
          value={by}
          onChange={setBy}
          options={[
            ["model", "By model"],
            ["key", "By key"],
          ]}
        />
      </header>
      <div className="body">
        <Loaded query={daily} loading={<ChartPlace />}>
          {({ data }) => (
            <SpendChart what="Spend by day" data={chartData(data, days, (group) => names.get(group) ?? group)} />
          )}
        </Loaded>
      </div>
    </section>
  );
}

const rangeOf = (days: string[]) => ({ from: days[0], to: days.at(-1) });

function RestPlace() {
  return (
    <div className="card">
      <div className="body">
        <ChartPlace />
      </div>
    </div>
  );
}
