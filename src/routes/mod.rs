//! The routes of the public API: parse, call inference, answer.
//!
//! Those of the account (`key`, `credits`, `generation`, `activity`) have OpenRouter's shapes, for the tools that
//! are written for it, and beside each of its numbers the exact amount as a string.
//! <https://openrouter.ai/docs/api-reference/overview>

pub mod activity;
pub mod chat_completions;
pub mod completions;
pub mod count_tokens;
pub mod credits;
pub mod embeddings;
pub mod generation;
pub mod key;
pub mod messages;
pub mod models;
pub mod quote;
pub mod responses;

use billing::money::NanoUsd;
use dialect::client::ClientRequest;
use dialect::request::RequestError;
use serde::Serialize;
use serde_json::value::RawValue;
use worker::Request;

use crate::context::Context;
use crate::error::ApiError;
use crate::inference::leaving::Leaving;
use crate::inference::payer::Payer;
use crate::inference::pipeline::{Inference, Served, serve_early};
use crate::upstream::AnthropicHeaders;
use crate::{auth, body};

/// OpenRouter's envelope.
#[derive(Serialize)]
struct Data<T> {
    data: T,
}

/// An amount as a JSON number of USD, with all of its digits: it is written, never computed with.
fn number(amount: NanoUsd) -> Option<Box<RawValue>> {
    RawValue::from_string(amount.to_string()).ok()
}

/// Serves an inference request: its key, its body as `parse` reads it, and the one way to an upstream.
async fn infer(
    request: &mut Request,
    context: &Context,
    endpoint: &'static str,
    parse: impl for<'a> Fn(&'a str) -> Result<ClientRequest<'a>, RequestError>,
) -> Result<Served, ApiError> {
    let key = auth::api_key(request.headers(), context)?;
    let body = body::read(request, &key.routing_id, async || auth::may_pay(&key, context).await).await?;
    let anthropic = AnthropicHeaders::read(request.headers())?;
    let leaving = Leaving::of(request);
    let inference = Inference { endpoint, request: parse(&body)?, body: &body, anthropic, leaving };
    serve_early(&inference, Payer::Key(&key), context, context.early.as_deref()).await
}
