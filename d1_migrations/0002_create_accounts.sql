-- Who owns which account. The account object is the authority on everything else.
CREATE TABLE accounts (
    user_id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL UNIQUE,
    created_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The queryable copy of keys, kept by the outbox of the account object. Only the digest's owner is known.
CREATE TABLE api_keys (
    account_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    name TEXT NOT NULL,
    permissions TEXT NOT NULL,
    limits TEXT NOT NULL,
    parent_key_id TEXT,
    created_at_ms INTEGER NOT NULL,
    revoked_at_ms INTEGER,
    PRIMARY KEY (account_id, key_id)
) STRICT, WITHOUT ROWID;

-- The queryable copy of every account's journal, written once for each (account_id, seq).
CREATE TABLE journal (
    account_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    amount_nano_usd INTEGER NOT NULL,
    balance_after_nano_usd INTEGER NOT NULL,
    key_id TEXT,
    endpoint TEXT,
    model TEXT,
    upstream TEXT,
    input_tokens INTEGER,
    cache_read_tokens INTEGER,
    cache_write_5m_tokens INTEGER,
    cache_write_1h_tokens INTEGER,
    output_tokens INTEGER,
    reasoning_tokens INTEGER,
    web_searches INTEGER,
    status TEXT,
    billing_status TEXT,
    settled_by TEXT,
    uncollected_nano_usd INTEGER,
    lost_nano_usd INTEGER,
    price_version INTEGER,
    unpriced INTEGER,
    created_at_ms INTEGER,
    PRIMARY KEY (account_id, seq)
) STRICT, WITHOUT ROWID;

-- One row for each admitted request.
CREATE VIEW usage AS
SELECT
    id AS request_id,
    account_id,
    key_id,
    endpoint,
    model,
    upstream,
    input_tokens,
    cache_read_tokens,
    cache_write_5m_tokens,
    cache_write_1h_tokens,
    output_tokens,
    reasoning_tokens,
    web_searches,
    status,
    billing_status,
    settled_by,
    -amount_nano_usd AS cost_nano_usd,
    uncollected_nano_usd,
    lost_nano_usd,
    price_version,
    unpriced,
    created_at_ms,
    at_ms AS settled_at_ms,
    seq
FROM journal
WHERE kind = 'usage';

-- Settles that an account did not take: the Worker's cron sends them again until it does.
CREATE TABLE undelivered_settles (
    request_id TEXT PRIMARY KEY,
    routing_id TEXT NOT NULL,
    command TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    last_refusal TEXT
) STRICT, WITHOUT ROWID;

-- Journal rows that D1 refused, each with the reason. An operator mends them; `reconcile` names them.
CREATE TABLE outbox_rejects (
    account_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    entry TEXT NOT NULL,
    problem TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (account_id, seq)
) STRICT, WITHOUT ROWID;
