// A dialog gives the focus back to where it was. Radix does so for dialogs that have a trigger of theirs; ours are
// opened by state.
import { useRef } from "react";

/** The two handlers of a Radix content. */
export function useReturnFocus() {
  const before = useRef<Element | null>(null);
  return {
    onOpenAutoFocus: () => {
      // A menu is gone by then; the button that opened it, which names it, is not.
      const opener = document.activeElement?.closest("[role=menu]")?.getAttribute("aria-labelledby");
      before.current = opener ? document.getElementById(opener) : document.activeElement;
    },
    onCloseAutoFocus: (event: Event) => {
      event.preventDefault();
      if (before.current instanceof HTMLElement && before.current.isConnected) before.current.focus();
    },
  };
}
