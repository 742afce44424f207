import * as Radix from "@radix-ui/react-dialog";
import { Brand } from "./brand.tsx";
import { Nav } from "./nav.tsx";
import { UserMenu } from "./user-menu.tsx";
import { Button } from "../ui/button.tsx";
import { useReturnFocus } from "../ui/return-focus.ts";

/** The navigation of a phone. */
export function Drawer({ open, onClose }: { open: boolean; onClose: () => void }) {
  const focus = useReturnFocus();
  return (
    <Radix.Root open={open} onOpenChange={(isOpen) => !isOpen && onClose()}>
      <Radix.Portal>
        <div className="veil" aria-hidden="true" />
        <Radix.Content className="drawer" aria-describedby={undefined} {...focus}>
          <Radix.Title className="hidden-visually">Navigation</Radix.Title>
          <div className="user">
            <Brand />
            <span />
            <Button look="quiet" icon="close" aria-label="Close the navigation" onClick={onClose} />
          </div>
          <Nav onChoose={onClose} />
          <UserMenu />
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
