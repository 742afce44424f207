import type { ReactNode } from "react";
import type { UsageRow } from "../../api/types.ts";
import { showCount } from "../../lib/count.ts";
import { showFullTime } from "../../lib/time.ts";
import { parseUsd, showUsd } from "../../lib/usd.ts";
import { CopyButton } from "../../ui/copy.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { keyName } from "./key-name.ts";
import { endingOf, Status } from "./status.tsx";

const SETTLED_BY: Record<NonNullable<UsageRow["settled_by"]>, string> = {
  upstream: "The provider's own usage",
  estimate: "An estimate of what was produced, since the provider did not say",
  checkpoint: "The last checkpoint, since nothing more was heard",
  corrected: "An estimate of what was produced, since the provider's usage was not possible",
};

/** Everything that is known of one request. */
export function RequestDialog({ row, onClose }: { row: UsageRow; onClose: () => void }) {
  const seconds = (new Date(row.settled_at).getTime() - new Date(row.created_at).getTime()) / 1000;
  const counts: [string, number][] = [
    ["Input", row.input_tokens],
    ["Read from the cache", row.cache_read_tokens],
    ["Written to the cache, 5 minutes", row.cache_write_5m_tokens],
    ["Written to the cache, 1 hour", row.cache_write_1h_tokens],
    ["Output", row.output_tokens],
    ["of which reasoning", row.reasoning_tokens],
    ["Web searches", row.web_searches],
  ];
  return (
    <Dialog title="Request" description={endingOf(row.status).meaning} open onClose={onClose}>
      <div className="body">
        <dl className="facts">
          <Fact name="Id">
            <code>{row.request_id}</code> <CopyButton text={row.request_id} what="the request id" />
          </Fact>
          <Fact name="Cost">
            <strong className="num">{showUsd(row.cost_usd)}</strong>
          </Fact>
          {parseUsd(row.uncollected_usd) > 0n && (
            <Fact name="Not collected">{showUsd(row.uncollected_usd)}, beyond the balance</Fact>
          )}
          {row.kind !== "usage" && <Fact name="Entry">{row.kind}: more than its hold covered</Fact>}
          <Fact name="Status">
            <Status row={row} />
          </Fact>
          {row.settled_by && <Fact name="Charged by">{SETTLED_BY[row.settled_by]}</Fact>}
          <Fact name="Model">
            <code>{row.model}</code>
          </Fact>
          <Fact name="Endpoint">
            <code>{row.endpoint}</code>
          </Fact>
          <Fact name="Key">{keyName(row)}</Fact>
          <Fact name="Began">{showFullTime(row.created_at)}</Fact>
          <Fact name="Settled">
            {showFullTime(row.settled_at)}, after {seconds.toFixed(1)} s
          </Fact>
          {counts
            .filter(([name, count]) => count > 0 || name === "Input" || name === "Output")
            .map(([name, count]) => (
              <Fact key={name} name={name}>
                <span className="num">
                  {showCount(count)}
                  {name === "Web searches" ? "" : " tokens"}
                </span>
              </Fact>
            ))}
        </dl>
      </div>
    </Dialog>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}
