//! `GET /v1/activity?date=YYYY-MM-DD`: requests by day and model, of the last thirty days or of one.

use billing::ledger::Permission;
use chrono::{Days, NaiveDate};
use serde::Serialize;
use serde_json::value::RawValue;
use worker::{Request, Response};

use super::number;
use crate::console::rfc3339;
use crate::context::Context;
use crate::d1::{self, activity};
use crate::error::{ApiError, Code};
use crate::{auth, ids};

/// How many days are shown, today included.
const DAYS: u64 = 30;
const DAY_MS: i64 = 86_400_000;

#[derive(Serialize)]
struct ActivityView {
    data: Vec<DayView>,
    /// Up to when requests are known; null: there are none.
    as_of: Option<String>,
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
    let key = auth::api_key(request.headers(), context)?;
    auth::authorize(&key, Permission::AccountRead, context).await?;
    let url = request.url()?;
    let date = url.query_pairs().find(|(name, _)| name == "date").map(|(_, date)| date.into_owned());
    let (from_ms, to_ms) = span(date.as_deref(), context.started_ms).ok_or_else(|| ApiError {
        param: Some("date".into()),
        ..ApiError::new(Code::InvalidRequest, "The date must be a day of UTC: 2026-11-24.")
    })?;
    let account_id = ids::account_id(&key.routing_id);
    let (sums, as_of_ms) = activity::read(&context.env.d1(d1::BINDING)?, &account_id, from_ms, to_ms).await?;
    let data = sums.into_iter().map(|sum| {
        let model = sum.model.clone().unwrap_or_default();
        DayView {
            usage: number(sum.cost()),
            usage_usd: sum.cost().to_string(),
            date: sum.day,
            model_permaslug: model.clone(),
            model,
            byok_usage_inference: 0,
            requests: sum.requests,
            prompt_tokens: sum.input_tokens,
            completion_tokens: sum.output_tokens,
            reasoning_tokens: sum.reasoning_tokens,
        }
    });
    Ok(Response::from_json(&ActivityView { data: data.collect(), as_of: as_of_ms.map(rfc3339) })?)
}

/// From when to before when, in milliseconds since the epoch; `None`: that is no date.
fn span(date: Option<&str>, now_ms: i64) -> Option<(i64, i64)> {
    let Some(date) = date else {
        let today_ms = now_ms.saturating_sub(now_ms.rem_euclid(DAY_MS));
        let back_ms = i64::try_from(DAYS).ok()?.saturating_sub(1).saturating_mul(DAY_MS);
        return Some((today_ms.saturating_sub(back_ms), today_ms.saturating_add(DAY_MS)));
    };
    let day = NaiveDate::parse_from_str(date, "%Y-%m-%d").ok()?;
    let start_ms = |day: NaiveDate| Some(day.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis());
    Some((start_ms(day)?, start_ms(day.checked_add_days(Days::new(1))?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_utc() {
        // 2027-01-15T08:00:00Z
        let now_ms = 1_800_000_000_000;
        assert_eq!(span(None, now_ms), Some((1_797_465_600_000, 1_800_057_600_000)));
        assert_eq!(span(Some("2027-01-15"), now_ms), Some((1_799_971_200_000, 1_800_057_600_000)));
        for wrong in ["", "yesterday", "2027-02-30", "2027-1-15T00:00:00Z"] {
            assert_eq!(span(Some(wrong), now_ms), None, "{wrong}");
        }
    }
}
