//! `POST /v1/completions`

use dialect::client::ClientRequest;
use worker::Request;

use super::infer;
use crate::context::Context;
use crate::error::ApiError;
use crate::inference::pipeline::Served;

/// Serves a legacy completions request.
///
/// # Errors
/// [`ApiError`].
pub async fn post(request: &mut Request, context: &Context) -> Result<Served, ApiError> {
    infer(request, context, "/v1/completions", |body| ClientRequest::completions(body)).await
}
