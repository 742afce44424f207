//! `POST /v1/messages/count_tokens`: how many tokens a request would send. It is free and answered for
//! every model: by a provider that can count, else by our own estimate.

use billing::ledger::{Permission, Refusal};
use catalog::{Dialect, Model};
use dialect::anthropic_messages::wire::{self, CountRequest};
use dialect::request::Outgoing;
use serde::Deserialize;
use worker::{Request, Response};

use crate::context::Context;
use crate::error::ApiError;
use crate::inference::stream::Source;
use crate::inference::way::owner_of;
use crate::routes::models;
use crate::upstream::{self, AnthropicHeaders, Call, Candidate, within};
use crate::{auth, body, breakers, clock, d1};

/// How long a provider may take to count, in milliseconds: clients show the figure while somebody waits.
const COUNT_MS: u64 = 5_000;
/// The longest answer of a provider that counts, in bytes.
const MAX_COUNT_BYTES: usize = 4 << 10;

/// Answers `{"input_tokens": n}`.
///
/// # Errors
/// [`ApiError`].
pub async fn post(request: &mut Request, context: &Context) -> Result<Response, ApiError> {
    let key = auth::api_key(request.headers(), context)?;
    let text = body::read(request, &key.routing_id, async || auth::may_pay(&key, context).await).await?;
    let count = CountRequest::parse(&text)?;
    // A key that may not ask must not make a provider work.
    let known = auth::authorize(&key, Permission::Inference, context).await?;
    if !models::may_ask(&known, &count.model) {
        return Err(auth::refused(&Refusal::ModelNotAllowed));
    }
    let catalog = d1::catalogue::load(&context.env, clock::now_ms()).await?;
    let known = catalog.models.get(count.model.as_ref()).filter(|model| model.enabled);
    let model = known.ok_or_else(ApiError::model_not_available)?;
    let candidates = upstream::candidates(&catalog, model, Dialect::AnthropicMessages, context);
    let sent = AnthropicHeaders::read(request.headers())?;
    let version = wire::version(sent.version.as_deref(), count.has_sampling()).to_owned();
    let anthropic = AnthropicHeaders { version: Some(version), beta: sent.beta };
    let asked = candidates
        .first()
        .filter(|first| first.upstream.dialects.contains(&Dialect::AnthropicMessages))
        .filter(|first| breakers::wait(first, &key.routing_id, clock::now_ms()).is_none());
    let counted = match asked {
        Some(candidate) => within(COUNT_MS, ask(candidate, &count, model, &anthropic, context)).await.flatten(),
        None => None,
    };
    let tokens = counted.unwrap_or_else(|| count.input.likely(model.vocabulary, model.image_tokens));
    let response = Response::ok(wire::count_answer(tokens))?;
    response.headers().set("content-type", "application/json")?;
    Ok(response)
}

/// The provider's count; `None`: it gave none.
async fn ask(
    candidate: &Candidate<'_>,
    count: &CountRequest<'_>,
    model: &Model,
    anthropic: &AnthropicHeaders,
    context: &Context,
) -> Option<u64> {
    #[derive(Deserialize)]
    struct Counted {
        input_tokens: u64,
    }
    let theirs = Some(candidate.route.model.as_str()).filter(|theirs| *theirs != model.id);
    let owner = owner_of(candidate, Dialect::AnthropicMessages, context);
    let passes = &candidate.upstream.passes;
    let outgoing = Outgoing { model: theirs, owner: Some(&owner), passes, ..Outgoing::default() };
    let body = count.pass_through(&outgoing).ok()?;
    let call = Call {
        dialect: Dialect::AnthropicMessages,
        path: "/messages/count_tokens",
        body: &body,
        stream: false,
        anthropic,
    };
    let exchange = candidate.send(&call).await.ok()?;
    let text = Source::new(exchange.response.body())?.text(MAX_COUNT_BYTES, |_| true).await.ok()?;
    serde_json::from_str::<Counted>(&text).ok().map(|counted| counted.input_tokens)
}
