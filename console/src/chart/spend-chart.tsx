import "./chart.css";
import { lazy, Suspense } from "react";
import { plural, showCount } from "../lib/count.ts";
import { showDay } from "../lib/time.ts";
import { showUsd } from "../lib/usd.ts";
import { Empty, Skeleton } from "../ui/states.tsx";
import type { ChartData } from "./series.ts";

/** The place of a chart, as high as it is with its legend and its table closed. */
export function ChartPlace() {
  return (
    <div role="status" aria-label="Loading" className="stack">
      <Skeleton height={240} />
      <Skeleton height={40} width="50%" />
    </div>
  );
}

const Bars = lazy(() => import("./bars.tsx"));

/** Spend by day, stacked; with a legend, and with the same figures as a table for whoever does not see bars. */
export function SpendChart({ data, what }: { data: ChartData; what: string }) {
  if (data.requests === 0) {
    return (
      <Empty icon="chart" title="Nothing was spent in this time">
        Each request shows here as soon as it has ended, at what it did cost.
      </Empty>
    );
  }
  return (
    <div>
      <figure
        className="chart"
        aria-label={`${what}: ${showUsd(data.total)} in ${plural(data.requests, "request")}. The figures follow as a table.`}
      >
        <Suspense fallback={<Skeleton height={240} />}>
          <Bars data={data} />
        </Suspense>
      </figure>
      <ul className="chart-legend">
        {data.series.map(({ id, name, total }, index) => (
          <li key={id ?? "rest"}>
            <i className={`swatch s${index + 1}`} aria-hidden="true" />
            {name} <span className="num muted">{showUsd(total)}</span>
          </li>
        ))}
      </ul>
      <details className="figures">
        <summary>The figures</summary>
        <div className="table-wrap" tabIndex={0} role="region" aria-label={`${what} as a table`}>
          <table className="table">
            <thead>
              <tr>
                <th scope="col">
                  <span>Day (UTC)</span>
                </th>
                <th scope="col" className="end">
                  <span>Requests</span>
                </th>
                <th scope="col" className="end">
                  <span>Total</span>
                </th>
                {data.series.map(({ id, name }) => (
                  <th key={id ?? "rest"} scope="col" className="end">
                    <span>{name}</span>
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {data.days
                .filter((day) => day.requests > 0)
                .map((day) => (
                  <tr key={day.day}>
                    <td>{showDay(day.day)}</td>
                    <td className="end">{showCount(day.requests)}</td>
                    <td className="end">
                      <strong>{showUsd(day.total)}</strong>
                    </td>
                    {day.exact.map((cost, index) => (
                      <td key={index} className="end">
                        {showUsd(cost)}
                      </td>
                    ))}
                  </tr>
                ))}
            </tbody>
          </table>
        </div>
      </details>
    </div>
  );
}
