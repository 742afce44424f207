// What the stand-in knows: every object by its id, in memory and, where a file is given, on disk.
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";

/** Opens the objects of `file`; without one they are gone with the process. */
export function openStore(file) {
  const kept =
    file && existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : { objects: [], idempotent: [], cards: [] };
  const objects = new Map(kept.objects);
  const idempotent = new Map(kept.idempotent);
  const cards = new Map(kept.cards);
  let writing = null;

  const save = () => {
    if (!file || writing) return;
    // Many changes at once are written once.
    writing = setImmediate(() => {
      writing = null;
      writeFileSync(
        `${file}.new`,
        JSON.stringify({ objects: [...objects], idempotent: [...idempotent], cards: [...cards] }),
        { mode: 0o600 },
      );
      renameSync(`${file}.new`, file);
    });
  };

  return {
    /** Adds an object with a new id; `created` in whole seconds, as all of Stripe's times. */
    add(prefix, kind, fields) {
      const id = `${prefix}_${randomBytes(12).toString("hex")}`;
      const added = { id, object: kind, created: Math.floor(Date.now() / 1_000), livemode: false, ...fields };
      objects.set(id, added);
      save();
      return added;
    },

    /** The object with this id and kind, or undefined. */
    get(kind, id) {
      const found = objects.get(id);
      return found?.object === kind ? found : undefined;
    },

    change(object, fields) {
      Object.assign(object, fields);
      save();
      return object;
    },

    remove(object) {
      objects.delete(object.id);
      save();
    },

    /** All of a kind, the newest first. */
    all: (kind) => [...objects.values()].filter(({ object }) => object === kind).reverse(),

    /** What was answered to an idempotency key. */
    idempotent: {
      get: (key) => idempotent.get(key),
      set: (key, answer) => (idempotent.set(key, answer), save()),
    },

    /** What a payment method's card does; no part of what Stripe tells of it. */
    card: {
      get: (methodId) => cards.get(methodId) ?? {},
      set: (methodId, card) => (cards.set(methodId, card), save()),
    },
  };
}
