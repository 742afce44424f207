import type { ReactNode } from "react";
import { Link, useLocation } from "wouter";
import { Brand } from "./brand.tsx";
import { ThemeMenu } from "./theme-menu.tsx";

/** The frame of a visitor. */
export function PublicFrame({ children }: { children: ReactNode }) {
  const [path] = useLocation();
  const isHome = path !== "/models" && path !== "/docs";
  return (
    <>
      <a className="skip" href="#main">
        Skip to the page
      </a>
      <header className="public-bar">
        <Brand />
        <nav aria-label="Pages">
          <Link href="/models" aria-current={path === "/models" ? "page" : undefined}>
            Models
          </Link>
          <Link href="/docs" aria-current={path === "/docs" ? "page" : undefined}>
            Docs
          </Link>
          <ThemeMenu />
          {!isHome && (
            <Link href="/" className="button primary compact">
              Sign in
            </Link>
          )}
        </nav>
      </header>
      <main id="main" className="main" tabIndex={-1}>
        {children}
      </main>
    </>
  );
}
