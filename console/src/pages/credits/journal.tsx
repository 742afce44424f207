import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";
import { journalQuery } from "../../api/queries.ts";
import { showFullTime, showTime } from "../../lib/time.ts";
import { parseUsd } from "../../lib/usd.ts";
import { Badge, type Tone } from "../../ui/badge.tsx";
import { Button } from "../../ui/button.tsx";
import { SelectField } from "../../ui/field.tsx";
import { Usd } from "../../ui/money.tsx";
import { Empty, Failed, SkeletonRows } from "../../ui/states.tsx";

const KINDS: [string, string][] = [
  ["", "Every kind"],
  ["usage", "Requests"],
  ["credit", "Credit"],
  ["grant", "Grants"],
  ["refund", "Refunds"],
  ["dispute", "Disputes"],
  ["adjustment", "Adjustments"],
  ["debt", "Earlier usage"],
];

const TONES: Record<string, Tone> = { credit: "ok", grant: "ok", refund: "warn", dispute: "danger" };

/** Every entry, with the balance behind it: what the account's money rests on. */
export function Journal() {
  const [kind, setKind] = useState("");
  const journal = useInfiniteQuery(journalQuery(kind));
  const rows = journal.data?.pages.flatMap(({ data }) => data) ?? [];
  return (
    <>
      <div className="body kind">
        <SelectField label="Kind" value={kind} onText={setKind} options={KINDS} />
      </div>
      {journal.error && rows.length === 0 ? (
        <Failed error={journal.error} retry={() => void journal.refetch()} />
      ) : !journal.data ? (
        <SkeletonRows />
      ) : rows.length === 0 ? (
        <Empty icon="wallet" title="No entry">
          Every charge and every payment stands here, with the balance behind it.
        </Empty>
      ) : (
        <div className="table-wrap" tabIndex={0} role="region" aria-label="Entries, table">
          <table className="table">
            <thead>
              <tr>
                <th scope="col" className="wide-only">
                  <span>Time</span>
                </th>
                <th scope="col" className="wide-only">
                  <span>Kind</span>
                </th>
                <th scope="col">
                  <span>What</span>
                </th>
                <th scope="col" className="end">
                  <span>Amount</span>
                </th>
                <th scope="col" className="end wide-only">
                  <span>Balance</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <tr key={row.seq}>
                  <td className="nowrap wide-only" title={showFullTime(row.at)}>
                    {showTime(row.at)}
                  </td>
                  <td className="wide-only">
                    <Badge tone={TONES[row.kind]}>{row.kind}</Badge>
                  </td>
                  <td>
                    {row.description}
                    <span className="narrow-only small muted">{showTime(row.at)}</span>
                  </td>
                  <td className={`end ${parseUsd(row.amount_usd) > 0n ? "amount-in" : ""}`}>
                    <Usd amount={row.amount_usd} signed />
                  </td>
                  <td className="end wide-only">
                    <Usd amount={row.balance_after_usd} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {journal.hasNextPage && (
        <div className="body">
          <Button size="wide" busy={journal.isFetchingNextPage} onClick={() => void journal.fetchNextPage()}>
            Show older entries
          </Button>
        </div>
      )}
    </>
  );
}
