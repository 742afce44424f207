import type { DailyRow, Key } from "../../api/types.ts";
import { Button } from "../../ui/button.tsx";
import { Choices, SelectField } from "../../ui/field.tsx";
import { useQuery } from "@tanstack/react-query";
import { modelsQuery } from "../../api/queries.ts";
import { ENDINGS } from "./status.tsx";
import { RANGES, type Chosen, type Range } from "./filters.ts";

const ENDPOINTS = ["/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/embeddings", "/v1/completions"];
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
  const known = [...new Set([...used.sort(), ...(filters.model ? [filters.model] : []), ...(models.data ?? []).map(({ id }) => id)])];
  const setRange = (range: Range) => {
    if (range === "own") change({ days: null, from: chosen.from, to: chosen.to });
    else change({ days: range === "30" ? null : range, from: null, to: null });
  };
  const hasFilters = Boolean(filters.key_id || filters.model || filters.endpoint || filters.status);
  return (
    <div className="stack">
      <div className="range">
        <Choices label="Time" value={chosen.range} onChange={setRange} options={[...RANGES, ["own", "From … to"]]} />
        {chosen.range === "own" && (
          <>
            <input className="input" type="date" aria-label="From" max={chosen.to} value={chosen.from} onChange={(event) => change({ from: event.target.value, to: chosen.to })} />
            <input className="input" type="date" aria-label="To" min={chosen.from} value={chosen.to} onChange={(event) => change({ from: chosen.from, to: event.target.value })} />
          </>
        )}
        {hasFilters && (
          <Button look="quiet" size="compact" icon="close" onClick={() => change({ key_id: null, model: null, endpoint: null, status: null })}>
            Clear filters
          </Button>
        )}
      </div>
      <div className="filters">
        <SelectField label="Model" value={filters.model ?? ""} onText={(model) => change({ model })} options={[ALL, ...known.map((id) => [id, id] as const)]} />
        <SelectField label="Key" value={filters.key_id ?? ""} onText={(key_id) => change({ key_id })} options={[ALL, ...keys.map(({ id, name }) => [id, name] as const)]} />
        <SelectField label="Endpoint" value={filters.endpoint ?? ""} onText={(endpoint) => change({ endpoint })} options={[ALL, ...ENDPOINTS.map((path) => [path, path] as const)]} />
        <SelectField label="Status" value={filters.status ?? ""} onText={(status) => change({ status })} options={[ALL, ...Object.entries(ENDINGS).map(([status, { label }]) => [status, label] as const)]} />
      </div>
    </div>
  );
}
