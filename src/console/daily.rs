//! `GET /console/api/usage/daily`: sums by day, of UTC.

use std::collections::BTreeMap;

use account::tail::{MAX_ROWS, Reading, Rows};
use billing::ledger::{EntryKind, Outcome, Permission};
use chrono::DateTime;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use worker::{Headers, Response, Url};

use super::caller::Caller;
use super::page::{self, ErrorView, Span, invalid};
use super::recent;
use crate::console::rfc3339;
use crate::context::Context;
use crate::d1::daily::{self, MOST, Sum};
use crate::d1::requests::{Filter, Row, day_of, word};
use crate::error::{ApiError, Code};
use crate::{d1, ids};

const DAY_MS: i64 = 86_400_000;
/// Without `from`, in days, `to` included.
const DEFAULT_DAYS: i64 = 30;
/// The most days of one question.
const MOST_DAYS: i64 = 400;
/// How often the account is asked for rows that D1 does not have: for 20,000 of them.
const MOST_CALLS: usize = 40;

/// Which sums.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DailyQuery {
    /// From the day of this date or time on; when absent, 30 days. At most 400 days are summed up at once.
    pub from: Option<String>,
    /// Up to the day of this date or time, with it; when absent, up to today.
    pub to: Option<String>,
    /// What each sum is of; `none` when absent.
    #[serde(default)]
    pub by: Group,
    /// Only requests of this key.
    pub key_id: Option<String>,
    /// Only requests of this model.
    pub model: Option<String>,
    /// Only requests by this route.
    pub endpoint: Option<String>,
    /// Only requests that ended so.
    pub status: Option<Outcome>,
}

/// What a day's requests are told apart by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// The model.
    Model,
    /// The id of the key.
    Key,
    /// The route.
    Endpoint,
    /// Nothing: one sum a day.
    #[default]
    None,
}

/// The requests that were made on one day, or one group of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DayView {
    /// A date of UTC.
    #[schema(format = Date)]
    pub day: String,
    /// The model, the key's id or the route; `null`: all, or what the owner did without a key.
    #[schema(required)]
    pub group: Option<String>,
    /// How many.
    pub requests: u64,
    /// Input of every kind, in tokens.
    pub input_tokens: u64,
    /// Output, reasoning included, in tokens.
    pub output_tokens: u64,
    /// That of the output that was reasoning, in tokens.
    pub reasoning_tokens: u64,
    /// What was charged; decimal USD.
    pub cost_usd: String,
}

/// Sums by day.
#[derive(Debug, Serialize, ToSchema)]
pub struct DailyView {
    /// The newest day first, in it the dearest group first; days without requests are left out.
    pub data: Vec<DayView>,
    /// What was charged until then is in the sums.
    #[schema(format = DateTime)]
    pub as_of: String,
}

/// Sums up requests by day.
///
/// # Errors
/// `invalid_api_key`, `invalid_request`.
#[utoipa::path(get, path = "/console/api/usage/daily", tag = "usage", operation_id = "dailyUsage", params(DailyQuery),
    responses((status = 200, body = DailyView), (status = "default", body = ErrorView)))]
pub async fn list(headers: &Headers, url: &Url, context: &Context) -> Result<Response, ApiError> {
    let caller = Caller::new(headers, Permission::AccountRead, context).await?;
    let query: DailyQuery = page::query(url)?;
    let (first, last) = days(query.from.as_deref(), query.to.as_deref(), context.started_ms)?;
    let DailyQuery { by, key_id, model, endpoint, status, .. } = query;
    let filter = Filter { key_id, model, endpoint, status, ..Filter::of_days(first, last) };
    let Summed { sums, as_of_ms } = sum(&caller, &filter, by, context).await?;
    Ok(Response::from_json(&DailyView { data: sums.into_iter().map(view).collect(), as_of: rfc3339(as_of_ms) })?)
}

/// A caller's requests, summed up.
pub struct Summed {
    /// The newest day first, in it the dearest group first.
    pub sums: Vec<Sum>,
    /// What was charged until then is in them, in milliseconds since the epoch.
    pub as_of_ms: i64,
}

/// Sums of the caller's requests that `filter`, which is of whole days, takes: by day, and in it by `by`.
///
/// # Errors
/// What a refusal or silence of the account means to the caller; `invalid_request` where they are too many.
pub async fn sum(caller: &Caller, filter: &Filter, by: Group, context: &Context) -> Result<Summed, ApiError> {
    // D1 first: its sums say which row is the last in them, and the account has all rows behind it.
    let (db, account_id) = (context.env.d1(d1::BINDING)?, ids::account_id(&caller.routing_id));
    let (sums, mut seq) = daily::read(&db, &account_id, filter, &word(by)).await?;
    let mut sums: Sums = sums.into_iter().map(|sum| ((sum.day, sum.name.clone()), sum)).collect();
    let mut as_of_ms = context.started_ms;
    for call in 1..=MOST_CALLS {
        let reading = Reading { rows: Rows::After { seq }, limit: MAX_ROWS, names: false };
        let tail = recent::read(caller, reading).await?;
        for entry in &tail.entries {
            seq = entry.seq;
            let row = Row::of(entry).filter(|_| entry.usage.as_ref().is_some_and(|usage| filter.takes(usage)));
            row.iter().for_each(|row| add(&mut sums, row, by));
        }
        if seq >= tail.seq {
            break;
        }
        if call == MOST_CALLS {
            as_of_ms = tail.entries.last().map_or(as_of_ms, |entry| entry.at_ms);
        }
    }
    if sums.len() > MOST {
        let sentence = format!("These are more than {MOST} sums: ask for fewer days, or for one key or model.");
        return Err(ApiError::new(Code::InvalidRequest, sentence));
    }
    let mut sums: Vec<Sum> = sums.into_values().collect();
    sums.sort_by(|a, b| (b.day, b.cost, &a.name).cmp(&(a.day, a.cost, &b.name)));
    Ok(Summed { sums, as_of_ms })
}

type Sums = BTreeMap<(i64, String), Sum>;

/// The first and the last day, counted from 1970-01-01.
fn days(from: Option<&str>, to: Option<&str>, now_ms: i64) -> Result<(i64, i64), ApiError> {
    let span = Span::read(from, to)?;
    let last = if to.is_some() { day_of(span.to_ms.saturating_sub(1)) } else { day_of(now_ms) };
    let default = last.saturating_sub(DEFAULT_DAYS).saturating_add(1).max(0);
    let first = if from.is_some() { day_of(span.from_ms) } else { default };
    if last.saturating_sub(first) >= MOST_DAYS {
        return Err(invalid("from", &format!("At most {MOST_DAYS} days are summed up at once.")));
    }
    Ok((first, last))
}

/// Adds a row that D1 does not have, as its trigger will: a late settle changes what was charged, and is no second
/// request.
fn add(sums: &mut Sums, row: &Row, by: Group) {
    let day = day_of(row.created_at_ms);
    let name = match by {
        Group::Model => row.model.clone(),
        Group::Key => row.key_id.clone().unwrap_or_default(),
        Group::Endpoint => row.endpoint.clone(),
        Group::None => String::new(),
    };
    let empty = Sum { day, name: name.clone(), ..Sum::default() };
    let sum = sums.entry((day, name)).or_insert(empty);
    sum.cost = sum.cost.saturating_sub(row.amount.nano());
    if row.kind == EntryKind::Usage {
        sum.requests = sum.requests.saturating_add(1);
        sum.input = sum.input.saturating_add(row.all_input());
        sum.output = sum.output.saturating_add(row.output);
        sum.reasoning = sum.reasoning.saturating_add(row.reasoning);
    }
}

fn view(sum: Sum) -> DayView {
    DayView {
        day: date(sum.day),
        cost_usd: sum.cost().to_string(),
        group: Some(sum.name).filter(|name| !name.is_empty()),
        requests: sum.requests,
        input_tokens: sum.input,
        output_tokens: sum.output,
        reasoning_tokens: sum.reasoning,
    }
}

/// The day as a date.
#[must_use]
pub fn date(day: i64) -> String {
    let midnight = DateTime::from_timestamp_millis(day.saturating_mul(DAY_MS)).unwrap_or_default();
    midnight.date_naive().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_days_end_today_and_four_hundred_are_the_most() {
        let now_ms = 1_795_478_400_000 + 5;
        let today = 20_781;
        for (from, to, expected) in [
            (None, None, (today - 29, today)),
            (Some("2026-11-24"), None, (today, today)),
            (Some("2026-11-20T13:00:00Z"), Some("2026-11-21T00:00:00Z"), (today - 4, today - 4)),
            (Some("2026-11-20"), Some("2026-11-21"), (today - 4, today - 3)),
            (None, Some("2026-11-21"), (today - 32, today - 3)),
            (None, Some("1970-01-02"), (0, 1)),
        ] {
            assert_eq!(days(from, to, now_ms), Ok(expected), "{from:?} {to:?}");
        }
        assert_eq!(date(today), "2026-11-24");
        assert_eq!(days(Some("2020-01-01"), None, now_ms).unwrap_err().param.as_deref(), Some("from"));
    }
}
