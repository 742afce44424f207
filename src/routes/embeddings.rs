//! `POST /v1/embeddings`

use dialect::client::ClientRequest;
use worker::Request;

use super::infer;
use crate::context::Context;
use crate::error::ApiError;
use crate::inference::pipeline::Served;

/// Serves an embeddings request.
///
/// # Errors
/// [`ApiError`].
pub async fn post(request: &mut Request, context: &Context) -> Result<Served, ApiError> {
    infer(request, context, "/v1/embeddings", |body| ClientRequest::embeddings(body)).await
}
