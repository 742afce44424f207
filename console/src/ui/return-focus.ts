// A dialog gives the focus back to where it was. Radix does so for dialogs that have a trigger of theirs; ours are
// opened by state.
import { useRef } from "react";

/** The two handlers of a Radix content. */
export function useReturnFocus() {
  const before = useRef<Element | null>(null);
  return {
    onOpenAutoFocus: (event: Event) => {
      // A menu is gone by then; the button that opened it, which names it, is not.
      const opener = document.activeElement?.closest("[role=menu]")?.getAttribute("aria-labelledby");
      before.current = opener ? document.getElementById(opener) : document.activeElement;
      // A form is opened to be filled in: its first field has the focus, not the button that closes it.
      const field =
        event.currentTarget instanceof HTMLElement &&
        event.currentTarget.querySelector<HTMLElement>("form :is(input, select, textarea)");
      if (!field) return;
      event.preventDefault();
      field.focus();
    },
    onCloseAutoFocus: (event: Event) => {
      event.preventDefault();
      if (before.current instanceof HTMLElement && before.current.isConnected) before.current.focus();
    },
  };
}
