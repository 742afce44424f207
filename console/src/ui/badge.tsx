import type { ReactNode } from "react";

export type Tone = "ok" | "warn" | "danger" | "accent";

export function Badge({ tone, children }: { tone?: Tone | undefined; children: ReactNode }) {
  return <span className={`badge ${tone ?? ""}`}>{children}</span>;
}
