import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { useIsLive } from "../api/live.ts";
import { balanceQuery } from "../api/queries.ts";
import { plural } from "../lib/count.ts";
import { showUsd } from "../lib/usd.ts";
import { Skeleton } from "../ui/states.tsx";

/** What can be spent, as it changes. */
export function SideBalance({ isReady }: { isReady: boolean }) {
  const { data } = useQuery({ ...balanceQuery(), enabled: isReady });
  return (
    <Link href="/credits" className="side-balance">
      <span className="small muted">Available</span>
      <div className="amount num">{data ? showUsd(data.available_usd) : <Skeleton width={90} height={22} />}</div>
      <LiveMark running={data?.running ?? 0} />
    </Link>
  );
}

/** Whether figures are live, and how many requests run. */
export function LiveMark({ running }: { running: number }) {
  const isLive = useIsLive();
  const text = running > 0 ? `${plural(running, "request")} running` : isLive ? "Live" : "Connecting";
  return <span className={`live ${isLive ? "on" : ""}`}>{text}</span>;
}
