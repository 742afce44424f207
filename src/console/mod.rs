//! The account's own API, for a signed-in customer and for keys that may.

pub mod account;
pub mod balance;
pub mod caller;
pub mod config;
pub mod daily;
pub mod export;
pub mod journal;
pub mod keys;
pub mod live;
pub mod models;
pub mod name;
pub mod openapi;
pub mod page;
pub mod recent;
pub mod usage;

use chrono::{DateTime, SecondsFormat, Utc};
use worker::Request;

use self::caller::Caller;
use crate::body::{self, Body};
use crate::context::Context;
use crate::entropy;
use crate::error::ApiError;

/// The few fields that a route takes. Who sends them is checked before anything is read; what the caller may do is
/// the account's to say.
///
/// # Errors
/// `invalid_api_key`, and those of [`body::read_form`].
pub async fn read_form(request: &mut Request, context: &Context) -> Result<Body, ApiError> {
    let caller = Caller::claimed(request.headers(), context).await?;
    body::read_form(request, &caller).await
}

/// Milliseconds since the epoch as RFC 3339, with milliseconds, in UTC.
#[must_use]
pub fn rfc3339(ms: i64) -> String {
    DateTime::<Utc>::from_timestamp_millis(ms).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn random<const N: usize>() -> Result<[u8; N], ApiError> {
    entropy::random().map_err(|error| {
        worker::console_error!("{error}");
        ApiError::internal()
    })
}
