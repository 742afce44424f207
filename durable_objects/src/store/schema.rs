//! The account's tables: the statements that create them, and the columns that older objects still lack.

use super::Store;
use crate::sql::{Sql, SqlError};

/// The statements that create the tables.
pub(super) const TABLES: [&str; 6] = [
    "CREATE TABLE account (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        account_id TEXT NOT NULL,
        created_at_ms INTEGER NOT NULL,
        uncollected_nano INTEGER NOT NULL DEFAULT 0,
        delivered_seq INTEGER NOT NULL DEFAULT 0,
        spend_seq INTEGER NOT NULL DEFAULT 0,
        open_from TEXT NOT NULL DEFAULT '',
        auto_top_up TEXT,
        sessions_valid_from_ms INTEGER NOT NULL DEFAULT 0,
        used_nano INTEGER NOT NULL DEFAULT 0
    ) STRICT",
    "CREATE TABLE keys (
        key_id TEXT PRIMARY KEY,
        digest TEXT NOT NULL,
        name TEXT NOT NULL,
        permissions TEXT NOT NULL,
        limits TEXT NOT NULL,
        parent TEXT,
        created_at_ms INTEGER NOT NULL,
        revoked_at_ms INTEGER,
        delivered INTEGER NOT NULL DEFAULT 0,
        start TEXT NOT NULL DEFAULT '',
        replaced_by TEXT
    ) STRICT, WITHOUT ROWID",
    // `key_id` is empty when the account's owner made the request: the owner needs no key.
    "CREATE TABLE holds (
        request_id TEXT PRIMARY KEY,
        admit TEXT NOT NULL,
        key_id TEXT NOT NULL,
        amount_nano INTEGER NOT NULL,
        granted_output INTEGER,
        opened_at_ms INTEGER NOT NULL,
        deadline_ms INTEGER NOT NULL,
        checkpoint TEXT,
        state INTEGER NOT NULL,
        seq INTEGER
    ) STRICT, WITHOUT ROWID",
    "CREATE TABLE journal (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        kind TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        amount_nano INTEGER NOT NULL,
        balance_after_nano INTEGER NOT NULL,
        usage TEXT,
        hash TEXT
    ) STRICT",
    // The ids of entries that are not usage. A usage entry has the id of its hold.
    "CREATE TABLE entry_ids (id TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    // How much each key has spent up to journal row `account.spend_seq`; `account.used_nano` is the same for all
    // requests. A wake adds the journal rows after that one.
    "CREATE TABLE key_spend (key_id TEXT PRIMARY KEY, spend TEXT NOT NULL) STRICT, WITHOUT ROWID",
];

/// The columns that were added later. An object that was provisioned before has tables without them.
/// (table, column, the statements that add and fill the column)
const ADDED: [(&str, &str, &[&str]); 6] = [
    ("account", "open_from", &["ALTER TABLE account ADD COLUMN open_from TEXT NOT NULL DEFAULT ''"]),
    ("keys", "start", &["ALTER TABLE keys ADD COLUMN start TEXT NOT NULL DEFAULT ''"]),
    ("keys", "replaced_by", &["ALTER TABLE keys ADD COLUMN replaced_by TEXT"]),
    ("account", "auto_top_up", &["ALTER TABLE account ADD COLUMN auto_top_up TEXT"]),
    (
        "account",
        "sessions_valid_from_ms",
        &["ALTER TABLE account ADD COLUMN sessions_valid_from_ms INTEGER NOT NULL DEFAULT 0"],
    ),
    (
        "account",
        "used_nano",
        &[
            "ALTER TABLE account ADD COLUMN used_nano INTEGER NOT NULL DEFAULT 0",
            "UPDATE account SET used_nano = (SELECT coalesce(sum(-amount_nano), 0) FROM journal
                WHERE usage IS NOT NULL AND seq <= spend_seq)",
        ],
    ),
];

impl<S: Sql> Store<S> {
    /// Adds the columns that the object's tables lack. Returns whether there are tables at all.
    pub(super) fn add_columns(&self) -> Result<bool, SqlError> {
        let tables = "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name IN ('account', 'keys')";
        let mut known = Vec::new();
        for mut row in self.0.query(tables, &[])? {
            known.push((row.text()?, row.text()?));
        }
        for (table, column, statements) in ADDED {
            let lacks = |(name, sql): &(String, String)| name == table && !sql.contains(column);
            if known.iter().any(lacks) {
                statements.iter().try_for_each(|sql| self.0.query(sql, &[]).map(drop))?;
            }
        }
        Ok(!known.is_empty())
    }
}
