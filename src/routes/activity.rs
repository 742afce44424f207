//! `GET /v1/activity?date=YYYY-MM-DD`: requests by day and model, of the last thirty days or of one.

use billing::ledger::Permission;
use chrono::NaiveDate;
use serde::Serialize;
use serde_json::value::RawValue;
use worker::{Request, Response};

use super::number;
use crate::console::caller::Caller;
use crate::console::daily::{self, Group, date};
use crate::console::page::invalid;
use crate::console::rfc3339;
use crate::context::Context;
use crate::d1::daily::Sum;
use crate::d1::requests::{Filter, day_of};
use crate::error::ApiError;

/// How many days are shown, today included.
const DAYS: i64 = 30;

#[derive(Serialize)]
struct ActivityView {
    data: Vec<DayView>,
    /// What was charged until then is in the sums.
    as_of: String,
}

#[derive(Serialize)]
struct DayView {
    /// Of UTC, by when requests were made.
    date: String,
    model: String,
    model_permaslug: String,
    /// USD.
    usage: Option<Box<RawValue>>,
    byok_usage_inference: u8,
    requests: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
    reasoning_tokens: u64,
    usage_usd: String,
}

/// Shows it to keys that may read the account.
///
/// # Errors
/// `invalid_api_key`; `invalid_request` for what is no date.
pub async fn get(request: &Request, context: &Context) -> Result<Response, ApiError> {
    let caller = Caller::of_key(request.headers(), Permission::AccountRead, context).await?;
    let url = request.url()?;
    let asked =
        url.query_pairs().find(|(name, date)| name == "date" && !date.is_empty()).map(|(_, date)| date.into_owned());
    let (first, last) = days(asked.as_deref(), context.started_ms)
        .ok_or_else(|| invalid("date", "The date must be a day of UTC: 2026-11-24."))?;
    let summed = daily::sum(&caller, &Filter::of_days(first, last), Group::Model, context).await?;
    let data = summed.sums.into_iter().map(view).collect();
    Ok(Response::from_json(&ActivityView { data, as_of: rfc3339(summed.as_of_ms) })?)
}

fn view(sum: Sum) -> DayView {
    DayView {
        date: date(sum.day),
        usage: number(sum.cost()),
        usage_usd: sum.cost().to_string(),
        model_permaslug: sum.name.clone(),
        model: sum.name,
        byok_usage_inference: 0,
        requests: sum.requests,
        prompt_tokens: sum.input,
        completion_tokens: sum.output,
        reasoning_tokens: sum.reasoning,
    }
}

/// The first and the last day, counted from 1970-01-01; `None`: that is no date.
fn days(asked: Option<&str>, now_ms: i64) -> Option<(i64, i64)> {
    let Some(asked) = asked else {
        let today = day_of(now_ms);
        return Some((today.saturating_sub(DAYS).saturating_add(1), today));
    };
    let midnight = NaiveDate::parse_from_str(asked, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0)?;
    let day = day_of(midnight.and_utc().timestamp_millis());
    Some((day, day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_utc() {
        let (now_ms, today) = (1_800_000_000_000, 20_833);
        assert_eq!(date(today), "2027-01-15");
        assert_eq!(days(None, now_ms), Some((today - 29, today)));
        assert_eq!(days(Some("2027-01-14"), now_ms), Some((today - 1, today - 1)));
        for wrong in ["", "yesterday", "2027-02-30", "2027-1-15T00:00:00Z"] {
            assert_eq!(days(Some(wrong), now_ms), None, "{wrong}");
        }
    }
}
