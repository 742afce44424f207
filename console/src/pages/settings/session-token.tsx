import { useState } from "react";
import { Link } from "wouter";
import { useSession } from "../../auth/session.tsx";
import { showAgo, showFullTime } from "../../lib/time.ts";
import { useNow } from "../../lib/use-now.ts";
import { Button } from "../../ui/button.tsx";
import { Code } from "../../ui/copy.tsx";
import { Icon } from "../../ui/icon.tsx";

const TICK_MS = 10_000;

/** The token of this session, for who wants to try something by hand, and why not to use it for more. */
export function SessionToken() {
  const session = useSession();
  const now = useNow(TICK_MS);
  const [isShown, setShown] = useState(false);
  if (session.state !== "in") return null;
  const { access_token, expires_at } = session.session;
  const end = new Date((expires_at ?? 0) * 1000).toISOString();
  return (
    <section className="card" aria-labelledby="token">
      <header>
        <h2 id="token">Session token</h2>
        <Button onClick={() => setShown(!isShown)}>{isShown ? "Hide it" : "Show it"}</Button>
      </header>
      <div className="body stack">
        <p className="notice warn">
          <Icon name="alert" />
          <span>
            It may do everything that you may, and ends {showAgo(end, now)}, at {showFullTime(end)}. For a program, and
            for MCP, <Link href="/keys?new=1">create a key</Link>: it lasts, can be limited, and can be ended alone.
          </span>
        </p>
        {isShown && <Code text={access_token} what="the session token" />}
      </div>
    </section>
  );
}
