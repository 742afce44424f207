//! The requests of an account, as far as its journal has been delivered: pages of them by filters.
//!
//! The one rule: no page reads more than [`SCANNED`] rows of the journal, however few of them fit. There is no index
//! for any filter, each of which would cost a written row for each request: `usage_daily` says between which rows
//! of the journal those lie that a filter takes, and the journal is read there, by its primary key. A page that
//! found few says up to where it looked.

use billing::ledger::{BillingStatus, Entry, EntryKind, Outcome, SettledBy, UsageRecord};
use billing::money::NanoUsd;
use serde::{Deserialize, Serialize};
use worker::D1Database;
use worker::wasm_bindgen::JsValue;

use super::number;

/// How many rows of the journal one page reads at most: some milliseconds.
const SCANNED: u64 = 10_000;

const DAY_MS: i64 = 86_400_000;

/// The newest rows of `?2` and below that fit, and where they lie at most.
pub const BEFORE: &str = include_str!("requests/before.sql");
/// The oldest rows of `?2` and above that fit, up to `?10`, and where they lie at most.
pub const AFTER: &str = include_str!("requests/after.sql");

/// Which requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Made at this time or later, in milliseconds since the epoch.
    pub from_ms: i64,
    /// Made before this time, in milliseconds since the epoch.
    pub to_ms: i64,
    /// With this key.
    pub key_id: Option<String>,
    /// Of this model.
    pub model: Option<String>,
    /// By this route.
    pub endpoint: Option<String>,
    /// That ended so.
    pub status: Option<Outcome>,
}

/// A row of the journal that has usage: a request, or what a late settle of it changed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Row {
    /// Its number.
    pub seq: u64,
    /// The request's id.
    pub id: String,
    /// `usage` or `adjustment`.
    pub kind: EntryKind,
    /// When it was charged, in milliseconds since the epoch.
    pub at_ms: i64,
    /// Signed change of the balance.
    pub amount: NanoUsd,
    /// The key; `None`: the account's owner.
    pub key_id: Option<String>,
    /// The route.
    pub endpoint: String,
    /// The model.
    pub model: String,
    /// Token counts.
    pub input: u64,
    /// Token counts.
    pub cache_read: u64,
    /// Token counts.
    pub cache_write_5m: u64,
    /// Token counts.
    pub cache_write_1h: u64,
    /// Token counts.
    pub output: u64,
    /// Token counts.
    pub reasoning: u64,
    /// Calls.
    pub web_searches: u64,
    /// How it ended.
    pub status: Outcome,
    /// What became of its hold.
    pub billing_status: BillingStatus,
    /// Who counted.
    pub settled_by: Option<SettledBy>,
    /// What the balance did not cover.
    pub uncollected: NanoUsd,
    /// What the answer lost on its way.
    pub dropped: Option<String>,
    /// When it was made, in milliseconds since the epoch.
    pub created_at_ms: i64,
}

/// What a page found.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// The rows, in order.
    pub rows: Vec<Row>,
    /// The last row of the journal that was looked at, where there can be more behind it; `None`: nothing more fits.
    pub seen: Option<u64>,
}

/// One row with everything in it: reading JSON at once is far cheaper than rows of JavaScript.
#[derive(Deserialize)]
struct Answer {
    rows: String,
    /// The last row of the journal that was looked at; NULL: nothing can fit.
    seen: Option<u64>,
    /// The last one that can fit.
    last: Option<u64>,
}

impl Filter {
    /// Everything of these days, counted from 1970-01-01, the last one included.
    #[must_use]
    pub fn of_days(first: i64, last: i64) -> Self {
        let start_ms = |day: i64| day.saturating_mul(DAY_MS);
        Self { from_ms: start_ms(first), to_ms: start_ms(last.saturating_add(1)), ..Self::default() }
    }

    /// Whether it takes this usage.
    #[must_use]
    pub fn takes(&self, usage: &UsageRecord) -> bool {
        let is = |wanted: &Option<String>, text: &str| wanted.as_deref().is_none_or(|wanted| wanted == text);
        let is_key = self.key_id.is_none() || self.key_id == usage.key_id;
        (self.from_ms..self.to_ms).contains(&usage.created_at_ms)
            && is_key
            && is(&self.model, &usage.model)
            && is(&self.endpoint, &usage.endpoint)
            && self.status.is_none_or(|status| status == usage.outcome)
    }

    /// The parameters `?3` to `?8` of every statement here: the days that can hold such requests, and the rest.
    pub(super) fn values(&self) -> [JsValue; 6] {
        let text = |text: Option<&str>| text.map_or(JsValue::NULL, JsValue::from_str);
        let status = self.status.map(word);
        [
            number(day_of(self.from_ms).unsigned_abs()),
            number(day_of(self.to_ms.saturating_sub(1)).unsigned_abs()),
            text(self.key_id.as_deref()),
            text(self.model.as_deref()),
            text(self.endpoint.as_deref()),
            text(status.as_deref()),
        ]
    }
}

/// The day of UTC, counted from 1970-01-01.
#[must_use]
pub fn day_of(at_ms: i64) -> i64 {
    at_ms.div_euclid(DAY_MS).max(0)
}

/// A word as it stands in D1: as in JSON, without the quotes.
#[must_use]
pub fn word<T: Serialize>(value: T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

impl Row {
    /// The same row as the account has it; `None`: an entry without usage.
    #[must_use]
    pub fn of(entry: &Entry) -> Option<Self> {
        let record = entry.usage.as_ref()?;
        Some(Self {
            seq: entry.seq,
            id: entry.id.clone(),
            kind: entry.kind,
            at_ms: entry.at_ms,
            amount: entry.amount,
            key_id: record.key_id.clone(),
            endpoint: record.endpoint.clone(),
            model: record.model.clone(),
            input: record.usage.input,
            cache_read: record.usage.cache_read,
            cache_write_5m: record.usage.cache_write_5m,
            cache_write_1h: record.usage.cache_write_1h,
            output: record.usage.output,
            reasoning: record.usage.reasoning,
            web_searches: record.usage.web_searches,
            status: record.outcome,
            billing_status: record.billing_status,
            settled_by: record.settled_by,
            uncollected: record.uncollected,
            dropped: Some(record.dropped.clone()).filter(|dropped| !dropped.is_empty()),
            created_at_ms: record.created_at_ms,
        })
    }

    /// Input of every kind, in tokens.
    #[must_use]
    pub fn all_input(&self) -> u64 {
        let counts = [self.input, self.cache_read, self.cache_write_5m, self.cache_write_1h];
        counts.into_iter().fold(0, u64::saturating_add)
    }
}

/// The newest rows of `seq` and below that fit.
///
/// # Errors
/// What D1 said.
pub async fn before(db: &D1Database, account_id: &str, filter: &Filter, seq: u64, limit: u64) -> worker::Result<Found> {
    let found = ask(db, BEFORE, account_id, filter, seq, limit, None).await?;
    Ok(found.up_to(limit, |seen, last| seen > last))
}

/// The oldest rows of `seq` and above that fit, up to row `most`.
///
/// # Errors
/// What D1 said.
pub async fn after(
    db: &D1Database,
    account_id: &str,
    filter: &Filter,
    seq: u64,
    limit: u64,
    most: u64,
) -> worker::Result<Found> {
    let found = ask(db, AFTER, account_id, filter, seq, limit, Some(most)).await?;
    Ok(found.up_to(limit, |seen, last| seen < last))
}

/// What was looked at and what can fit, beside the rows.
struct Looked {
    rows: Vec<Row>,
    seen: Option<u64>,
    last: Option<u64>,
}

impl Looked {
    /// A full page was looked at up to its last row.
    fn up_to(self, limit: u64, is_more: impl Fn(u64, u64) -> bool) -> Found {
        let full = u64::try_from(self.rows.len()).is_ok_and(|rows| rows >= limit);
        let seen = if full { self.rows.last().map(|row| row.seq) } else { self.seen };
        let more = seen.zip(self.last).is_some_and(|(seen, last)| is_more(seen, last));
        Found { rows: self.rows, seen: seen.filter(|_| more) }
    }
}

async fn ask(
    db: &D1Database,
    sql: &str,
    account_id: &str,
    filter: &Filter,
    seq: u64,
    limit: u64,
    most: Option<u64>,
) -> worker::Result<Looked> {
    let mut values = vec![JsValue::from_str(account_id), number(seq)];
    values.extend(filter.values());
    let time = |ms: i64| number(ms.unsigned_abs());
    values.extend([time(filter.from_ms), time(filter.to_ms), number(SCANNED), number(limit)]);
    values.extend(most.map(number));
    let answer = db.prepare(sql).bind(&values)?.first::<Answer>(None).await?.ok_or("D1 answered nothing")?;
    Ok(Looked { rows: serde_json::from_str(&answer.rows)?, seen: answer.seen, last: answer.last })
}

#[cfg(test)]
mod tests;
