//! From the account's journal to D1, each row once.
//!
//! The one rule: the cursor advances only when D1 has counted the rows without a gap. An insert that
//! D1 applied and whose answer was lost is sent again and changes nothing: rows are keyed by
//! (account, seq). A batch that D1 refuses is halved down to the row that it does not take, which is set
//! aside in `outbox_rejects`; when D1 takes nothing at all, everything waits. An audit may set the cursor back
//! while rows travel; they then do not move it.

use billing::ledger::{Entry, Key};
use serde::{Deserialize, Serialize};
use worker::wasm_bindgen::JsValue;
use worker::{D1Database, console_error};

use crate::audit::Copy;
use crate::sql::Sql;
use crate::store::Store;

/// How many rows travel in one insert: one JSON parameter of about 60 kB.
pub const BATCH: u64 = 100;

/// The rows of a JSON array, `?2`. Token counts may be absent, so `->>` reads them as NULL; booleans of JSON become 0 and 1.
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

/// Rows that D1 has, those set aside among them; one that stands in both, since it was mended, counts once.
pub const COUNT_ENTRIES: &str = "SELECT count(*) AS rows FROM (
    SELECT seq FROM journal WHERE account_id = ?1 AND seq > ?2 AND seq <= ?3
    UNION SELECT seq FROM outbox_rejects WHERE account_id = ?1 AND seq > ?2 AND seq <= ?3)";

/// Rows behind `?2`, up to `?3`, as an audit reads them.
pub const SELECT_LINES: &str = "SELECT seq, id, amount_nano_usd AS amount, balance_after_nano_usd AS balance_after
FROM journal WHERE account_id = ?1 AND seq > ?2 AND seq <= ?3 ORDER BY seq";

/// Rows behind `?2`, up to `?3`, that were set aside.
pub const SELECT_SET_ASIDE: &str = "SELECT seq FROM outbox_rejects WHERE account_id = ?1 AND seq > ?2 AND seq <= ?3
ORDER BY seq";

/// Sets a row aside, once.
pub const REJECT_ENTRY: &str = "INSERT INTO outbox_rejects (account_id, seq, entry, problem, at_ms)
VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (account_id, seq) DO NOTHING";

/// A key as it is now.
pub const UPSERT_KEY: &str = "INSERT INTO api_keys
    (account_id, key_id, name, permissions, limits, parent_key_id, created_at_ms, revoked_at_ms)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT (account_id, key_id) DO UPDATE SET name = excluded.name, limits = excluded.limits,
    parent_key_id = excluded.parent_key_id, revoked_at_ms = excluded.revoked_at_ms";

/// An automatic top-up waits, and the Worker's cron is to charge it.
const TELL_DUE_TOPUP: &str = "INSERT INTO due_topups (account_id, at_ms) VALUES (?1, ?2)
ON CONFLICT (account_id) DO NOTHING";

/// What the journal's delivery asks of D1, so that the same delivery runs against a native SQLite. An
/// error is what D1 said.
#[expect(async_fn_in_trait, reason = "an object has one thread: no future needs to be `Send`")]
pub trait JournalCopy {
    /// Runs [`INSERT_ENTRIES`] with `entries`, a JSON array, and in the same transaction
    /// [`COUNT_ENTRIES`] of the rows behind `after`, up to `last`; that count.
    async fn insert(&self, account_id: &str, entries: &str, after: u64, last: u64) -> Result<u64, String>;

    /// Runs [`REJECT_ENTRY`] for row `seq`.
    async fn reject(&self, account_id: &str, seq: u64, entry: &str, problem: &str, now_ms: i64) -> Result<(), String>;
}

/// Puts all journal rows that D1 has not confirmed into it, batch by batch; `confirmed` hears where the
/// cursor stands.
///
/// # Errors
/// What D1 or the store said. What was confirmed before stays so.
pub async fn deliver_journal<S: Sql>(
    db: &impl JournalCopy,
    store: &Store<S>,
    account_id: &str,
    now_ms: impl Fn() -> i64,
    confirmed: impl Fn(u64),
) -> Result<(), String> {
    loop {
        let (after, entries) = store.undelivered_entries(BATCH).map_err(|e| e.to_string())?;
        let Some(last) = entries.last() else { return Ok(()) };
        deliver_entries(db, account_id, after, &entries, now_ms()).await?;
        confirmed(store.entries_delivered(after, last.seq).map_err(|e| e.to_string())?);
    }
}

/// Tells the cron of an automatic top-up that nobody may have charged.
///
/// # Errors
/// What D1 said.
pub async fn tell_due_topup(db: &D1Database, account_id: &str, now_ms: i64) -> worker::Result<()> {
    // Times are far below 2^53, the border of exact JavaScript numbers.
    #[expect(clippy::cast_precision_loss, reason = "a time in milliseconds")]
    let now = JsValue::from_f64(now_ms as f64);
    db.prepare(TELL_DUE_TOPUP).bind(&[account_id.into(), now])?.run().await.map(drop)
}

/// Puts `entries`, which follow `after` without a gap, into D1; `Ok` once D1 has all of them.
async fn deliver_entries(
    db: &impl JournalCopy,
    account_id: &str,
    after: u64,
    entries: &[Entry],
    now_ms: i64,
) -> Result<(), String> {
    // Slices that are still to be delivered, the first on top.
    let mut waiting = vec![entries];
    let mut after = after;
    while let Some(slice) = waiting.pop() {
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
            waiting.extend([second, first]);
        }
    }
    Ok(())
}

/// Whether D1 read the rows and did not take them; anything else is D1's own trouble, and passes.
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

impl JournalCopy for D1Database {
    async fn insert(&self, account_id: &str, entries: &str, after: u64, last: u64) -> Result<u64, String> {
        #[derive(Deserialize)]
        struct Count {
            rows: u64,
        }
        let run = async {
            let insert = self.prepare(INSERT_ENTRIES).bind(&[account_id.into(), entries.into()])?;
            let count = self.prepare(COUNT_ENTRIES).bind(&[account_id.into(), number(after), number(last)])?;
            let results = self.batch(vec![insert, count]).await?;
            let counted = results.get(1).map(|result| result.results::<Count>()).transpose()?;
            Ok(counted.and_then(|mut rows| rows.pop()).map_or(0, |count| count.rows))
        };
        run.await.map_err(|e: worker::Error| e.to_string())
    }

    async fn reject(&self, account_id: &str, seq: u64, entry: &str, problem: &str, now_ms: i64) -> Result<(), String> {
        let now = number(now_ms.unsigned_abs());
        let values = [account_id.into(), number(seq), entry.into(), problem.into(), now];
        let run = async { self.prepare(REJECT_ENTRY).bind(&values)?.run().await };
        run.await.map_err(|e: worker::Error| e.to_string())?;
        console_error!("outbox: {account_id} row {seq} was set aside: {problem}");
        Ok(())
    }
}

/// What D1 has of the rows behind `after`, up to `last`, for an audit.
///
/// # Errors
/// What D1 said.
pub async fn copy(db: &D1Database, account_id: &str, after: u64, last: u64) -> worker::Result<Copy> {
    #[derive(Deserialize)]
    struct SetAside {
        seq: u64,
    }
    let values = [account_id.into(), number(after), number(last)];
    let ask = [SELECT_LINES, SELECT_SET_ASIDE].map(|sql| db.prepare(sql).bind(&values));
    let results = db.batch(ask.into_iter().collect::<worker::Result<_>>()?).await?;
    let [lines, set_aside] = results.as_slice() else { return Err("D1 answers otherwise than it was asked".into()) };
    let set_aside = set_aside.results::<SetAside>()?.into_iter().map(|row| row.seq).collect();
    Ok(Copy { lines: lines.results()?, set_aside })
}

/// Puts the present state of a key into D1.
///
/// # Errors
/// What D1 said.
pub async fn deliver_key(db: &D1Database, account_id: &str, key: &Key) -> worker::Result<()> {
    let time = |ms: i64| number(ms.unsigned_abs());
    let values = [
        account_id.into(),
        key.key_id.as_str().into(),
        key.name.as_str().into(),
        serde_json::to_string(&key.permissions)?.into(),
        serde_json::to_string(&key.limits)?.into(),
        key.parent.as_deref().map_or(JsValue::NULL, JsValue::from_str),
        time(key.created_at_ms),
        key.revoked_at_ms.map_or(JsValue::NULL, time),
    ];
    db.prepare(UPSERT_KEY).bind(&values)?.run().await.map(drop)
}

fn number(n: u64) -> JsValue {
    JsValue::from_f64(lossless(n))
}

/// Sequence numbers and times are far below 2^53, the border of exact JavaScript numbers.
#[expect(clippy::cast_precision_loss, reason = "bounded by the minimum")]
fn lossless(n: u64) -> f64 {
    n.min(1 << 53) as f64
}

#[cfg(test)]
mod tests;
