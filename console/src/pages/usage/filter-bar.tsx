import { useId, useState } from "react";
import type { DailyRow, Key } from "../../api/types.ts";
import { Button } from "../../ui/button.tsx";
import { Choices, SelectField } from "../../ui/field.tsx";
import { useQuery } from "@tanstack/react-query";
import { modelsQuery } from "../../api/queries.ts";
import { ENDINGS } from "./status.tsx";
import { RANGES, rangeProblem, type Chosen, type Range } from "./filters.ts";

const ENDPOINTS = [
  "/v1/chat/completions",
  "/v1/responses",
  "/v1/messages",
  "/v1/embeddings",
  "/v1/completions",
  "/mcp",
];
const ALL = ["", "All"] as const;

interface Props {
  chosen: Chosen;
  change: (changes: Record<string, string | null>) => void;
  keys: Key[];
  daily: DailyRow[];
}

export function FilterBar({ chosen, change, keys, daily }: Props) {
  const { filters } = chosen;
  const models = useQuery(modelsQuery());
  // What was used stands first; the rest of the catalogue follows.
  const used = chosen.by === "model" ? daily.map(({ group }) => group ?? "").filter(Boolean) : [];
  const known = [
    ...new Set([...used.sort(), ...(filters.model ? [filters.model] : []), ...(models.data ?? []).map(({ id }) => id)]),
  ];
  const setRange = (range: Range) => {
    if (range === "own") change({ days: null, from: chosen.from, to: chosen.to });
    else change({ days: range === "30" ? null : range, from: null, to: null });
  };
  const hasFilters = Boolean(filters.key_id || filters.model || filters.endpoint || filters.status);
  return (
    <div className="stack">
      <div className="range">
        <Choices label="Time" value={chosen.range} onChange={setRange} options={[...RANGES, ["own", "From … to"]]} />
        {chosen.range === "own" && <OwnRange from={chosen.from} to={chosen.to} change={change} />}
        {hasFilters && (
          <Button
            look="quiet"
            size="compact"
            icon="close"
            onClick={() => change({ key_id: null, model: null, endpoint: null, status: null })}
          >
            Clear filters
          </Button>
        )}
      </div>
      <div className="filters">
        <SelectField
          label="Model"
          value={filters.model ?? ""}
          onText={(model) => change({ model })}
          options={[ALL, ...known.map((id) => [id, id] as const)]}
        />
        <SelectField
          label="Key"
          value={filters.key_id ?? ""}
          onText={(key_id) => change({ key_id })}
          options={[ALL, ...keys.map(({ id, name }) => [id, name] as const)]}
        />
        <SelectField
          label="Endpoint"
          value={filters.endpoint ?? ""}
          onText={(endpoint) => change({ endpoint })}
          options={[ALL, ...ENDPOINTS.map((path) => [path, path] as const)]}
        />
        <SelectField
          label="Status"
          value={filters.status ?? ""}
          onText={(status) => change({ status })}
          options={[ALL, ...Object.entries(ENDINGS).map(([status, { label }]) => [status, label] as const)]}
        />
      </div>
    </div>
  );
}

/** The year of a date input is four digits long, or it would wait for six. */
const LAST_DAY = "9999-12-31";

/** Two days, which are asked for as soon as they make a time; until then they are what was typed. */
function OwnRange({ from, to, change }: { from: string; to: string; change: Props["change"] }) {
  const [typed, setTyped] = useState<{ from: string; to: string } | null>(null);
  const id = useId();
  const shown = typed ?? { from, to };
  const problem = rangeProblem(shown.from, shown.to);
  const take = (part: Partial<typeof shown>) => {
    const next = { ...shown, ...part };
    const isWhole = rangeProblem(next.from, next.to) === null;
    setTyped(isWhole ? null : next);
    if (isWhole) change(next);
  };
  const wired = {
    className: "input",
    type: "date",
    max: LAST_DAY,
    "aria-invalid": problem ? true : undefined,
    "aria-describedby": problem ? id : undefined,
  } as const;
  return (
    <>
      <input {...wired} aria-label="From" value={shown.from} onChange={(event) => take({ from: event.target.value })} />
      <input {...wired} aria-label="To" value={shown.to} onChange={(event) => take({ to: event.target.value })} />
      {problem && (
        <span id={id} className="small range-problem" role="status">
          {problem}
        </span>
      )}
    </>
  );
}
