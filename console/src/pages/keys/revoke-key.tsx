import { useMutation, useQueryClient } from "@tanstack/react-query";
import { askJson } from "../../api/client.ts";
import { keysQuery } from "../../api/queries.ts";
import type { Key } from "../../api/types.ts";
import { plural } from "../../lib/count.ts";
import { Confirm } from "../../ui/dialog.tsx";
import { messageOf } from "../../ui/states.tsx";
import { useToast } from "../../ui/toast.tsx";
import { shownStart } from "./state.ts";

/** So many of the keys that end are named, and the rest is counted. */
const NAMED = 8;

/** Asks whether a key shall end for good. `ending`: the keys that end with it. */
export function RevokeKey({ apiKey, ending, onClose }: { apiKey: Key; ending: Key[]; onClose: () => void }) {
  const queries = useQueryClient();
  const say = useToast();
  const revoke = useMutation({
    mutationFn: () =>
      askJson<{ revoked: string[] }>(`/console/api/keys/${encodeURIComponent(apiKey.id)}`, { method: "DELETE" }),
    onSuccess: (answer) => {
      void queries.invalidateQueries(keysQuery());
      const others = (answer?.revoked ?? []).filter((id) => id !== apiKey.id).length;
      say(others > 0 ? `${apiKey.name} has ended, and ${plural(others, "key")} with it.` : `${apiKey.name} has ended.`);
      onClose();
    },
  });
  return (
    <Confirm
      title={`Revoke ${apiKey.name}?`}
      description="Every request with this key is refused from now on. Requests that run now end normally. A revoked key cannot be brought back."
      action={ending.length > 0 ? `Revoke ${plural(ending.length + 1, "key")}` : "Revoke the key"}
      busy={revoke.isPending}
      failure={revoke.error && messageOf(revoke.error)}
      open
      onClose={onClose}
      onConfirm={() => revoke.mutate()}
    >
      {ending.length > 0 && (
        <div className="notice warn ending-keys">
          <div>
            <p>
              {plural(ending.length, "other key")} {ending.length === 1 ? "ends" : "end"} with it:
            </p>
            <ul>
              {ending.slice(0, NAMED).map((key) => (
                <li key={key.id}>
                  {key.name} <span className="mono muted">{shownStart(key)}</span>
                  {key.replaced_by === apiKey.id && <span className="muted">, which this key replaces</span>}
                </li>
              ))}
              {ending.length > NAMED && <li>and {plural(ending.length - NAMED, "more", "more")}</li>}
            </ul>
          </div>
        </div>
      )}
    </Confirm>
  );
}
