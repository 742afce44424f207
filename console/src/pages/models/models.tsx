// Everything that can be asked for, and what it costs. Public.
import "./models.css";
import { useQuery } from "@tanstack/react-query";
import { useDeferredValue, useMemo } from "react";
import { useSearchParams } from "wouter";
import { modelsQuery } from "../../api/queries.ts";
import { plural } from "../../lib/count.ts";
import { Page } from "../../shell/page.tsx";
import { Button } from "../../ui/button.tsx";
import { SelectField, TextField } from "../../ui/field.tsx";
import { Empty, Loaded, SkeletonRows } from "../../ui/states.tsx";
import { DataTable } from "../../ui/table.tsx";
import { capabilityName, CAPABILITIES } from "./capabilities.ts";
import { columns } from "./columns.tsx";

export default function Models() {
  const models = useQuery(modelsQuery());
  const [params, setParams] = useSearchParams();
  const search = params.get("q") ?? "";
  const maker = params.get("maker") ?? "";
  const wanted = useMemo(() => new Set(params.getAll("can")), [params]);
  const deferred = useDeferredValue(search);
  const shown = useMemo(
    () =>
      models.data?.filter(
        ({ owned_by, capabilities }) =>
          (maker === "" || owned_by === maker) && [...wanted].every((capability) => capabilities.includes(capability)),
      ) ?? [],
    [models.data, maker, wanted],
  );
  const set = (name: string, value: string) =>
    setParams(
      (before) => {
        const next = new URLSearchParams(before);
        if (value === "") next.delete(name);
        else next.set(name, value);
        return next;
      },
      { replace: true },
    );
  const toggle = (capability: string) =>
    setParams(
      (before) => {
        const next = new URLSearchParams(before);
        if (wanted.has(capability)) next.delete("can", capability);
        else next.append("can", capability);
        return next;
      },
      { replace: true },
    );
  const makers = [...new Set(models.data?.map(({ owned_by }) => owned_by))].sort();
  return (
    <Page
      title="Models"
      description="Prices are USD for a million tokens. Each model that writes answers at every endpoint but embeddings, whoever serves it; models for embeddings answer there alone."
    >
      <div className="stack">
        <div className="stack">
          <div className="model-filters">
            <TextField
              label="Search"
              type="search"
              placeholder="Name, id or maker"
              value={search}
              onText={(text) => set("q", text)}
            />
            <SelectField
              label="Maker"
              value={maker}
              onText={(text) => set("maker", text)}
              options={[["", "All makers"], ...makers.map((name) => [name, name] as const)]}
            />
          </div>
          <div className="chips" role="group" aria-label="Capabilities">
            {Object.keys(CAPABILITIES).map((capability) => (
              <button
                key={capability}
                type="button"
                className="chip"
                aria-pressed={wanted.has(capability)}
                onClick={() => toggle(capability)}
              >
                {capabilityName(capability)}
              </button>
            ))}
          </div>
        </div>
        <section className="card" aria-labelledby="count">
          <header>
            <h2 id="count" className="num">
              {models.data ? plural(shown.length, "model") : "Models"}
            </h2>
          </header>
          <Loaded query={models} loading={<SkeletonRows rows={14} height={34} />}>
            {() => (
              <DataTable
                label="Models"
                columns={columns}
                data={shown}
                rowId={(model) => model.id}
                search={deferred}
                sort={[{ id: "name", desc: false }]}
                empty={
                  <Empty
                    icon="search"
                    title="No model fits"
                    action={<Button onClick={() => setParams({}, { replace: true })}>Show all models</Button>}
                  >
                    Take a shorter word, or fewer capabilities.
                  </Empty>
                }
              />
            )}
          </Loaded>
        </section>
      </div>
    </Page>
  );
}
