//! What an account used by day and model, as far as its journal has been delivered.

use billing::money::NanoUsd;
use serde::Deserialize;
use worker::D1Database;
use worker::wasm_bindgen::JsValue;

/// How many journal rows one question reads at most, the newest: D1 charges for each, and a thousandth of a dollar
/// buys ten times as many.
const SCANNED: u32 = 100_000;

const SUMS: &str = "SELECT date(created_at_ms / 1000, 'unixepoch') AS day, model, COUNT(*) AS requests,
    SUM(-amount_nano_usd) AS cost_nano_usd,
    SUM(COALESCE(input_tokens, 0) + COALESCE(cache_read_tokens, 0) + COALESCE(cache_write_5m_tokens, 0)
        + COALESCE(cache_write_1h_tokens, 0)) AS input_tokens,
    SUM(COALESCE(output_tokens, 0)) AS output_tokens, SUM(COALESCE(reasoning_tokens, 0)) AS reasoning_tokens
FROM (SELECT * FROM journal WHERE account_id = ?1 ORDER BY seq DESC LIMIT ?2)
WHERE kind = 'usage' AND created_at_ms >= ?3 AND created_at_ms < ?4
GROUP BY day, model ORDER BY day DESC, cost_nano_usd DESC, model";

/// The time up to which the journal is known.
const KNOWN: &str = "SELECT at_ms FROM journal WHERE account_id = ?1 ORDER BY seq DESC LIMIT 1";

/// The requests of one model on one day.
#[derive(Debug, Deserialize)]
pub struct Sum {
    /// Of UTC, as `2026-11-24`.
    pub day: String,
    /// What was asked for.
    pub model: Option<String>,
    /// How many.
    pub requests: u64,
    /// Tokens, those of caches included.
    pub input_tokens: u64,
    /// Tokens.
    pub output_tokens: u64,
    /// Those of the output that were reasoning.
    pub reasoning_tokens: u64,
    cost_nano_usd: i64,
}

impl Sum {
    /// What they cost.
    #[must_use]
    pub fn cost(&self) -> NanoUsd {
        NanoUsd::new(self.cost_nano_usd).unwrap_or_default()
    }
}

#[derive(Deserialize)]
struct Known {
    at_ms: i64,
}

/// Sums of requests that were admitted from `from_ms` to before `to_ms`, in milliseconds since the epoch, the
/// newest day first, and up to when they are known.
///
/// # Errors
/// What D1 said.
pub async fn read(
    db: &D1Database,
    account_id: &str,
    from_ms: i64,
    to_ms: i64,
) -> worker::Result<(Vec<Sum>, Option<i64>)> {
    // Times are far below 2^53, the border of exact JavaScript numbers.
    #[expect(clippy::cast_precision_loss, reason = "a time in milliseconds")]
    let time = |ms: i64| JsValue::from_f64(ms as f64);
    let account = JsValue::from_str(account_id);
    let sums = db.prepare(SUMS).bind(&[account.clone(), SCANNED.into(), time(from_ms), time(to_ms)])?;
    let results = db.batch(vec![sums, db.prepare(KNOWN).bind(&[account])?]).await?;
    let known: Vec<Known> = results.get(1).ok_or("a result of the batch is missing")?.results()?;
    let sums = results.first().ok_or("a result of the batch is missing")?.results()?;
    Ok((sums, known.first().map(|known| known.at_ms)))
}
