//! What an account's requests used and cost, as far as its journal has been delivered.
//!
//! The one rule: whatever is asked for, no more than the newest [`SCANNED`] rows are read.

use billing::money::NanoUsd;
use serde::Deserialize;
use worker::D1Database;
use worker::wasm_bindgen::JsValue;

/// How many journal rows one question reads at most: D1 charges for each.
const SCANNED: u32 = 10_000;

/// The time up to which the journal is known, and how far back the rows below reach.
const KNOWN: &str = "SELECT MAX(at_ms) AS as_of_ms, MIN(at_ms) AS from_ms, MIN(seq) AS from_seq FROM (
    SELECT at_ms, seq FROM journal WHERE account_id = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3)";

const REQUESTS: &str = "SELECT * FROM (
    SELECT * FROM journal WHERE account_id = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3)
WHERE kind = 'usage' AND created_at_ms >= ?4 AND (?5 IS NULL OR model = ?5) AND (?6 IS NULL OR key_id = ?6)
ORDER BY seq DESC LIMIT ?7";

const SUMS: &str = "SELECT model, COUNT(*) AS requests, SUM(-amount_nano_usd) AS cost_nano_usd,
    SUM(COALESCE(input_tokens, 0) + COALESCE(cache_read_tokens, 0) + COALESCE(cache_write_5m_tokens, 0)
        + COALESCE(cache_write_1h_tokens, 0)) AS input_tokens,
    SUM(COALESCE(output_tokens, 0)) AS output_tokens
FROM (SELECT * FROM journal WHERE account_id = ?1 ORDER BY seq DESC LIMIT ?2)
WHERE kind = 'usage' AND created_at_ms >= ?3 AND (?4 IS NULL OR model = ?4) AND (?5 IS NULL OR key_id = ?5)
GROUP BY model ORDER BY cost_nano_usd DESC, model LIMIT 100";

/// What is asked for.
pub struct Question<'a> {
    /// Whose.
    pub account_id: &'a str,
    /// Admitted at this time or later, in milliseconds since the epoch.
    pub since_ms: i64,
    /// Only this model.
    pub model: Option<&'a str>,
    /// Only this key.
    pub key_id: Option<&'a str>,
    /// Only journal rows before this one.
    pub before: Option<u32>,
    /// The most requests.
    pub limit: usize,
}

/// What is known.
pub struct Known {
    /// When the newest row was made; `None`: there is none.
    pub as_of_ms: Option<i64>,
    /// The newest first.
    pub requests: Vec<Row>,
    /// Where the next page begins.
    pub next: Option<u32>,
    /// By model, the dearest first; empty behind the first page.
    pub sums: Vec<Sum>,
    /// Whether the rows that were read reach back to `since_ms`.
    pub is_complete: bool,
}

/// One request.
#[derive(Deserialize)]
pub struct Row {
    seq: u32,
    /// The request's id.
    pub id: String,
    /// When it was admitted, in milliseconds since the epoch.
    pub created_at_ms: i64,
    /// What was asked for.
    pub model: Option<String>,
    /// The route.
    pub endpoint: Option<String>,
    /// Which key asked.
    pub key_id: Option<String>,
    /// How it ended.
    pub status: Option<String>,
    input_tokens: Option<u64>,
    cache_read_tokens: Option<u64>,
    cache_write_5m_tokens: Option<u64>,
    cache_write_1h_tokens: Option<u64>,
    output_tokens: Option<u64>,
    amount_nano_usd: i64,
}

/// The requests of one model.
#[derive(Deserialize)]
pub struct Sum {
    /// Its id.
    pub model: Option<String>,
    /// How many.
    pub requests: u64,
    /// Tokens, those of caches included.
    pub input_tokens: u64,
    /// Tokens.
    pub output_tokens: u64,
    cost_nano_usd: i64,
}

impl Row {
    /// Tokens, those of caches included.
    #[must_use]
    pub fn input(&self) -> u64 {
        let counts =
            [self.input_tokens, self.cache_read_tokens, self.cache_write_5m_tokens, self.cache_write_1h_tokens];
        counts.into_iter().flatten().fold(0, u64::saturating_add)
    }

    /// Tokens.
    #[must_use]
    pub fn output(&self) -> u64 {
        self.output_tokens.unwrap_or(0)
    }

    /// What it cost.
    #[must_use]
    pub fn cost(&self) -> NanoUsd {
        NanoUsd::new(self.amount_nano_usd).unwrap_or_default().negated()
    }
}

impl Sum {
    /// What they cost.
    #[must_use]
    pub fn cost(&self) -> NanoUsd {
        NanoUsd::new(self.cost_nano_usd).unwrap_or_default()
    }
}

#[derive(Deserialize)]
struct Reach {
    as_of_ms: Option<i64>,
    from_ms: Option<i64>,
    from_seq: Option<u32>,
}

/// Reads it.
///
/// # Errors
/// What D1 said.
pub async fn read(db: &D1Database, question: &Question<'_>) -> worker::Result<Known> {
    let Question { account_id, since_ms, model, key_id, before, limit } = *question;
    // Times are far below 2^53, the border of exact JavaScript numbers.
    #[expect(clippy::cast_precision_loss, reason = "a time in milliseconds")]
    let since = JsValue::from_f64(since_ms as f64);
    let text = |text: Option<&str>| text.map_or(JsValue::NULL, JsValue::from_str);
    let account = JsValue::from_str(account_id);
    let border = JsValue::from(before.unwrap_or(u32::MAX));
    let most = JsValue::from(SCANNED);
    // One more than a page tells whether there is another.
    let page = JsValue::from(u32::try_from(limit.saturating_add(1)).unwrap_or(u32::MAX));
    let mut statements = vec![
        db.prepare(KNOWN).bind(&[account.clone(), border.clone(), most.clone()])?,
        db.prepare(REQUESTS).bind(&[
            account.clone(),
            border,
            most.clone(),
            since.clone(),
            text(model),
            text(key_id),
            page,
        ])?,
    ];
    if before.is_none() {
        statements.push(db.prepare(SUMS).bind(&[account, most, since, text(model), text(key_id)])?);
    }
    let results = db.batch(statements).await?;
    let reach: Vec<Reach> = results.first().ok_or("a result of the batch is missing")?.results()?;
    let reach = reach.into_iter().next().ok_or("the reach is missing")?;
    let mut requests: Vec<Row> = results.get(1).ok_or("a result of the batch is missing")?.results()?;
    let sums = results.get(2).map(|result| result.results()).transpose()?.unwrap_or_default();
    // Journal rows have the numbers from 1 on without gaps.
    let is_complete = reach.from_seq.is_none_or(|seq| seq == 1) || reach.from_ms.is_some_and(|ms| ms < since_ms);
    let next = if requests.len() > limit {
        requests.truncate(limit);
        requests.last().map(|row| row.seq)
    } else {
        reach.from_seq.filter(|_| !is_complete)
    };
    Ok(Known { as_of_ms: reach.as_of_ms, requests, next, sums, is_complete })
}
