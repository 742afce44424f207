// The playground's key, in this module's memory and nowhere else: it is gone when
// the page is left or loaded anew, and when its user signs out.
import { useSyncExternalStore } from "react";

let held: string | null = null;
const listeners = new Set<() => void>();

export function holdKey(key: string | null) {
  held = key;
  for (const listener of listeners) listener();
}

export function useHeldKey(): string | null {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => held,
  );
}
