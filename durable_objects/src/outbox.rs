//! From the account's journal to D1, each row once.
//!
//! The one rule: the cursor advances only when D1 has counted the rows without a gap. An insert that
//! D1 applied and whose answer was lost is sent again and changes nothing: rows are keyed by
//! (account, seq).

use billing::ledger::{Entry, Key};
use serde::Deserialize;
use worker::D1Database;

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

const COUNT_ENTRIES: &str = "SELECT count(*) AS rows FROM journal WHERE account_id = ?1 AND seq > ?2 AND seq <= ?3";

const UPSERT_KEY: &str = "INSERT INTO api_keys (account_id, key_id, name, permissions, created_at_ms, revoked_at_ms)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (account_id, key_id) DO UPDATE SET name = excluded.name, permissions = excluded.permissions,
    revoked_at_ms = excluded.revoked_at_ms";

/// Puts `entries`, which follow `after` without a gap, into D1; `Ok` once D1 has all of them.
///
/// # Errors
/// What D1 said, or that rows are missing there.
pub async fn deliver_entries(db: &D1Database, account_id: &str, after: u64, entries: &[Entry]) -> worker::Result<()> {
    let Some(last) = entries.last() else { return Ok(()) };
    let number = |n: u64| worker::wasm_bindgen::JsValue::from_f64(lossless(n));
    let json = serde_json::to_string(entries)?;
    let insert = db.prepare(INSERT_ENTRIES).bind(&[account_id.into(), json.into()])?;
    let count = db.prepare(COUNT_ENTRIES).bind(&[account_id.into(), number(after), number(last.seq)])?;
    let results = db.batch(vec![insert, count]).await?;
    #[derive(Deserialize)]
    struct Count {
        rows: u64,
    }
    let counted = results.get(1).map(|result| result.results::<Count>()).transpose()?.and_then(|mut rows| rows.pop());
    let expected = last.seq.saturating_sub(after);
    match counted {
        Some(Count { rows }) if rows == expected => Ok(()),
        other => Err(format!("D1 has {} of {expected} rows", other.map_or(0, |count| count.rows)).into()),
    }
}

/// Puts the present state of a key into D1.
///
/// # Errors
/// What D1 said.
pub async fn deliver_key(db: &D1Database, account_id: &str, key: &Key) -> worker::Result<()> {
    let time = |ms: i64| worker::wasm_bindgen::JsValue::from_f64(lossless(ms.unsigned_abs()));
    let values = [
        account_id.into(),
        key.key_id.as_str().into(),
        key.name.as_str().into(),
        serde_json::to_string(&key.permissions)?.into(),
        time(key.created_at_ms),
        key.revoked_at_ms.map_or(worker::wasm_bindgen::JsValue::NULL, time),
    ];
    db.prepare(UPSERT_KEY).bind(&values)?.run().await.map(drop)
}

/// Sequence numbers and times are far below 2^53, the border of exact JavaScript numbers.
#[expect(clippy::cast_precision_loss, reason = "bounded above")]
fn lossless(n: u64) -> f64 {
    n.min(1 << 53) as f64
}

#[cfg(test)]
mod tests;
