//! `GET /console/api/usage/daily`: sums by day, of UTC.

use billing::ledger::Outcome;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use worker::{Headers, Response, Url};

use super::page::ErrorView;
use crate::context::Context;
use crate::error::ApiError;

/// Which sums.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DailyQuery {
    /// From the day of this date or time on; when absent, 30 days before `to`.
    pub from: Option<String>,
    /// Up to the day of this date or time; when absent, today.
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
    /// Output, in tokens.
    pub output_tokens: u64,
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
pub async fn list(_headers: &Headers, _url: &Url, _context: &Context) -> Result<Response, ApiError> {
    Err(ApiError::internal())
}
