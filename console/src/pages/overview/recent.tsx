import { Link } from "wouter";
import type { UsageRow } from "../../api/types.ts";
import { showCount } from "../../lib/count.ts";
import { showFullTime, showTime } from "../../lib/time.ts";
import { Usd } from "../../ui/money.tsx";
import { Empty } from "../../ui/states.tsx";
import { keyName } from "../usage/key-name.ts";
import { Status } from "../usage/status.tsx";
import { inputTokens } from "../usage/tokens.ts";

/** The last requests, as they settle. */
export function Recent({ rows }: { rows: UsageRow[] }) {
  if (rows.length === 0) {
    return (
      <Empty
        icon="send"
        title="No requests yet"
        action={
          <Link href="/docs" className="button">
            Quick start
          </Link>
        }
      >
        The first one appears here by itself, a moment after it has ended.
      </Empty>
    );
  }
  return (
    <div className="table-wrap" tabIndex={0} role="region" aria-label="Recent requests, table">
      <table className="table">
        <thead>
          <tr>
            <th scope="col" className="wide-only">
              <span>Time</span>
            </th>
            <th scope="col">
              <span>Model</span>
            </th>
            <th scope="col" className="wide-only">
              <span>Key</span>
            </th>
            <th scope="col" className="wide-only">
              <span>Status</span>
            </th>
            <th scope="col" className="end wide-only">
              <span>Tokens in → out</span>
            </th>
            <th scope="col" className="end">
              <span>Cost</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.seq}>
              <td className="nowrap muted wide-only" title={showFullTime(row.created_at)}>
                {showTime(row.created_at)}
              </td>
              <td>
                <span className="two-lines">
                  <span className="model-cell">{row.model}</span>
                  <span className="narrow-only small muted">{showTime(row.created_at)}</span>
                </span>
              </td>
              <td className="wide-only">{keyName(row)}</td>
              <td className="wide-only">
                <Status row={row} />
              </td>
              <td className="end nowrap wide-only">
                {showCount(inputTokens(row))} → {showCount(row.output_tokens)}
              </td>
              <td className="end">
                <Usd amount={row.cost_usd} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
