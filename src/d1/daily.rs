//! Sums by day, as far as the journal has been delivered.

use billing::money::NanoUsd;
use serde::Deserialize;
use worker::D1Database;
use worker::wasm_bindgen::JsValue;

use super::number;
use super::requests::Filter;

/// The most sums of one answer.
pub const MOST: usize = 10_000;

/// `?9`: what a day's sums are told apart by. The days `?3` to `?4` are whole.
pub const SUMS: &str = "SELECT day,
    CASE ?9 WHEN 'model' THEN model WHEN 'key' THEN key_id WHEN 'endpoint' THEN endpoint ELSE '' END AS name,
    sum(requests) AS requests, sum(input_tokens) AS input, sum(output_tokens) AS output,
    sum(reasoning_tokens) AS reasoning, sum(cost_nano_usd) AS cost
FROM usage_daily
WHERE account_id = ?1 AND day BETWEEN ?3 AND ?4
    AND (?5 IS NULL OR key_id = ?5) AND (?6 IS NULL OR model = ?6)
    AND (?7 IS NULL OR endpoint = ?7) AND (?8 IS NULL OR status = ?8)
GROUP BY 1, 2 LIMIT ?2";

/// The last row of the journal that D1 has.
pub const LAST: &str = "SELECT coalesce(max(seq), 0) AS seq FROM journal WHERE account_id = ?1";

/// The requests of one group on one day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Sum {
    /// Days since 1970-01-01.
    pub day: i64,
    /// The group; empty: all, or the account's owner.
    pub name: String,
    /// How many.
    pub requests: u64,
    /// Input of every kind, in tokens.
    pub input: u64,
    /// Output, in tokens.
    pub output: u64,
    /// That of the output that was reasoning, in tokens.
    pub reasoning: u64,
    /// What they cost, in nano-USD.
    pub cost: i64,
}

impl Sum {
    /// What they cost.
    #[must_use]
    pub fn cost(&self) -> NanoUsd {
        NanoUsd::new(self.cost).unwrap_or_default()
    }

    /// Adds those of another day.
    pub fn add(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
        self.reasoning = self.reasoning.saturating_add(other.reasoning);
        self.cost = self.cost.saturating_add(other.cost);
    }
}

/// The sums, at most one more than [`MOST`], and the last row of the journal that is in them: all in one transaction,
/// so that neither moves against the other.
///
/// # Errors
/// What D1 said.
pub async fn read(db: &D1Database, account_id: &str, filter: &Filter, by: &str) -> worker::Result<(Vec<Sum>, u64)> {
    #[derive(Deserialize)]
    struct Last {
        seq: u64,
    }
    let account = JsValue::from_str(account_id);
    let most = u64::try_from(MOST).unwrap_or(u64::MAX).saturating_add(1);
    let mut values = vec![account.clone(), number(most)];
    values.extend(filter.values());
    values.push(by.into());
    let results = db.batch(vec![db.prepare(SUMS).bind(&values)?, db.prepare(LAST).bind(&[account])?]).await?;
    let [sums, last] = results.as_slice() else { return Err("D1 answers otherwise than it was asked".into()) };
    let last = last.results::<Last>()?.first().map_or(0, |last| last.seq);
    Ok((sums.results()?, last))
}
