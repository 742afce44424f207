import type { UsageRow } from "../../api/types.ts";

/** Who asked: the key by its name, or the account's owner, signed in and without a key. */
export const keyName = ({ key_name, key_id }: Pick<UsageRow, "key_name" | "key_id">) => key_name ?? key_id ?? "Owner";
