import type { ButtonHTMLAttributes } from "react";
import { Icon, type IconName } from "./icon.tsx";

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: "primary" | "danger" | "quiet" | undefined;
  size?: "compact" | "wide" | undefined;
  icon?: IconName | undefined;
  /** It works at something: it is not pressed twice, and says so. */
  busy?: boolean;
}

/** A button; without children it shows its icon and is named by `aria-label`. */
export function Button({
  look,
  size,
  icon,
  busy = false,
  className = "",
  children,
  disabled,
  type = "button",
  ...rest
}: Props) {
  const classes = ["button", look, size, children ? "" : "icon-only", className].filter(Boolean).join(" ");
  return (
    <button type={type} className={classes} disabled={disabled || busy} aria-busy={busy || undefined} {...rest}>
      {icon && <Icon name={icon} />}
      {children}
    </button>
  );
}
