import { useMutation, useQueryClient } from "@tanstack/react-query";
import { askJson } from "../../api/client.ts";
import { keysQuery } from "../../api/queries.ts";
import type { Key } from "../../api/types.ts";
import { Confirm } from "../../ui/dialog.tsx";
import { messageOf } from "../../ui/states.tsx";
import { useToast } from "../../ui/toast.tsx";
import { shownStart } from "./state.ts";

const CONSEQUENCES =
  "From this moment on every request with it is refused, and with the keys that it made. What runs ends as it is. A revoked key cannot be brought back.";

/** Asks whether a key shall end for good. `replaced`: the keys in whose place it is and that would end with it. */
export function RevokeKey({ apiKey, replaced, onClose }: { apiKey: Key; replaced: Key[]; onClose: () => void }) {
  const queries = useQueryClient();
  const say = useToast();
  const revoke = useMutation({
    mutationFn: () => askJson<{ revoked: string[] }>(`/console/api/keys/${encodeURIComponent(apiKey.id)}`, { method: "DELETE" }),
    onSuccess: (answer) => {
      void queries.invalidateQueries(keysQuery());
      const count = answer?.revoked.length ?? 1;
      say(count > 1 ? `${apiKey.name} has ended, and ${count - 1} that it made.` : `${apiKey.name} has ended.`);
      onClose();
    },
  });
  return (
    <Confirm
      title={`Revoke ${apiKey.name}?`}
      description={replaced.length === 0 ? CONSEQUENCES : `${CONSEQUENCES} The old key ${replaced.map(shownStart).join(", ")} in whose place it is ends at once too, before its time.`}
      action="Revoke the key"
      busy={revoke.isPending}
      failure={revoke.error && messageOf(revoke.error)}
      open
      onClose={onClose}
      onConfirm={() => revoke.mutate()}
    />
  );
}
