// Money in: a top-up, top-ups by themselves, and every entry of the account's book.
import "./credits.css";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { balanceQuery, configQuery } from "../../api/queries.ts";
import { parseUsd, showUsd } from "../../lib/usd.ts";
import { LiveMark } from "../../shell/side-balance.tsx";
import { Page } from "../../shell/page.tsx";
import { Choices } from "../../ui/field.tsx";
import { Icon } from "../../ui/icon.tsx";
import { Loaded, SkeletonRows } from "../../ui/states.tsx";
import { AutoTopUpCard } from "./auto-top-up.tsx";
import { Journal } from "./journal.tsx";
import { Returned } from "./returned.tsx";
import { TopUpForm } from "./top-up-form.tsx";
import { TopUps } from "./top-ups.tsx";

export default function Credits() {
  const config = useQuery(configQuery());
  const balance = useQuery(balanceQuery());
  const [history, setHistory] = useState<"topups" | "journal">("topups");
  return (
    <Page
      title="Credits"
      description="You pay in advance. A request reserves the most that it can cost, and is charged what it did cost."
      actions={
        balance.data && (
          <span className="small">
            <strong className="num">{showUsd(balance.data.balance_usd)}</strong> balance
            {parseUsd(balance.data.held_usd) > 0n && (
              <>
                , <span className="num">{showUsd(balance.data.held_usd)}</span> held
              </>
            )}
            {" · "}
            <LiveMark running={balance.data.running} />
          </span>
        )
      }
    >
      <div className="stack">
        <Returned />
        <Loaded
          query={config}
          loading={
            <div className="card">
              <SkeletonRows rows={6} height={40} />
            </div>
          }
        >
          {({ payments }) =>
            payments ? (
              <div className="credit-grid">
                <section className="card" aria-labelledby="add">
                  <header>
                    <h2 id="add">Add credit</h2>
                  </header>
                  <TopUpForm />
                </section>
                <AutoTopUpCard />
              </div>
            ) : (
              <p className="notice">
                <Icon name="info" />
                This gateway takes no payments. Its operator enters credit.
              </p>
            )
          }
        </Loaded>
        <section className="card" aria-labelledby="history">
          <header>
            <h2 id="history">History</h2>
            <Choices
              label="What to show"
              value={history}
              onChange={setHistory}
              options={[
                ["topups", "Top-ups"],
                ["journal", "Every entry"],
              ]}
            />
          </header>
          {history === "topups" ? <TopUps /> : <Journal />}
        </section>
      </div>
    </Page>
  );
}
