-- Top-ups as customers see them: a copy of what Stripe said. The money is in the account object's journal.
CREATE TABLE topups (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    amount_cents INTEGER NOT NULL,
    status TEXT NOT NULL,
    session_id TEXT,
    payment_intent TEXT,
    receipt_url TEXT,
    created_at_ms INTEGER NOT NULL,
    -- When the cron next asks Stripe for it, while it is pending.
    check_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX topups_of_account ON topups (account_id, created_at_ms, id);
CREATE INDEX topups_by_intent ON topups (payment_intent);
CREATE INDEX topups_waiting ON topups (check_at_ms) WHERE status = 'pending';

-- Refunds and disputes of top-ups. What came back (a failed refund, a won dispute) is undone, for good.
CREATE TABLE topup_returns (
    id TEXT PRIMARY KEY,
    payment_intent TEXT NOT NULL,
    kind TEXT NOT NULL,
    amount_cents INTEGER NOT NULL,
    undone INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX topup_returns_by_intent ON topup_returns (payment_intent);

-- Automatic top-ups that an account asked for and that nobody may have charged: the cron does.
CREATE TABLE due_topups (
    account_id TEXT PRIMARY KEY,
    at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- How far the cron has come with Stripe's lists.
CREATE TABLE topup_walks (
    list TEXT PRIMARY KEY,
    after_id TEXT NOT NULL
) STRICT, WITHOUT ROWID;
