import type { Model } from "../../api/types.ts";
import { showCount, showTokens } from "../../lib/count.ts";
import { parseUsd, showUsd } from "../../lib/usd.ts";
import { Badge } from "../../ui/badge.tsx";
import { CopyButton } from "../../ui/copy.tsx";
import { columnsOf } from "../../ui/table.tsx";
import { capabilityName, CAPABILITIES } from "./capabilities.ts";

const helper = columnsOf<Model>();

type Sorted = { original: Model };
/** Exact, and what has no price comes first. */
const byPrice = (name: Rate) => (a: Sorted, b: Sorted) => {
  const price = ({ original }: Sorted) => parseUsd(original.pricing?.[name] ?? "0");
  const [left, right] = [price(a), price(b)];
  return left === right ? 0 : left < right ? -1 : 1;
};

type Rate = "input" | "cache_read" | "output";

/** A price, and what it becomes for a long input. */
function Price({ model: { pricing }, rate }: { model: Model; rate: Rate }) {
  const [usd, long] = [pricing?.[rate], pricing?.long_input];
  if (!usd) return <span className="muted">—</span>;
  return (
    <span className="two-lines">
      <span className="num nowrap">{showUsd(usd)}</span>
      {long?.[rate] && (
        <span className="num small muted">
          <span className="nowrap">{showUsd(long[rate])}</span> above {showTokens(long.above_input)}
        </span>
      )}
    </span>
  );
}

export const columns = helper.columns([
  helper.accessor((model) => `${model.name} ${model.id} ${model.owned_by}`, {
    id: "name",
    header: "Model",
    sortFn: (a, b) => a.original.name.localeCompare(b.original.name, "en", { numeric: true }),
    cell: ({ row: { original: model } }) => (
      <span className="model-name">
        <strong>{model.name}</strong>
        <span className="model-id small">
          <code>{model.id}</code>
          <CopyButton text={model.id} what={`the id ${model.id}`} />
        </span>
        <span className="narrow-only small muted">{showTokens(model.context_window)} context</span>
      </span>
    ),
  }),
  helper.accessor("owned_by", { header: "Maker", enableGlobalFilter: false, meta: { wideOnly: true } }),
  helper.accessor("context_window", {
    header: "Context",
    enableGlobalFilter: false,
    meta: { end: true, wideOnly: true },
    cell: ({ getValue }) => <span title={`${showCount(getValue())} tokens`}>{showTokens(getValue())}</span>,
  }),
  helper.accessor("max_output_tokens", {
    header: "Output limit",
    enableGlobalFilter: false,
    meta: { end: true, wideOnly: true },
    cell: ({ getValue }) => {
      const limit = getValue();
      return limit ? (
        <span title={`${showCount(limit)} tokens`}>{showTokens(limit)}</span>
      ) : (
        <span className="muted">—</span>
      );
    },
  }),
  helper.accessor((model) => model.pricing?.input, {
    id: "input",
    header: "Input",
    sortFn: byPrice("input"),
    enableGlobalFilter: false,
    meta: { end: true },
    cell: ({ row }) => <Price model={row.original} rate="input" />,
  }),
  helper.accessor((model) => model.pricing?.cache_read, {
    id: "cache_read",
    header: "Cached",
    sortFn: byPrice("cache_read"),
    enableGlobalFilter: false,
    meta: { end: true, wideOnly: true },
    cell: ({ row }) => <Price model={row.original} rate="cache_read" />,
  }),
  helper.accessor((model) => model.pricing?.output, {
    id: "output",
    header: "Output",
    sortFn: byPrice("output"),
    enableGlobalFilter: false,
    meta: { end: true },
    cell: ({ row }) => <Price model={row.original} rate="output" />,
  }),
  helper.display({
    id: "capabilities",
    header: "Capabilities",
    meta: { wideOnly: true },
    cell: ({ row: { original: model } }) => (
      <span className="badges">
        {model.capabilities
          .filter((capability) => capability in CAPABILITIES)
          .map((capability) => (
            <Badge key={capability}>{capabilityName(capability)}</Badge>
          ))}
      </span>
    ),
  }),
]);
