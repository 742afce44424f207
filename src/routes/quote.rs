//! `POST /v1/quote`: what a request would hold and cost at most. Nothing is dispatched, and nothing reserved.
//!
//! The body is that of a request of any inference route, which `"endpoint"` in it or in the query names. It is
//! read as that route reads it, so what is refused there for its fields is refused here.

use billing::hold::HoldRequest;
use billing::ledger::{Permission, Refusal};
use billing::money::{MoneyError, NanoUsd};
use billing::price::Price;
use dialect::client::ClientRequest;
use dialect::envelope::Envelope;
use dialect::request::{RequestError, as_string};
use serde::Serialize;
use worker::{Request, Response};

use super::models::{self, Pricing};
use crate::console::rfc3339;
use crate::context::Context;
use crate::error::{ApiError, Code};
use crate::inference::terms;
use crate::{auth, body, clock, d1};

/// The route that is meant where none is named.
const DEFAULT_ENDPOINT: &str = "/v1/chat/completions";

#[derive(Serialize)]
struct QuoteView<'a> {
    object: &'static str,
    endpoint: &'a str,
    model: &'a str,
    stream: bool,
    /// An estimate.
    input_tokens: u64,
    /// What is held for.
    max_input_tokens: u64,
    /// For each choice; null: the model produces none.
    max_output_tokens: Option<u64>,
    choices: u64,
    /// What the estimated input costs, none of it from a cache. Decimal USD, as all amounts.
    input_cost_usd: String,
    /// What is reserved when the request begins, where the balance covers it. A stream's hold may grow.
    hold_usd: String,
    /// What it costs at most.
    max_cost_usd: String,
    pricing: Pricing,
    price_effective_at: String,
}

type Parse = for<'a> fn(&'a str) -> Result<ClientRequest<'a>, RequestError>;

/// Answers with the quote.
///
/// # Errors
/// `invalid_api_key`, `model_not_available`; `invalid_request` for a body that its route would refuse.
pub async fn post(request: &mut Request, context: &Context) -> Result<Response, ApiError> {
    let key = auth::api_key(request.headers(), context)?;
    let body = body::read(request, &key.routing_id, async || auth::may_pay(&key, context).await).await?;
    let url = request.url()?;
    let in_query = url
        .query_pairs()
        .find(|(name, endpoint)| name == "endpoint" && !endpoint.is_empty())
        .map(|(_, endpoint)| endpoint.into_owned());
    let in_body = Envelope::parse(&body).map_err(RequestError::from)?.present("endpoint").and_then(as_string);
    let named = in_query.as_deref().or(in_body.as_deref()).unwrap_or(DEFAULT_ENDPOINT);
    let (endpoint, parse) = endpoint(named).ok_or_else(|| ApiError {
        param: Some("endpoint".into()),
        ..ApiError::new(Code::InvalidRequest, "The endpoint must be one of /v1/chat/completions, /v1/responses, /v1/messages, /v1/completions and /v1/embeddings.")
    })?;
    let asked = parse(&body)?;
    auth::authorize(&key, Permission::Inference, context).await?;
    let now_ms = clock::now_ms();
    let catalog = d1::catalogue::load(&context.env, now_ms).await?;
    let facts = asked.facts();
    let known = catalog.models.get(facts.model.as_ref()).filter(|model| model.enabled);
    let model = known.ok_or_else(ApiError::model_not_available)?;
    let (price, unpriced) = terms::price(model, now_ms, context)?;
    terms::fits_endpoint(&asked, &price, unpriced)?;
    let hold = terms::hold(&asked, model, &price)?;
    let max_output = asked.generates().then(|| terms::most_output(&asked, model));
    let likely = facts.input.likely(model.vocabulary, model.image_tokens);
    let amounts = amounts(&price, &hold, likely, max_output);
    let (input_cost, held, max_cost) = amounts.map_err(|_| auth::refused(&Refusal::TooLarge))?;
    Ok(Response::from_json(&QuoteView {
        object: "quote",
        endpoint,
        model: &model.id,
        stream: facts.stream,
        input_tokens: likely,
        max_input_tokens: facts.input.bound(model.vocabulary, model.image_tokens, model.context_window),
        max_output_tokens: max_output,
        choices: facts.n,
        input_cost_usd: input_cost.to_string(),
        hold_usd: held.to_string(),
        max_cost_usd: max_cost.to_string(),
        pricing: models::pricing(&price),
        price_effective_at: rfc3339(price.effective_at_ms),
    })?)
}

/// What the likely input costs, what is held at first, and what the whole costs at most.
fn amounts(
    price: &Price,
    hold: &HoldRequest,
    likely_input: u64,
    max_output: Option<u64>,
) -> Result<(NanoUsd, NanoUsd, NanoUsd), MoneyError> {
    let input = NanoUsd::ceil_from_pico(price.tier(likely_input).input.times(likely_input))?;
    let held = hold.amount(hold.output.map_or(0, |output| output.wanted))?;
    Ok((input, held, hold.amount(max_output.unwrap_or(0))?))
}

/// The route of this name, with or without `/v1`, and how it reads a body.
fn endpoint(name: &str) -> Option<(&'static str, Parse)> {
    let name = name.trim_matches('/');
    Some(match name.strip_prefix("v1/").unwrap_or(name) {
        "chat/completions" => (DEFAULT_ENDPOINT, |body| ClientRequest::chat(body)),
        "completions" => ("/v1/completions", |body| ClientRequest::completions(body)),
        "responses" => ("/v1/responses", |body| ClientRequest::responses(body)),
        "messages" => ("/v1/messages", |body| ClientRequest::messages(body)),
        "embeddings" => ("/v1/embeddings", |body| ClientRequest::embeddings(body)),
        _ => return None,
    })
}
