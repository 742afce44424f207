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

use crate::entropy;
use crate::error::ApiError;

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
