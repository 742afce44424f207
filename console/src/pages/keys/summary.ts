import type { Key } from "../../api/types.ts";
import { plural, showCount } from "../../lib/count.ts";

const RIGHTS = { inference: "run models", "account:read": "read the account", "keys:write": "manage keys" } as const;

/** A key's limits and rights but its budget and end, in few words. */
export function summary({ limits, permissions }: Key): string[] {
  const said: string[] = [];
  if (limits.requests_per_minute) said.push(`${showCount(limits.requests_per_minute)} a minute`);
  if (limits.max_running) said.push(`${showCount(limits.max_running)} at once`);
  if (limits.models?.length)
    said.push(limits.models.length === 1 ? (limits.models[0] ?? "") : plural(limits.models.length, "model pattern"));
  if (limits.addresses?.length) said.push(plural(limits.addresses.length, "address range"));
  if (permissions.length < 3) said.push(`may only ${permissions.map((permission) => RIGHTS[permission]).join(", ")}`);
  return said;
}
