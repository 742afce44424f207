//! The routes of the public API: parse, call inference, answer.

pub mod chat_completions;
pub mod completions;
pub mod count_tokens;
pub mod embeddings;
pub mod messages;
pub mod models;
pub mod responses;

use dialect::client::ClientRequest;
use dialect::request::RequestError;
use worker::Request;

use crate::context::Context;
use crate::error::ApiError;
use crate::inference::leaving::Leaving;
use crate::inference::payer::Payer;
use crate::inference::pipeline::{Inference, Served, serve};
use crate::upstream::AnthropicHeaders;
use crate::{auth, body};

/// Serves an inference request: its key, its body as `parse` reads it, and the one way to an upstream.
async fn infer(
    request: &mut Request,
    context: &Context,
    endpoint: &'static str,
    parse: impl for<'a> Fn(&'a str) -> Result<ClientRequest<'a>, RequestError>,
) -> Result<Served, ApiError> {
    let key = auth::api_key(request.headers(), context)?;
    let body = body::read(request).await?;
    let anthropic = AnthropicHeaders::read(request.headers())?;
    let leaving = Leaving::of(request);
    serve(&Inference { endpoint, request: parse(&body)?, anthropic, leaving }, Payer::Key(&key), context).await
}
