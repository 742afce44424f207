// The keys of the account: make, limit, rotate and end them.
import "./keys.css";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { useSearchParams } from "wouter";
import { keysQuery } from "../../api/queries.ts";
import type { Key, NewKey } from "../../api/types.ts";
import { useNow } from "../../lib/use-now.ts";
import { Page } from "../../shell/page.tsx";
import { Button } from "../../ui/button.tsx";
import { Choices } from "../../ui/field.tsx";
import { Empty, Loaded } from "../../ui/states.tsx";
import { DataTable } from "../../ui/table.tsx";
import { columns, type KeyAction } from "./columns.tsx";
import { EditKey, MakeKey } from "./key-dialogs.tsx";
import { MadeKey } from "./made-key.tsx";
import { RevokeKey } from "./revoke-key.tsx";
import { RotateKey } from "./rotate-key.tsx";
import { endingWith, isEnded, shownStart } from "./state.ts";

type Open = { what: KeyAction; key: Key } | { what: "make" } | null;

export default function Keys() {
  const now = useNow();
  const keys = useQuery(keysQuery());
  const [params, setParams] = useSearchParams();
  const [open, setOpen] = useState<Open>(() => (params.has("new") ? { what: "make" } : null));
  const [made, setMade] = useState<NewKey | null>(null);
  const [show, setShow] = useState<"active" | "all">("active");
  const tableColumns = useMemo(() => {
    const starts = new Map(keys.data?.map((key) => [key.id, shownStart(key)]));
    return columns(
      now,
      (what, key) => setOpen({ what, key }),
      (id) => starts.get(id) ?? id,
    );
  }, [now, keys.data]);
  const close = () => {
    setOpen(null);
    if (params.has("new")) setParams({}, { replace: true });
  };
  const onMade = (key: NewKey) => {
    close();
    setMade(key);
  };
  const makeButton = (
    <Button look="primary" icon="plus" onClick={() => setOpen({ what: "make" })}>
      Create a key
    </Button>
  );
  return (
    <Page
      title="API keys"
      description="A key opens your account to whoever has it. Give each program its own, with limits."
      actions={makeButton}
    >
      <section className="card" aria-label="API keys">
        <Loaded query={keys}>
          {(all) => {
            const living = all.filter((key) => !isEnded(key, now));
            const shown = show === "active" ? living : all;
            return (
              <>
                <header>
                  <h2>{show === "active" ? "Active keys" : "All keys"}</h2>
                  <Choices
                    label="Which keys"
                    value={show}
                    onChange={setShow}
                    options={[
                      ["active", `Active (${living.length})`],
                      ["all", `All (${all.length})`],
                    ]}
                  />
                </header>
                <DataTable
                  label="API keys"
                  columns={tableColumns}
                  data={shown}
                  rowId={(key) => key.id}
                  sort={[{ id: "created_at", desc: true }]}
                  empty={
                    <Empty icon="key" title={all.length === 0 ? "No key yet" : "No active key"} action={makeButton}>
                      Programs show a key to spend from your balance. It is shown once, when you create it.
                    </Empty>
                  }
                />
              </>
            );
          }}
        </Loaded>
      </section>
      {open?.what === "make" && <MakeKey onClose={close} onMade={onMade} />}
      {open?.what === "edit" && <EditKey apiKey={open.key} onClose={close} />}
      {open?.what === "rotate" && <RotateKey apiKey={open.key} onClose={close} onMade={onMade} />}
      {open?.what === "revoke" && (
        <RevokeKey apiKey={open.key} ending={endingWith(keys.data ?? [], open.key, now)} onClose={close} />
      )}
      {made && <MadeKey made={made} onClose={() => setMade(null)} />}
    </Page>
  );
}
