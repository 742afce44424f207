import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { askJson } from "../../api/client.ts";
import { keysQuery } from "../../api/queries.ts";
import type { NewKey } from "../../api/types.ts";
import { Button } from "../../ui/button.tsx";
import { TextField } from "../../ui/field.tsx";
import { messageOf } from "../../ui/states.tsx";
import { useToast } from "../../ui/toast.tsx";
import { holdKey, useHeldKey } from "./held-key.ts";
import { HOUR_KEY, hourKeyOf, shownKey } from "./hour-key.ts";

/** Brings a key into memory: pasted, or made for an hour with a budget. */
export function KeyPanel() {
  const held = useHeldKey();
  const queries = useQueryClient();
  const say = useToast();
  const [pasted, setPasted] = useState("");
  const [wrong, setWrong] = useState<string | null>(null);
  const make = useMutation({
    mutationFn: () =>
      askJson<NewKey>("/console/api/keys", {
        method: "POST",
        body: {
          name: HOUR_KEY.name,
          permissions: ["inference"],
          limits: {
            budget: { usd: HOUR_KEY.budgetUsd, period: "total" },
            expires_at: new Date(Date.now() + HOUR_KEY.lifeMs).toISOString(),
          },
        },
      }),
    onSuccess: ({ key }) => {
      void queries.invalidateQueries(keysQuery());
      holdKey(key);
    },
  });
  const forget = useMutation({
    mutationFn: async (key: string) => {
      const made = hourKeyOf(await queries.fetchQuery({ ...keysQuery(), staleTime: 0 }), key, Date.now());
      if (made) await askJson(`/console/api/keys/${encodeURIComponent(made.id)}`, { method: "DELETE" });
    },
    onError: (error) =>
      say(`The key is forgotten, but whether it has ended is not known: ${messageOf(error)}`, "danger"),
    // Whatever came of it, the page has it no longer.
    onSettled: () => {
      holdKey(null);
      void queries.invalidateQueries(keysQuery());
    },
  });
  const take = (event: FormEvent) => {
    event.preventDefault();
    const key = pasted.trim();
    const isKey = /^oi_\S+$/.test(key);
    setWrong(isKey ? null : "A key begins with oi_.");
    if (!isKey) return;
    setPasted("");
    holdKey(key);
  };
  return (
    <section className="card" aria-label="Key">
      <div className="body stack">
        {held === null ? (
          <>
            <form className="stack" onSubmit={take} noValidate>
              <TextField
                label="API key"
                type="password"
                autoComplete="off"
                spellCheck={false}
                placeholder="oi_…"
                value={pasted}
                wrong={wrong}
                hint="Held in this page's memory, and gone with it."
                onText={setPasted}
              />
              <Button type="submit">Use this key</Button>
            </form>
            <Button look="primary" busy={make.isPending} onClick={() => make.mutate()}>
              Make a key for an hour, of ${HOUR_KEY.budgetUsd}
            </Button>
            {make.error && (
              <p className="notice danger" role="alert">
                {messageOf(make.error)}
              </p>
            )}
          </>
        ) : (
          <>
            <div>
              <h3>API key</h3>
              <p className="mono muted breaks">{shownKey(held)}</p>
            </div>
            <p className="small muted">
              In this page's memory alone. One that was made here for an hour ends when it is forgotten.
            </p>
            <Button busy={forget.isPending} onClick={() => forget.mutate(held)}>
              Forget it
            </Button>
          </>
        )}
      </div>
    </section>
  );
}
