import * as Menu from "@radix-ui/react-dropdown-menu";
import type { Key } from "../../api/types.ts";
import { showAgo, showDate, showFullTime } from "../../lib/time.ts";
import { showUsd } from "../../lib/usd.ts";
import { Badge } from "../../ui/badge.tsx";
import { Button } from "../../ui/button.tsx";
import { Icon } from "../../ui/icon.tsx";
import { columnsOf } from "../../ui/table.tsx";
import { endOf, hasExpired, isEnded, shownStart, spentPercent } from "./state.ts";
import { summary } from "./summary.ts";

export type KeyAction = "edit" | "rotate" | "revoke";

const helper = columnsOf<Key>();
/** From here on a meter warns. */
const HIGH_PERCENT = 90;

/** `nameOf` says a key of the list by its id, for the one that replaces another. */
export const columns = (now: number, act: (what: KeyAction, key: Key) => void, nameOf: (id: string) => string) =>
  helper.columns([
    helper.accessor("name", {
      header: "Name",
      cell: ({ row: { original: key } }) => (
        <span className="key-name">
          <strong>{key.name}</strong>
          <span className="mono muted small">{shownStart(key)}</span>
          <span className="narrow-only">
            <State apiKey={key} now={now} nameOf={nameOf} />
          </span>
        </span>
      ),
    }),
    helper.accessor("revoked_at", {
      id: "state",
      header: "State",
      enableSorting: false,
      meta: { wideOnly: true },
      cell: ({ row: { original: key } }) => <State apiKey={key} now={now} nameOf={nameOf} />,
    }),
    helper.accessor("spent_usd", {
      header: "Spent",
      enableSorting: false,
      cell: ({ row: { original: key } }) => <Spent apiKey={key} />,
    }),
    helper.accessor((key) => (key.replaced_by ? "Those of the key that replaces it" : summary(key).join(" · ")), {
      id: "limits",
      header: "Limits",
      enableSorting: false,
      meta: { wideOnly: true },
      cell: ({ getValue }) => <span className="muted small">{getValue() || "None"}</span>,
    }),
    helper.accessor((key) => key.last_used_at ?? "", {
      id: "last_used_at",
      header: "Last used",
      meta: { wideOnly: true },
      cell: ({ getValue }) =>
        getValue() ? (
          <span className="nowrap" title={showFullTime(getValue())}>
            {showAgo(getValue(), now)}
          </span>
        ) : (
          <span className="muted">Never</span>
        ),
    }),
    helper.accessor("created_at", {
      header: "Created",
      meta: { wideOnly: true },
      cell: ({ getValue }) => (
        <span className="nowrap" title={showFullTime(getValue())}>
          {showDate(getValue())}
        </span>
      ),
    }),
    helper.display({
      id: "actions",
      header: () => <span className="hidden-visually">Actions</span>,
      meta: { end: true },
      cell: ({ row: { original: key } }) => (isEnded(key, now) ? null : <Actions apiKey={key} act={act} />),
    }),
  ]);

interface StateProps {
  apiKey: Key;
  now: number;
  nameOf: (id: string) => string;
}

function State({ apiKey, now, nameOf }: StateProps) {
  if (apiKey.revoked_at) return <Badge tone="danger">Revoked</Badge>;
  if (hasExpired(apiKey, now)) return <Badge tone="danger">Expired</Badge>;
  if (apiKey.replaced_by)
    return <Replaced by={nameOf(apiKey.replaced_by)} endsAt={apiKey.limits.expires_at} now={now} />;
  if (apiKey.running > 0) return <Badge tone="accent">{apiKey.running} running</Badge>;
  const { expires_at } = apiKey.limits;
  if (!expires_at) return <Badge tone="ok">Active</Badge>;
  const { said, isNear } = endOf(expires_at, now);
  return (
    <span title={showFullTime(expires_at)}>
      <Badge tone={isNear ? "warn" : "ok"}>Ends {said}</Badge>
    </span>
  );
}

/** A key that was rotated goes on for a while, under the limits of the one in its place. */
function Replaced({ by, endsAt, now }: { by: string; endsAt: string | null | undefined; now: number }) {
  return (
    <span className="two-lines" title={endsAt ? showFullTime(endsAt) : undefined}>
      <span>
        <Badge tone="warn">{endsAt ? `Replaced, ends ${showAgo(endsAt, now)}` : "Replaced"}</Badge>
      </span>
      <span className="muted small">
        by <span className="mono">{by}</span>
      </span>
    </span>
  );
}

const PERIODS = { daily: "today", weekly: "this week", monthly: "this month", total: "in all" } as const;

function Spent({ apiKey: { limits, spent_usd, name, replaced_by } }: { apiKey: Key }) {
  const { budget } = limits;
  // What it spends counts for the key in its place, where it is shown.
  if (replaced_by) return <span className="muted small">Counted in the new key</span>;
  if (!budget) return <span className="num">{showUsd(spent_usd)}</span>;
  const percent = spentPercent(spent_usd, budget.usd);
  return (
    <span className="small">
      <span className="num">{showUsd(spent_usd)}</span>{" "}
      <span className="muted key-budget">
        of {showUsd(budget.usd)} {PERIODS[budget.period]}
      </span>
      <span
        className={`meter ${percent >= HIGH_PERCENT ? "high" : ""}`}
        role="meter"
        aria-label={`Budget of ${name}`}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={percent}
      >
        <span style={{ width: `${percent}%` }} />
      </span>
    </span>
  );
}

function Actions({ apiKey, act }: { apiKey: Key; act: (what: KeyAction, key: Key) => void }) {
  return (
    <Menu.Root modal={false}>
      <Menu.Trigger asChild>
        <Button look="quiet" size="compact" icon="more" aria-label={`Actions for ${apiKey.name}`} />
      </Menu.Trigger>
      <Menu.Content className="menu" align="end" sideOffset={4}>
        {!apiKey.replaced_by && (
          <>
            <Menu.Item onSelect={() => act("edit", apiKey)}>
              <Icon name="edit" /> Name and limits
            </Menu.Item>
            <Menu.Item onSelect={() => act("rotate", apiKey)}>
              <Icon name="refresh" /> Rotate
            </Menu.Item>
            <Menu.Separator className="separator" />
          </>
        )}
        <Menu.Item className="danger" onSelect={() => act("revoke", apiKey)}>
          <Icon name="trash" /> Revoke
        </Menu.Item>
      </Menu.Content>
    </Menu.Root>
  );
}
