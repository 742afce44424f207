import { Fragment } from "react";
import { Link, useLocation } from "wouter";
import { Icon, type IconName } from "../ui/icon.tsx";

type Item = [path: string, label: string, icon: IconName];

const SECTIONS: [title: string, items: Item[]][] = [
  [
    "",
    [
      ["/", "Overview", "home"],
      ["/keys", "API keys", "key"],
      ["/usage", "Usage", "chart"],
      ["/credits", "Credits", "wallet"],
      ["/playground", "Playground", "play"],
    ],
  ],
  [
    "Reference",
    [
      ["/models", "Models", "models"],
      ["/docs", "Quick start", "book"],
    ],
  ],
  ["Account", [["/settings", "Settings", "settings"]]],
];

/** The pages; `onChoose` is called when one is. */
export function Nav({ onChoose }: { onChoose?: () => void }) {
  const [path] = useLocation();
  return (
    <nav className="nav" aria-label="Pages">
      {SECTIONS.map(([title, items]) => (
        <Fragment key={title}>
          {title && <p className="section">{title}</p>}
          {items.map(([to, label, icon]) => (
            <Link key={to} href={to} aria-current={path === to ? "page" : undefined} onClick={onChoose}>
              <Icon name={icon} />
              {label}
            </Link>
          ))}
        </Fragment>
      ))}
    </nav>
  );
}
