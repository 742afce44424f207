//! `GET /console/api/usage.csv`: every request as a line, in the order in which they were charged.

use worker::{Headers, Url};

use super::page::ErrorView;
use super::usage::UsageQuery;
use crate::context::Context;
use crate::error::ApiError;
use crate::inference::pipeline::Served;

/// Streams requests as CSV.
///
/// # Errors
/// `invalid_api_key`, `invalid_request`.
#[utoipa::path(get, path = "/console/api/usage.csv", tag = "usage", operation_id = "exportUsage", params(UsageQuery),
    responses((status = 200, body = String, content_type = "text/csv"), (status = "default", body = ErrorView)))]
pub async fn csv(_headers: &Headers, _url: &Url, _context: &Context) -> Result<Served, ApiError> {
    Err(ApiError::internal())
}
