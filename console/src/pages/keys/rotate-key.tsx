import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { askJson } from "../../api/client.ts";
import { keysQuery } from "../../api/queries.ts";
import type { Key, NewKey } from "../../api/types.ts";
import { Button } from "../../ui/button.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { SelectField } from "../../ui/field.tsx";
import { messageOf } from "../../ui/states.tsx";

const GRACES: [string, string][] = [
  ["0", "At once"],
  ["3600", "In an hour"],
  ["86400", "In a day"],
  ["604800", "In 7 days"],
];

/** Makes a key with the same limits, and ends the old one after a while. */
export function RotateKey({
  apiKey,
  onClose,
  onMade,
}: {
  apiKey: Key;
  onClose: () => void;
  onMade: (made: NewKey) => void;
}) {
  const queries = useQueryClient();
  const [grace, setGrace] = useState("86400");
  const rotate = useMutation({
    mutationFn: () =>
      askJson<NewKey>(`/console/api/keys/${encodeURIComponent(apiKey.id)}/rotate`, {
        method: "POST",
        body: { grace_seconds: Number(grace) },
      }),
    onSuccess: (made) => {
      void queries.invalidateQueries(keysQuery());
      onMade(made);
    },
  });
  return (
    <Dialog
      title={`Rotate ${apiKey.name}`}
      description="You get a new key with the same name, permissions and limits. The old one goes on for as long as you say, so that nothing stops while you change it."
      open
      narrow
      onClose={onClose}
    >
      <div className="body stack">
        <SelectField label="The old key ends" options={GRACES} value={grace} onText={setGrace} />
        {rotate.error && (
          <p className="notice danger" role="alert">
            {messageOf(rotate.error)}
          </p>
        )}
      </div>
      <footer>
        <Button onClick={onClose}>Cancel</Button>
        <Button look="primary" busy={rotate.isPending} onClick={() => rotate.mutate()}>
          Make the new key
        </Button>
      </footer>
    </Dialog>
  );
}
