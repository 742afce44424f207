// The frame of a signed-in user. It makes the account on the first sign-in, before any page asks about it.
import { useQuery } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";
import { Link } from "wouter";
import { useLive } from "../api/live.ts";
import { accountQuery, balanceQuery } from "../api/queries.ts";
import { showUsd } from "../lib/usd.ts";
import { Button } from "../ui/button.tsx";
import { Loaded } from "../ui/states.tsx";
import { Brand } from "./brand.tsx";
import { Drawer } from "./drawer.tsx";
import { Nav } from "./nav.tsx";
import { PagePlace } from "./page.tsx";
import { SideBalance } from "./side-balance.tsx";
import { UserMenu } from "./user-menu.tsx";

export function Shell({ isReady, children }: { isReady: boolean; children: ReactNode }) {
  const [isOpen, setOpen] = useState(false);
  const account = useQuery({ ...accountQuery(), enabled: isReady });
  const hasAccount = account.data !== undefined;
  return (
    <>
      <a className="skip" href="#main">
        Skip to the page
      </a>
      <div className="shell">
        <aside className="side" aria-label="Navigation">
          <Brand />
          <Nav />
          <div className="foot">
            <SideBalance isReady={hasAccount} />
            <UserMenu />
          </div>
        </aside>
        <header className="topbar">
          <Button look="quiet" icon="menu" aria-label="Open the navigation" onClick={() => setOpen(true)} />
          <Brand />
          {hasAccount && <TopBalance />}
        </header>
        <main id="main" className="main" tabIndex={-1}>
          {hasAccount && <Live />}
          <Loaded query={account} loading={<PagePlace />}>
            {() => children}
          </Loaded>
        </main>
      </div>
      <Drawer open={isOpen} onClose={() => setOpen(false)} />
    </>
  );
}

function Live() {
  useLive();
  return null;
}

function TopBalance() {
  const { data } = useQuery(balanceQuery());
  return (
    <Link href="/credits" className="balance num">
      <span className="hidden-visually">Available: </span>
      {data ? showUsd(data.available_usd) : ""}
    </Link>
  );
}
