//! The outbox: brings the account's journal to D1, each row once.
//!
//! The one rule: the cursor moves only after D1 has counted the rows and found no gap. When D1 applies an insert and its
//! answer is lost, the outbox sends the same rows again, and the second insert changes nothing: (account, seq) is the
//! key of a row. When D1 refuses a batch, the outbox halves the batch until it finds the row that D1 refuses, and
//! sets that row aside in `outbox_rejects`. When D1 accepts nothing at all, all rows wait. An audit may set the cursor
//! back while rows are on their way; these rows then do not move the cursor.

use billing::ledger::{Entry, Key};
use serde::Serialize;

use crate::audit::Copy;
use crate::sql::Sql;
use crate::store::Store;

/// How many rows go into one insert: one JSON parameter of about 60 kB.
pub const BATCH: u64 = 100;

/// Inserts the rows of the JSON array `?2`. Token counts may be absent; `->>` then reads NULL. A JSON boolean becomes
/// 0 or 1.
pub const INSERT_ENTRIES: &str = "INSERT INTO journal (
    account_id, seq, id, kind, at_ms, amount_nano_usd, balance_after_nano_usd, key_id, endpoint, model, upstream,
    input_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, output_tokens, reasoning_tokens,
    web_searches, status, billing_status, settled_by, uncollected_nano_usd, lost_nano_usd, price_version, unpriced,
    dropped, created_at_ms)
SELECT ?1, value->>'$.seq', value->>'$.id', value->>'$.kind', value->>'$.at_ms', value->>'$.amount',
    value->>'$.balance_after', value->>'$.usage.key_id', value->>'$.usage.endpoint', value->>'$.usage.model',
    value->>'$.usage.upstream', value->>'$.usage.usage.input', value->>'$.usage.usage.cache_read',
    value->>'$.usage.usage.cache_write_5m', value->>'$.usage.usage.cache_write_1h', value->>'$.usage.usage.output',
    value->>'$.usage.usage.reasoning', value->>'$.usage.usage.web_searches', value->>'$.usage.outcome',
    value->>'$.usage.billing_status', value->>'$.usage.settled_by', value->>'$.usage.uncollected',
    value->>'$.usage.lost', value->>'$.usage.price_version',
    CASE WHEN value->>'$.usage' IS NULL THEN NULL ELSE coalesce(value->>'$.usage.unpriced', 0) END,
    value->>'$.usage.dropped', value->>'$.usage.created_at_ms'
FROM json_each(?2) WHERE true ON CONFLICT (account_id, seq) DO NOTHING";

/// Counts the rows that D1 has or has set aside. A row that was set aside and later repaired is in both tables, and
/// counts once.
pub const COUNT_ENTRIES: &str = "SELECT count(*) AS rows FROM (
    SELECT seq FROM journal WHERE account_id = ?1 AND seq > ?2 AND seq <= ?3
    UNION SELECT seq FROM outbox_rejects WHERE account_id = ?1 AND seq > ?2 AND seq <= ?3)";

/// Reads the rows after `?2`, up to `?3`, for an audit.
pub const SELECT_LINES: &str = "SELECT seq, id, amount_nano_usd AS amount, balance_after_nano_usd AS balance_after
FROM journal WHERE account_id = ?1 AND seq > ?2 AND seq <= ?3 ORDER BY seq";

/// Reads the numbers of the rows after `?2`, up to `?3`, that were set aside.
pub const SELECT_SET_ASIDE: &str = "SELECT seq FROM outbox_rejects WHERE account_id = ?1 AND seq > ?2 AND seq <= ?3
ORDER BY seq";

/// Sets a row aside. A second time changes nothing.
pub const REJECT_ENTRY: &str = "INSERT INTO outbox_rejects (account_id, seq, entry, problem, at_ms)
VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (account_id, seq) DO NOTHING";

/// Writes the present state of a key.
pub const UPSERT_KEY: &str = "INSERT INTO api_keys
    (account_id, key_id, name, permissions, limits, parent_key_id, created_at_ms, revoked_at_ms)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT (account_id, key_id) DO UPDATE SET name = excluded.name, limits = excluded.limits,
    parent_key_id = excluded.parent_key_id, revoked_at_ms = excluded.revoked_at_ms";

/// Asks the Worker's cron to charge the account's automatic top-up.
pub const TELL_DUE_TOPUP: &str = "INSERT INTO due_topups (account_id, at_ms) VALUES (?1, ?2)
ON CONFLICT (account_id) DO NOTHING";

/// D1 as the account object uses it: a copy of the journal and of the keys. The object uses the database `DB` on
/// workerd, and the simulation a native SQLite. An error is D1's own message.
#[expect(async_fn_in_trait, reason = "an object has one thread: no future needs to be `Send`")]
pub trait JournalCopy {
    /// Runs [`INSERT_ENTRIES`] with `entries`, a JSON array, and in the same transaction [`COUNT_ENTRIES`] for the
    /// rows after `after`, up to `last`. Returns that count.
    async fn insert(&self, account_id: &str, entries: &str, after: u64, last: u64) -> Result<u64, String>;

    /// Runs [`REJECT_ENTRY`] for row `seq`.
    async fn reject(&self, account_id: &str, seq: u64, entry: &str, problem: &str, now_ms: i64) -> Result<(), String>;

    /// Runs [`SELECT_LINES`] and [`SELECT_SET_ASIDE`] for the rows after `after`, up to `last`.
    async fn read(&self, account_id: &str, after: u64, last: u64) -> Result<Copy, String>;

    /// Runs [`UPSERT_KEY`].
    async fn upsert_key(&self, account_id: &str, key: &Key) -> Result<(), String>;

    /// Runs [`TELL_DUE_TOPUP`].
    async fn tell_due_top_up(&self, account_id: &str, now_ms: i64) -> Result<(), String>;
}

/// Delivers all journal rows that D1 has not confirmed, batch by batch. Calls `confirmed` with the cursor after each
/// batch.
///
/// # Errors
/// The message of D1 or of the store. The batches before the error stay confirmed.
pub async fn deliver_journal<S: Sql>(
    db: &impl JournalCopy,
    store: &Store<S>,
    account_id: &str,
    now_ms: impl Fn() -> i64,
    confirmed: impl Fn(u64),
) -> Result<(), String> {
    loop {
        let (after, entries) = store.oldest_undelivered(BATCH).map_err(|e| e.to_string())?;
        let Some(last) = entries.last() else { return Ok(()) };
        deliver_entries(db, account_id, after, &entries, now_ms()).await?;
        confirmed(store.entries_delivered(after, last.seq).map_err(|e| e.to_string())?);
    }
}

/// Puts `entries`, which follow row `after` without a gap, into D1. Returns `Ok` once D1 has all of them.
async fn deliver_entries(
    db: &impl JournalCopy,
    account_id: &str,
    after: u64,
    entries: &[Entry],
    now_ms: i64,
) -> Result<(), String> {
    // The slices that are not delivered yet, the first one last.
    let mut undelivered = vec![entries];
    let mut after = after;
    while let Some(slice) = undelivered.pop() {
        let Some(last) = slice.last() else { continue };
        let Err(problem) = insert(db, account_id, after, last.seq, slice).await else {
            after = last.seq;
            continue;
        };
        if !is_refusal(&problem) {
            return Err(problem);
        }
        if let [entry] = slice {
            db.reject(account_id, entry.seq, &json(entry)?, &problem, now_ms).await?;
            after = entry.seq;
        } else if let Some((first, second)) = slice.split_at_checked(slice.len().div_ceil(2)) {
            undelivered.extend([second, first]);
        }
    }
    Ok(())
}

/// Whether D1 read the rows and refused them. Any other problem is D1's own, and passes.
fn is_refusal(problem: &str) -> bool {
    let problem = problem.to_ascii_lowercase();
    problem.contains("constraint") || problem.contains("too big") || problem.contains("toobig")
}

async fn insert(
    db: &impl JournalCopy,
    account_id: &str,
    after: u64,
    last: u64,
    entries: &[Entry],
) -> Result<(), String> {
    let rows = db.insert(account_id, &json(entries)?, after, last).await?;
    let expected = last.saturating_sub(after);
    if rows == expected { Ok(()) } else { Err(format!("D1 has {rows} of {expected} rows")) }
}

fn json<T: Serialize + ?Sized>(value: &T) -> Result<String, String> {
    serde_json::to_string(value).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests;
