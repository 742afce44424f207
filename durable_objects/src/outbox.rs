//! From the account's journal to D1, each row once.
//!
//! The one rule: the cursor advances only when D1 has counted the rows without a gap. An insert that
//! D1 applied and whose answer was lost is sent again and changes nothing: rows are keyed by
//! (account, seq). A batch that D1 refuses is halved down to the row that it does not take, which is set
//! aside in `outbox_rejects`; when D1 takes nothing at all, everything waits.

use billing::ledger::{Entry, Key};
use serde::Deserialize;
use worker::wasm_bindgen::JsValue;
use worker::{D1Database, console_error};

use crate::audit::Line;

/// How many rows travel in one insert: one JSON parameter of about 60 kB.
pub const BATCH: u64 = 100;

/// Token counts may be absent, so `->>` reads them as NULL; booleans of JSON become 0 and 1.
const INSERT_ENTRIES: &str = "INSERT INTO journal (
    account_id, seq, id, kind, at_ms, amount_nano_usd, balance_after_nano_usd, key_id, endpoint, model, upstream,
    input_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, output_tokens, reasoning_tokens,
    web_searches, status, billing_status, settled_by, uncollected_nano_usd, lost_nano_usd, price_version, unpriced,
    created_at_ms)
SELECT ?1, value->>'$.seq', value->>'$.id', value->>'$.kind', value->>'$.at_ms', value->>'$.amount',
    value->>'$.balance_after', value->>'$.usage.key_id', value->>'$.usage.endpoint', value->>'$.usage.model',
    value->>'$.usage.upstream', value->>'$.usage.usage.input', value->>'$.usage.usage.cache_read',
    value->>'$.usage.usage.cache_write_5m', value->>'$.usage.usage.cache_write_1h', value->>'$.usage.usage.output',
    value->>'$.usage.usage.reasoning', value->>'$.usage.usage.web_searches', value->>'$.usage.outcome',
    value->>'$.usage.billing_status', value->>'$.usage.settled_by', value->>'$.usage.uncollected',
    value->>'$.usage.lost', value->>'$.usage.price_version',
    CASE WHEN value->>'$.usage' IS NULL THEN NULL ELSE coalesce(value->>'$.usage.unpriced', 0) END,
    value->>'$.usage.created_at_ms'
FROM json_each(?2) WHERE true ON CONFLICT (account_id, seq) DO NOTHING";

/// Rows that D1 has, those set aside among them.
const COUNT_ENTRIES: &str = "SELECT
    (SELECT count(*) FROM journal WHERE account_id = ?1 AND seq > ?2 AND seq <= ?3)
    + (SELECT count(*) FROM outbox_rejects WHERE account_id = ?1 AND seq > ?2 AND seq <= ?3) AS rows";

const SELECT_LINES: &str = "SELECT seq, id, amount_nano_usd AS amount, balance_after_nano_usd AS balance_after
FROM journal WHERE account_id = ?1 AND seq > ?2 AND seq <= ?3 ORDER BY seq";

const REJECT_ENTRY: &str = "INSERT INTO outbox_rejects (account_id, seq, entry, problem, at_ms)
VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (account_id, seq) DO NOTHING";

const UPSERT_KEY: &str = "INSERT INTO api_keys
    (account_id, key_id, name, permissions, limits, parent_key_id, created_at_ms, revoked_at_ms)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT (account_id, key_id) DO UPDATE SET name = excluded.name, limits = excluded.limits,
    revoked_at_ms = excluded.revoked_at_ms";

/// Puts `entries`, which follow `after` without a gap, into D1; `Ok` with the number of rows set aside
/// once D1 has all of them.
///
/// # Errors
/// What D1 said: it takes nothing, or has lost rows.
pub async fn deliver_entries(
    db: &D1Database,
    account_id: &str,
    after: u64,
    entries: &[Entry],
    now_ms: i64,
) -> worker::Result<u64> {
    let mut rejected: u64 = 0;
    // Slices that are still to be delivered, the first on top.
    let mut waiting = vec![entries];
    let mut after = after;
    while let Some(slice) = waiting.pop() {
        let Some(last) = slice.last() else { continue };
        let Err(error) = insert(db, account_id, after, last.seq, slice).await else {
            after = last.seq;
            continue;
        };
        let problem = error.to_string();
        if !is_refusal(&problem) {
            return Err(error);
        }
        if let [entry] = slice {
            reject(db, account_id, entry, &problem, now_ms).await?;
            console_error!("outbox: {account_id} row {} was set aside: {problem}", entry.seq);
            rejected = rejected.saturating_add(1);
            after = entry.seq;
        } else if let Some((first, second)) = slice.split_at_checked(slice.len().div_ceil(2)) {
            waiting.extend([second, first]);
        }
    }
    Ok(rejected)
}

/// Whether D1 read the rows and did not take them; anything else is D1's own trouble, and passes.
fn is_refusal(problem: &str) -> bool {
    let problem = problem.to_ascii_lowercase();
    problem.contains("constraint") || problem.contains("too big") || problem.contains("toobig")
}

async fn insert(db: &D1Database, account_id: &str, after: u64, last: u64, entries: &[Entry]) -> worker::Result<()> {
    let json = serde_json::to_string(entries)?;
    let insert = db.prepare(INSERT_ENTRIES).bind(&[account_id.into(), json.into()])?;
    let count = db.prepare(COUNT_ENTRIES).bind(&[account_id.into(), number(after), number(last)])?;
    let results = db.batch(vec![insert, count]).await?;
    #[derive(Deserialize)]
    struct Count {
        rows: u64,
    }
    let counted = results.get(1).map(|result| result.results::<Count>()).transpose()?.and_then(|mut rows| rows.pop());
    let expected = last.saturating_sub(after);
    match counted {
        Some(Count { rows }) if rows == expected => Ok(()),
        other => Err(format!("D1 has {} of {expected} rows", other.map_or(0, |count| count.rows)).into()),
    }
}

async fn reject(db: &D1Database, account_id: &str, entry: &Entry, problem: &str, now_ms: i64) -> worker::Result<()> {
    let values = [
        account_id.into(),
        number(entry.seq),
        serde_json::to_string(entry)?.into(),
        problem.into(),
        number(now_ms.unsigned_abs()),
    ];
    db.prepare(REJECT_ENTRY).bind(&values)?.run().await.map(drop)
}

/// D1's copy of the rows behind `after`, up to `last`, for an audit.
///
/// # Errors
/// What D1 said.
pub async fn lines(db: &D1Database, account_id: &str, after: u64, last: u64) -> worker::Result<Vec<Line>> {
    db.prepare(SELECT_LINES).bind(&[account_id.into(), number(after), number(last)])?.all().await?.results()
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
