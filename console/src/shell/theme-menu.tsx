import * as Menu from "@radix-ui/react-dropdown-menu";
import { Button } from "../ui/button.tsx";
import { Icon, type IconName } from "../ui/icon.tsx";
import { setTheme, useTheme, type Theme } from "./theme.ts";

const THEMES: [Theme, string, IconName][] = [
  ["system", "As the system", "screen"],
  ["light", "Light", "sun"],
  ["dark", "Dark", "moon"],
];

export function ThemeMenu() {
  const theme = useTheme();
  const icon = THEMES.find(([value]) => value === theme)?.[2] ?? "screen";
  return (
    <Menu.Root modal={false}>
      <Menu.Trigger asChild>
        <Button look="quiet" size="compact" icon={icon} aria-label="Theme" />
      </Menu.Trigger>
      <Menu.Content className="menu" align="end" sideOffset={6}>
        <Menu.RadioGroup value={theme} onValueChange={(value) => setTheme(value as Theme)}>
          {THEMES.map(([value, label, name]) => (
            <Menu.RadioItem key={value} value={value}>
              <Icon name={name} /> {label}
              <Menu.ItemIndicator>
                <Icon name="check" />
              </Menu.ItemIndicator>
            </Menu.RadioItem>
          ))}
        </Menu.RadioGroup>
      </Menu.Content>
    </Menu.Root>
  );
}
