import * as Menu from "@radix-ui/react-dropdown-menu";
import { useLocation } from "wouter";
import { signOut, useSession } from "../auth/session.tsx";
import { Button } from "../ui/button.tsx";
import { Icon } from "../ui/icon.tsx";
import { ThemeMenu } from "./theme-menu.tsx";

/** Who is signed in, the theme, and the way out. */
export function UserMenu() {
  const session = useSession();
  const [, go] = useLocation();
  const email = session.state === "in" ? (session.session.user.email ?? "Signed in") : "";
  return (
    <div className="user">
      <span title={email}>{email}</span>
      <ThemeMenu />
      <Menu.Root modal={false}>
        <Menu.Trigger asChild>
          <Button look="quiet" size="compact" icon="more" aria-label="Account" />
        </Menu.Trigger>
        <Menu.Content className="menu" align="end" sideOffset={6}>
          <Menu.Item onSelect={() => go("/settings")}>
            <Icon name="settings" /> Settings
          </Menu.Item>
          <Menu.Separator className="separator" />
          <Menu.Item onSelect={() => void signOut()}>
            <Icon name="out" /> Sign out
          </Menu.Item>
        </Menu.Content>
      </Menu.Root>
    </div>
  );
}
