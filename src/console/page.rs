//! What the lists of the account's API have in common: pages, their cursors, and times in a query.
//!
//! The one rule: a cursor names the row that was shown last, so what comes in at the top moves no page.

use chrono::{DateTime, Days, NaiveDate};
use dialect::typed::typed;
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;
use worker::Url;

use crate::error::{ApiError, Code};

/// A page without a word about its size.
const DEFAULT_LIMIT: u64 = 50;
/// The largest page.
const MAX_LIMIT: u64 = 200;

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T: ToSchema> {
    /// The newest first.
    pub data: Vec<T>,
    /// What `cursor` is to be for the next page; `null`: there is none. A page may have fewer rows than `limit`
    /// and still be followed by another.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// What was wrong, as every route of the account's API says it.
#[derive(Serialize, ToSchema)]
pub struct ErrorView {
    /// The only member.
    pub error: ErrorDetail,
}

/// An error.
#[derive(Serialize, ToSchema)]
pub struct ErrorDetail {
    /// A sentence for people.
    pub message: String,
    /// Always `oneinterface_error`.
    pub r#type: String,
    /// `invalid_api_key`, `invalid_request`, `rate_limit_exceeded`, `internal_error` …
    pub code: String,
    /// The parameter that is to blame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
}

/// The parameters of a query; of those that are given twice the last.
///
/// # Errors
/// `invalid_request` for a parameter that there is not, or whose value is of another kind.
pub fn query<T: DeserializeOwned>(url: &Url) -> Result<T, ApiError> {
    // A parameter that is given empty is not given.
    let given = url.query_pairs().filter(|(_, value)| !value.is_empty());
    let members = given.map(|(name, value)| (name.into_owned(), value.into_owned().into())).collect();
    Ok(typed(&serde_json::Value::Object(members).to_string())?)
}

/// The row before which a page begins; `None`: the first page.
///
/// # Errors
/// `invalid_request` for what was never handed out.
pub fn before(cursor: Option<&str>) -> Result<Option<u64>, ApiError> {
    let unknown = |_| invalid("cursor", "The cursor must be the `next_cursor` of the page before.");
    cursor.map(|text| text.parse::<u64>().map_err(unknown)).transpose()
}

/// How many rows a page has.
///
/// # Errors
/// `invalid_request` outside 1 to 200.
pub fn limit(text: Option<&str>) -> Result<u64, ApiError> {
    let Some(text) = text else { return Ok(DEFAULT_LIMIT) };
    whole(text)
        .filter(|limit| (1..=MAX_LIMIT).contains(limit))
        .ok_or_else(|| invalid("limit", &format!("The limit must be a number from 1 to {MAX_LIMIT}.")))
}

/// A whole number of a query, with a point or an exponent too where it has no fraction.
#[must_use]
pub fn whole(text: &str) -> Option<u64> {
    let number: f64 = text.parse().ok()?;
    // A double without a fraction is written without a point and without an exponent.
    text.parse().or_else(|_| number.to_string().parse()).ok()
}

/// A span of time, in milliseconds since the epoch: from the first, before the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first millisecond.
    pub from_ms: i64,
    /// The first millisecond behind it.
    pub to_ms: i64,
}

/// As far as times are read: what is beyond is as good as never.
const LAST_MS: i64 = 253_402_300_800_000;

impl Span {
    /// Reads `from` and `to`: a date is a whole day of UTC, a time of RFC 3339 an instant, of which `to` is the
    /// first that is left out. What is absent bounds nothing.
    ///
    /// # Errors
    /// `invalid_request` for other texts.
    pub fn read(from: Option<&str>, to: Option<&str>) -> Result<Self, ApiError> {
        let wrong = |name| invalid(name, &format!("`{name}` must be a date (2026-11-24) or a time of RFC 3339."));
        let from_ms = from.map(|text| instant(text, 0).ok_or_else(|| wrong("from"))).transpose()?;
        let to_ms = to.map(|text| instant(text, 1).ok_or_else(|| wrong("to"))).transpose()?;
        Ok(Self { from_ms: from_ms.unwrap_or(0).clamp(0, LAST_MS), to_ms: to_ms.unwrap_or(LAST_MS).clamp(0, LAST_MS) })
    }

    /// Whether it holds this millisecond.
    #[must_use]
    pub fn has(&self, at_ms: i64) -> bool {
        (self.from_ms..self.to_ms).contains(&at_ms)
    }
}

/// The instant of a text; of a date the beginning of the day so many days later.
fn instant(text: &str, days: u64) -> Option<i64> {
    if let Ok(date) = text.parse::<NaiveDate>() {
        return Some(date.checked_add_days(Days::new(days))?.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis());
    }
    DateTime::parse_from_rfc3339(text).ok().map(|at| at.timestamp_millis())
}

/// `invalid_request` for one parameter.
#[must_use]
pub fn invalid(param: &str, sentence: &str) -> ApiError {
    ApiError { param: Some(param.into()), ..ApiError::new(Code::InvalidRequest, sentence) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_a_whole_day_and_a_time_an_instant() {
        let day = 1_795_478_400_000;
        for (from, to, expected) in [
            (None, None, (0, LAST_MS)),
            (Some("2026-11-24"), Some("2026-11-24"), (day, day + 86_400_000)),
            (Some("2026-11-24T01:00:00+01:00"), Some("2026-11-24T00:00:00.250Z"), (day, day + 250)),
            (Some("1900-01-01"), Some("9999-12-31"), (0, LAST_MS)),
        ] {
            let span = Span::read(from, to).unwrap();
            assert_eq!((span.from_ms, span.to_ms), expected, "{from:?} {to:?}");
        }
        for (from, to, param) in
            [(Some("today"), None, "from"), (None, Some("2026-11-31"), "to"), (Some("1"), None, "from")]
        {
            assert_eq!(Span::read(from, to).unwrap_err().param.as_deref(), Some(param));
        }
    }

    #[test]
    fn limits_and_cursors_are_numbers_of_ours() {
        assert_eq!((limit(None), limit(Some("200"))), (Ok(50), Ok(200)));
        assert_eq!((limit(Some("7.0")), limit(Some("7e0"))), (Ok(7), Ok(7)));
        for wrong in ["0", "201", "-1", "ten", "1.5", "inf", "NaN", "201.0", "1e30"] {
            assert_eq!(limit(Some(wrong)).unwrap_err().param.as_deref(), Some("limit"), "{wrong}");
        }
        assert_eq!((before(None), before(Some("7"))), (Ok(None), Ok(Some(7))));
        assert_eq!(before(Some("x")).unwrap_err().param.as_deref(), Some("cursor"));
    }
}
