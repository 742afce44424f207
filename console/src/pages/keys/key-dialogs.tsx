import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { askJson } from "../../api/client.ts";
import { keysQuery } from "../../api/queries.ts";
import type { Key, Limits, NewKey } from "../../api/types.ts";
import { Button } from "../../ui/button.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { messageOf } from "../../ui/states.tsx";
import { useToast } from "../../ui/toast.tsx";
import { changeOf, EMPTY, formOf, limitsOf, type KeyForm, type Wrong } from "./form.ts";
import { KeyFields } from "./key-fields.tsx";

/** Asks for a new key. */
export function MakeKey({ onClose, onMade }: { onClose: () => void; onMade: (made: NewKey) => void }) {
  const queries = useQueryClient();
  const make = useMutation({
    mutationFn: ({ form, limits }: Checked) =>
      askJson<NewKey>("/console/api/keys", {
        method: "POST",
        body: { name: form.name.trim(), permissions: form.permissions, limits },
      }),
    onSuccess: (made) => {
      void queries.invalidateQueries(keysQuery());
      onMade(made);
    },
  });
  return (
    <KeyDialog
      title="Create a key"
      first={EMPTY}
      action="Create the key"
      busy={make.isPending}
      failure={make.error && messageOf(make.error)}
      onClose={onClose}
      onSubmit={(checked) => make.mutate(checked)}
    />
  );
}

/** Asks for another name and other limits of a key. */
export function EditKey({ apiKey, onClose }: { apiKey: Key; onClose: () => void }) {
  const queries = useQueryClient();
  const say = useToast();
  // As the key was when the form was opened: what is not changed there is not sent.
  const [first] = useState(() => formOf(apiKey));
  const change = useMutation({
    mutationFn: ({ form, limits }: Checked) =>
      askJson<Key>(`/console/api/keys/${encodeURIComponent(apiKey.id)}`, {
        method: "PATCH",
        body: { name: form.name.trim(), limits: changeOf(first, form, limits) },
      }),
    onSuccess: () => {
      void queries.invalidateQueries(keysQuery());
      say("The key is changed. It holds from the next request on.");
      onClose();
    },
  });
  return (
    <KeyDialog
      title={`Change ${apiKey.name}`}
      first={first}
      action="Save"
      busy={change.isPending}
      failure={change.error && messageOf(change.error)}
      onClose={onClose}
      onSubmit={(checked) => change.mutate(checked)}
      isEdit
    />
  );
}

interface Checked {
  form: KeyForm;
  limits: Limits;
}

interface Props {
  title: string;
  first: KeyForm;
  action: string;
  busy: boolean;
  failure: string | null;
  isEdit?: boolean;
  onClose: () => void;
  onSubmit: (checked: Checked) => void;
}

function KeyDialog({ title, first, action, busy, failure, isEdit = false, onClose, onSubmit }: Props) {
  const [form, setForm] = useState(first);
  const [wrong, setWrong] = useState<Wrong>({});
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const result = limitsOf(form, Date.now());
    setWrong("wrong" in result ? result.wrong : {});
    if ("limits" in result) onSubmit({ form, limits: result.limits });
  };
  return (
    <Dialog title={title} open onClose={onClose}>
      <form onSubmit={submit} noValidate>
        <div className="body stack">
          <KeyFields
            form={form}
            wrong={wrong}
            isEdit={isEdit}
            change={(part) => setForm((before) => ({ ...before, ...part }))}
          />
          {failure && (
            <p className="notice danger" role="alert">
              {failure}
            </p>
          )}
        </div>
        <footer>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary" busy={busy}>
            {action}
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}
