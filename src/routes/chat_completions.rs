//! `POST /v1/chat/completions`

use dialect::client::ClientRequest;
use worker::Request;

use super::infer;
use crate::context::Context;
use crate::error::ApiError;
use crate::inference::pipeline::Served;

/// Serves a chat request, streamed or whole.
///
/// # Errors
/// [`ApiError`].
pub async fn post(request: &mut Request, context: &Context) -> Result<Served, ApiError> {
    infer(request, context, "/v1/chat/completions", |body| ClientRequest::chat(body)).await
}
