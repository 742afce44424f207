import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { accountQuery, configQuery } from "../../api/queries.ts";
import { signOutEverywhere, useSession } from "../../auth/session.tsx";
import { showDate } from "../../lib/time.ts";
import { Page } from "../../shell/page.tsx";
import { setTheme, useTheme, type Theme } from "../../shell/theme.ts";
import { Button } from "../../ui/button.tsx";
import { Code, CopyButton } from "../../ui/copy.tsx";
import { Confirm } from "../../ui/dialog.tsx";
import { Choices } from "../../ui/field.tsx";
import { messageOf } from "../../ui/states.tsx";
import { claudeMcp } from "../docs/snippets.ts";
import { SessionToken } from "./session-token.tsx";

export default function Settings() {
  return (
    <Page title="Settings">
      <div className="stack">
        <Account />
        <Mcp />
        <SessionToken />
        <Appearance />
        <Everywhere />
      </div>
    </Page>
  );
}

function Account() {
  const { data } = useQuery(accountQuery());
  const session = useSession();
  const email = session.state === "in" ? session.session.user.email : null;
  return (
    <section className="card" aria-labelledby="account">
      <header>
        <h2 id="account">Account</h2>
      </header>
      <div className="body">
        <dl className="facts">
          <dt>Signed in as</dt>
          <dd>{email ?? "—"}</dd>
          <dt>Account id</dt>
          <dd>
            {data && (
              <>
                <code>{data.account_id}</code> <CopyButton text={data.account_id} what="the account id" />
              </>
            )}
          </dd>
          <dt>Since</dt>
          <dd>{data?.created_at ? showDate(data.created_at) : "—"}</dd>
        </dl>
      </div>
    </section>
  );
}

function Mcp() {
  const { data } = useQuery(configQuery());
  const { text } = claudeMcp(data?.base_url || location.origin);
  return (
    <section className="card" aria-labelledby="mcp">
      <header>
        <h2 id="mcp">Claude Code, by MCP</h2>
      </header>
      <div className="body stack">
        <p>
          Every model and this account as tools of Claude Code. Run it once in your terminal;{" "}
          <Link href="/keys?new=1">a key</Link> with the permissions that you want it to have is the best credential for
          it.
        </p>
        <Code text={text} what="the command" />
      </div>
    </section>
  );
}

const THEMES: [Theme, string][] = [
  ["system", "As the system"],
  ["light", "Light"],
  ["dark", "Dark"],
];

function Appearance() {
  const theme = useTheme();
  return (
    <section className="card" aria-labelledby="appearance">
      <header>
        <h2 id="appearance">Appearance</h2>
        <Choices label="Theme" value={theme} onChange={setTheme} options={THEMES} />
      </header>
    </section>
  );
}

function Everywhere() {
  const [asks, setAsks] = useState(false);
  const end = useMutation({ mutationFn: signOutEverywhere });
  return (
    <section className="card" aria-labelledby="everywhere">
      <header>
        <h2 id="everywhere">Sign out everywhere</h2>
        <Button look="danger" icon="out" onClick={() => setAsks(true)}>
          Sign out everywhere
        </Button>
      </header>
      <div className="body">
        <p className="muted">
          Ends this session and every other, at once, on all devices. API keys go on: end those on the page of keys.
        </p>
      </div>
      <Confirm
        title="Sign out everywhere?"
        description="Every session of yours is refused from this moment on, this one too. API keys are not touched."
        action="Sign out everywhere"
        busy={end.isPending}
        failure={end.error && messageOf(end.error)}
        open={asks}
        onClose={() => setAsks(false)}
        onConfirm={() => end.mutate()}
      />
    </section>
  );
}
