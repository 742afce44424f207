//! `POST /v1/responses`

use dialect::client::ClientRequest;
use worker::Request;

use super::infer;
use crate::context::Context;
use crate::error::{ApiError, Code};
use crate::inference::pipeline::Served;

/// Serves a responses request, streamed or whole.
///
/// # Errors
/// [`ApiError`].
pub async fn post(request: &mut Request, context: &Context) -> Result<Served, ApiError> {
    infer(request, context, "/v1/responses", |body| ClientRequest::responses(body)).await
}

/// Responses are never stored, at us or at a provider: there is none to read, to cancel or to delete.
#[must_use]
pub fn not_stored() -> ApiError {
    let sentence = "Responses are not stored here, whatever `store` says. Send the conversation with each request.";
    ApiError::new(Code::InvalidRequest, sentence).with_status(404)
}
