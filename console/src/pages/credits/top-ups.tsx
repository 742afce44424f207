import { useInfiniteQuery } from "@tanstack/react-query";
import { topUpPagesQuery } from "../../api/queries.ts";
import type { TopUp } from "../../api/types.ts";
import { showFullTime, showTime } from "../../lib/time.ts";
import { Badge, type Tone } from "../../ui/badge.tsx";
import { Button } from "../../ui/button.tsx";
import { Usd } from "../../ui/money.tsx";
import { Empty, Failed, SkeletonRows } from "../../ui/states.tsx";

const STATUSES: Record<TopUp["status"], [string, Tone | undefined]> = {
  pending: ["Not paid yet", undefined],
  paid: ["Paid", "ok"],
  failed: ["Failed", "danger"],
  expired: ["Expired", undefined],
  refunded: ["Refunded", undefined],
  partially_refunded: ["Partly refunded", undefined],
  disputed: ["Disputed", "danger"],
};

/** Every payment, with its receipt. */
export function TopUps() {
  const topUps = useInfiniteQuery(topUpPagesQuery());
  const rows = topUps.data?.pages.flatMap(({ data }) => data) ?? [];
  if (topUps.error && rows.length === 0) return <Failed error={topUps.error} retry={() => void topUps.refetch()} />;
  if (!topUps.data) return <SkeletonRows />;
  if (rows.length === 0) {
    return (
      <Empty icon="wallet" title="No top-up yet">
        Your payments and receipts will appear here.
      </Empty>
    );
  }
  return (
    <>
      <div className="table-wrap" tabIndex={0} role="region" aria-label="Top-ups, table">
        <table className="table">
          <thead>
            <tr>
              <th scope="col">
                <span>Time</span>
              </th>
              <th scope="col" className="wide-only">
                <span>Kind</span>
              </th>
              <th scope="col" className="wide-only">
                <span>Status</span>
              </th>
              <th scope="col">
                <span>Receipt</span>
              </th>
              <th scope="col" className="end">
                <span>Amount</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map((topUp) => {
              const [label, tone] = STATUSES[topUp.status] ?? [topUp.status, undefined];
              return (
                <tr key={topUp.id}>
                  <td className="nowrap" title={showFullTime(topUp.at)}>
                    {showTime(topUp.at)}
                    <span className="narrow-only">
                      <Badge tone={tone}>{label}</Badge>
                    </span>
                  </td>
                  <td className="wide-only">{topUp.kind === "auto" ? "Automatic" : "By you"}</td>
                  <td className="wide-only">
                    <Badge tone={tone}>{label}</Badge>
                  </td>
                  <td>
                    {topUp.receipt_url && /^https?:/.test(topUp.receipt_url) ? (
                      <a href={topUp.receipt_url} target="_blank" rel="noreferrer">
                        Receipt<span className="hidden-visually"> of {showTime(topUp.at)}, in a new tab</span>
                      </a>
                    ) : (
                      <span className="muted">—</span>
                    )}
                  </td>
                  <td className="end">
                    <Usd amount={topUp.amount_usd} />
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
      {topUps.hasNextPage && (
        <div className="body">
          <Button size="wide" busy={topUps.isFetchingNextPage} onClick={() => void topUps.fetchNextPage()}>
            Show older top-ups
          </Button>
        </div>
      )}
    </>
  );
}
