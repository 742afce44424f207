import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { balanceQuery, keysQuery } from "../../api/queries.ts";
import { parseUsd } from "../../lib/usd.ts";

/** What to do with an account that has not been used yet. */
export function FirstSteps() {
  const balance = useQuery(balanceQuery());
  const keys = useQuery(keysQuery());
  const hasCredit = balance.data !== undefined && parseUsd(balance.data.available_usd) > 0n;
  const hasKey = (keys.data?.length ?? 0) > 0;
  return (
    <section className="card" aria-labelledby="first-steps">
      <header>
        <h2 id="first-steps">Three steps to your first answer</h2>
      </header>
      <ol className="steps">
        <li className={hasCredit ? "done" : ""}>
          <h3>Add credit</h3>
          <p className="muted small">You pay in advance, and requests cost what the model's price says.</p>
          <Link href="/credits">{hasCredit ? "Credit is there" : "Add credit"}</Link>
        </li>
        <li className={hasKey ? "done" : ""}>
          <h3>Make an API key</h3>
          <p className="muted small">With a budget, if you like, so that it can never spend more.</p>
          <Link href="/keys?new=1">{hasKey ? "Make another" : "Make a key"}</Link>
        </li>
        <li>
          <h3>Send a request</h3>
          <p className="muted small">From the SDK or the tool that you use, or from the playground.</p>
          <span className="actions">
            <Link href="/docs">Quick start</Link>
            <Link href="/playground">Playground</Link>
          </span>
        </li>
      </ol>
    </section>
  );
}
