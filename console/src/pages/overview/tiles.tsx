import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Link } from "wouter";
import { balanceQuery } from "../../api/queries.ts";
import type { Balance, DailyRow } from "../../api/types.ts";
import { BURN_DAYS, burn } from "../../lib/burn.ts";
import { plural } from "../../lib/count.ts";
import { parseUsd, showUsd, sumUsd } from "../../lib/usd.ts";
import { LiveMark } from "../../shell/side-balance.tsx";
import { Failed, Skeleton } from "../../ui/states.tsx";

/** Balance, pace and the sum of the days that the chart shows. */
export function Tiles({ daily, now }: { daily: DailyRow[] | undefined; now: number }) {
  const balance = useQuery(balanceQuery());
  if (balance.error && !balance.data)
    return (
      <div className="card">
        <Failed error={balance.error} retry={() => void balance.refetch()} />
      </div>
    );
  const pace = daily && balance.data ? burn(daily, balance.data.available_usd, now) : null;
  const requests = daily?.reduce((sum, row) => sum + row.requests, 0);
  return (
    <div className="tiles">
      <Tile
        title="Balance"
        mark={<LiveMark running={balance.data?.running ?? 0} />}
        figure={balance.data && showUsd(balance.data.balance_usd)}
      >
        {balance.data && <BalanceFoot balance={balance.data} />}
      </Tile>
      <Tile title="Lasts" figure={pace && lasts(pace.daysLeft)}>
        {pace && (
          <span>
            {pace.perDay > 0n
              ? `at ${showUsd(pace.perDay)} a day, the pace of ${BURN_DAYS} days`
              : `Nothing was spent in the last ${BURN_DAYS} days`}
          </span>
        )}
      </Tile>
      <Tile title="Spent in 30 days" figure={daily && showUsd(sumUsd(daily.map((row) => row.cost_usd)))}>
        {requests !== undefined && <span>{plural(requests, "request")}</span>}
      </Tile>
    </div>
  );
}

interface TileProps {
  title: string;
  mark?: ReactNode;
  figure: ReactNode;
  children: ReactNode;
}

function Tile({ title, mark, figure, children }: TileProps) {
  return (
    <section className="card tile" aria-label={title}>
      <div className="head">
        <h2 className="small muted">{title}</h2>
        {mark}
      </div>
      <div className="figure num">{figure ?? <Skeleton width={120} height={30} />}</div>
      <div className="foot">{children}</div>
    </section>
  );
}

function BalanceFoot({ balance }: { balance: Balance }) {
  const held = parseUsd(balance.held_usd) > 0n;
  const owed = parseUsd(balance.uncollected_usd) > 0n;
  return (
    <>
      <span>
        {held
          ? `${showUsd(balance.held_usd)} held, ${showUsd(balance.available_usd)} available`
          : "All of it is available"}
        {owed && `; ${showUsd(balance.uncollected_usd)} could not be collected`}
      </span>
      <Link href="/credits" className="button compact">
        Add credit
      </Link>
    </>
  );
}

function lasts(daysLeft: bigint | null): string {
  if (daysLeft === null) return "—";
  if (daysLeft === 0n) return "Under a day";
  return daysLeft > 999n ? "Over 999 days" : `${daysLeft} ${daysLeft === 1n ? "day" : "days"}`;
}
