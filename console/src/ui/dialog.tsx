// Dialogs: Radix keeps the focus inside and gives it back. The veil is ours and not Radix's overlay, which would lock
// the page by a style element that the content security policy forbids.
import * as Radix from "@radix-ui/react-dialog";
import type { ReactNode } from "react";
import { Button } from "./button.tsx";
import { useReturnFocus } from "./return-focus.ts";

interface Props {
  title: string;
  /** Said under the title, and to screen readers with it. */
  description?: ReactNode;
  open: boolean;
  onClose: () => void;
  narrow?: boolean;
  /** It asks before something that cannot be taken back. */
  alert?: boolean;
  /** It stays when one clicks beside it, since what it shows is shown once. */
  sticky?: boolean;
  /** Called when one tries to leave a sticky one, by Escape or by a click beside it. */
  onStay?: () => void;
  children: ReactNode;
}

export function Dialog({ title, description, open, onClose, narrow, alert, sticky, onStay, children }: Props) {
  const focus = useReturnFocus();
  const stay = (event: Event) => {
    if (!sticky) return;
    event.preventDefault();
    onStay?.();
  };
  return (
    <Radix.Root open={open} onOpenChange={(isOpen) => !isOpen && onClose()}>
      <Radix.Portal>
        <div className="veil" aria-hidden="true" />
        <Radix.Content
          className={`dialog ${narrow ? "narrow" : ""}`}
          role={alert ? "alertdialog" : "dialog"}
          aria-modal="true"
          {...focus}
          {...(description ? {} : { "aria-describedby": undefined })}
          onInteractOutside={(event) => sticky && event.preventDefault()}
          onPointerDownOutside={stay}
          onEscapeKeyDown={stay}
        >
          <header>
            <div className="stack tight">
              <Radix.Title asChild>
                <h2>{title}</h2>
              </Radix.Title>
              {description && (
                <Radix.Description asChild>
                  <p className="muted">{description}</p>
                </Radix.Description>
              )}
            </div>
            {!sticky && <Button look="quiet" size="compact" icon="close" aria-label="Close" onClick={onClose} />}
          </header>
          {children}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

interface ConfirmProps {
  title: string;
  description: ReactNode;
  action: string;
  busy: boolean;
  failure: string | null;
  open: boolean;
  onClose: () => void;
  onConfirm: () => void;
  /** More about what will happen. */
  children?: ReactNode;
}

/** Asks before something that cannot be taken back. */
export function Confirm({
  title,
  description,
  action,
  busy,
  failure,
  open,
  onClose,
  onConfirm,
  children,
}: ConfirmProps) {
  return (
    <Dialog title={title} description={description} open={open} onClose={onClose} narrow alert>
      <div className="body stack">
        {children}
        {failure && (
          <p role="alert" className="notice danger">
            {failure}
          </p>
        )}
      </div>
      <footer>
        <Button onClick={onClose}>Cancel</Button>
        <Button look="danger" busy={busy} onClick={onConfirm}>
          {action}
        </Button>
      </footer>
    </Dialog>
  );
}
