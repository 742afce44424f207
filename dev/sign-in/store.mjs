// The state of the sign-in stand-in, in one file that only its owner can read: the signing key, the users, their
// sessions, and the mails.
import { randomBytes } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { newSigningKey } from "./tokens.mjs";

/** Returns the state in `file`, or a new state. `save()` writes it. Without a file the state stays in memory. */
export function openStore(file) {
  const state = read(file) ?? {
    signingKey: newSigningKey(),
    anonKey: `sb_publishable_${randomBytes(24).toString("hex")}`,
    users: [],
    sessions: [],
    mails: [],
    codes: [],
  };
  const store = {
    ...state,
    save() {
      if (!file) return;
      const { save, ...kept } = store;
      writeFileSync(`${file}.new`, `${JSON.stringify(kept, null, 2)}\n`, { mode: 0o600 });
      renameSync(`${file}.new`, file);
    },
  };
  store.save();
  return store;
}

function read(file) {
  if (!file) return null;
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    if (error.code === "ENOENT") return null;
    throw error;
  }
}
