//! The phases of a request, in order. Both inference routes come through here, so there is one path to
//! an upstream, and it takes a hold.

use std::cell::RefCell;

use billing::hold::{HoldRequest, LEAST_OUTPUT_TOKENS, OutputBound};
use billing::ledger::{Admit, Answer, Command, Outcome, Terms};
use billing::money::{NanoUsd, PicoUsd};
use billing::price::{Price, Rates};
use catalog::{Dialect, LimitField, Model};
use dialect::measure::InputMeasure;
use dialect::openai_chat;
use dialect::openai_chat::answer::{NotAnAnswer, Rewrite};
use dialect::openai_chat::stream::Relay;
use dialect::openai_chat::wire::Outgoing;
use futures::future::LocalBoxFuture;
use worker::{Headers, Response};

use super::pump::{Progress, Pump, STREAM_HOLD_TOKENS};
use super::stream::{Sink, Source};
use super::ticket::{self, Seen, Ticket};
use crate::auth;
use crate::clock;
use crate::context::Context;
use crate::d1;
use crate::error::{ApiError, Code};
use crate::keys::ApiKey;
use crate::refusals;
use crate::upstream::{self, Candidate, Exchange, Failure, within};

/// The most upstreams that one request is sent to.
const MAX_ATTEMPTS: usize = 3;

/// How fast a model is taken to reason out of sight whose speed the catalogue does not tell, in tokens a
/// second: faster than most, for the estimate is made of clients that left.
const DEFAULT_TOKENS_PER_S: u64 = 100;

/// The largest whole answer, in bytes: thousands of long embeddings fit, and the isolate has 128 MB.
const MAX_ANSWER_BYTES: usize = 48 << 20;

/// The longest wait that an upstream's `retry-after` can ask a client for, in seconds.
const MAX_RETRY_AFTER_S: u64 = 3_600;

/// An answer, and what goes on after it was handed over.
pub struct Served {
    /// For the client.
    pub response: Response,
    /// Runs under `waitUntil` once the response is on its way.
    pub rest: Option<LocalBoxFuture<'static, ()>>,
}

impl From<Response> for Served {
    fn from(response: Response) -> Self {
        Self { response, rest: None }
    }
}

/// A parsed request, as the phases need it.
pub struct Inference<'a> {
    /// The client's and the upstream's dialect.
    pub dialect: Dialect,
    /// The route, for the usage row.
    pub endpoint: &'static str,
    /// The model as the client names it.
    pub model: &'a str,
    /// Whether the answer is streamed, and whether the client wants its usage.
    pub stream: Option<StreamOptions>,
    /// What is sent.
    pub input: InputMeasure,
    /// Whether a part may be written to the one-hour cache.
    pub one_hour_marks: bool,
    /// Whether the client may have asked for reasoning that is not shown.
    pub may_hide_reasoning: bool,
    /// How many answers, and the client's limit of each; `None`: the model produces no output.
    pub output: Option<(u64, Option<u64>)>,
    /// The body for an upstream.
    pub encode: &'a dyn Fn(&Outgoing<'_>) -> String,
    /// Reads a whole answer.
    pub read: &'a dyn Fn(&str, &Rewrite) -> Result<openai_chat::answer::Answer, NotAnAnswer>,
}

/// How the client wants its stream.
#[derive(Clone, Copy)]
pub struct StreamOptions {
    /// With the usage at the end.
    pub include_usage: bool,
}

/// What an admitted request goes on with.
struct Admitted<'a> {
    ticket: Ticket,
    candidates: Vec<Candidate<'a>>,
    model: &'a Model,
    /// The output limit to set, where the whole could not be afforded.
    lowered_output: Option<u64>,
    /// What was left at admission, for keys that may read the account.
    available: Option<NanoUsd>,
}

/// Serves one inference request.
///
/// # Errors
/// [`ApiError`]; a hold that was taken is resolved by then.
pub async fn serve(inference: &Inference<'_>, key: &ApiKey, context: &Context) -> Result<Served, ApiError> {
    // The body is read: a slow upload is neither the admit's age nor the model's time.
    let now_ms = clock::now_ms();
    let catalog = d1::catalogue::load(&context.env, now_ms).await?;
    // 1. Price: what may be asked for, and at what price.
    let model =
        catalog.models.get(inference.model).filter(|model| model.enabled).ok_or_else(ApiError::model_not_available)?;
    let (price, unpriced) = price(model, now_ms, context)?;
    fits_endpoint(inference, &price, unpriced)?;
    let candidates = upstream::candidates(&catalog, model, inference.dialect, context);
    if candidates.is_empty() {
        worker::console_error!("{}: no configured upstream serves {}", context.request_id, model.id);
        return Err(unavailable());
    }
    // 2. Admit: reserve the most that it can cost.
    let hold = hold(inference, model, &price)?;
    if let Some(refusal) = refusals::recall(&key.digest, &hold, now_ms) {
        return Err(auth::refused(&refusal));
    }
    let client = context.account(&key.routing_id)?;
    let admit = Admit {
        request_id: context.request_id.clone(),
        created_at_ms: now_ms,
        digest: key.digest.clone(),
        hold,
        terms: Terms { endpoint: inference.endpoint.into(), model: model.id.clone(), price, unpriced },
    };
    let (granted, available) = match client.call(Command::Admit(Box::new(admit))).await.map_err(auth::unanswered)? {
        Ok(Answer::Admitted { granted_output, available, .. }) => (granted_output, available),
        Ok(other) => return Err(auth::unexpected(&other)),
        Err(refusal) => {
            refusals::note(&key.digest, &refusal, now_ms);
            return Err(auth::refused(&refusal));
        }
    };
    let (choices, _) = inference.output.unwrap_or((1, None));
    let most_output = most_output(inference, model);
    let terms = ticket::Terms {
        price,
        likely_input: inference.input.likely(model.image_tokens),
        choices,
        most_output,
        hidden_tokens_per_s: hides(inference, model).then_some(model.tokens_per_s.unwrap_or(DEFAULT_TOKENS_PER_S)),
        one_hour_marks: inference.one_hour_marks,
        started_ms: now_ms,
    };
    let admitted = Admitted {
        ticket: Ticket::new(client, context.env.clone(), context.request_id.clone(), terms, granted),
        candidates,
        model,
        // What grows while it runs need not be lowered.
        lowered_output: granted.filter(|granted| *granted < most_output && !grows(inference, model)),
        available,
    };
    // 3. Upstream, relay, settle.
    match inference.stream {
        Some(options) => streamed(inference, admitted, options, context).await,
        None => whole(inference, admitted, context).await,
    }
}

/// The price in effect, and whether the model is one without.
fn price(model: &Model, now_ms: i64, context: &Context) -> Result<(Price, bool), ApiError> {
    match model.price_at(now_ms) {
        Some(price) if !price.is_free() => Ok((*price, false)),
        _ if !context.config.allow_unpriced_models => Err(ApiError::model_not_available()),
        Some(price) => Ok((*price, true)),
        // Its first price is still to come: it is not for sale yet, and not free either.
        None if !model.prices.is_empty() => Err(ApiError::model_not_available()),
        None => {
            let output = model.max_output_tokens.map(|_| PicoUsd::ZERO);
            Ok((Price { effective_at_ms: 0, rates: Rates { output, ..Rates::default() }, long_input: None }, true))
        }
    }
}

/// A model without an output price serves embeddings only, and the others do not.
fn fits_endpoint(inference: &Inference<'_>, price: &Price, unpriced: bool) -> Result<(), ApiError> {
    let generates = price.rates.output.is_some();
    // Without prices nobody knows what a model does.
    if unpriced || generates == inference.output.is_some() {
        return Ok(());
    }
    let sentence = if generates {
        "This model does not make embeddings. Use it with /v1/chat/completions."
    } else {
        "This model makes embeddings only. Use it with /v1/embeddings."
    };
    Err(ApiError { param: Some("model".into()), ..ApiError::new(Code::InvalidRequest, sentence) })
}

fn hold(inference: &Inference<'_>, model: &Model, price: &Price) -> Result<HoldRequest, ApiError> {
    let input = inference.input.bound(model.image_tokens, model.context_window);
    let output = inference.output.map(|(choices, _)| {
        let most = most_output(inference, model);
        let wanted = if grows(inference, model) { most.min(STREAM_HOLD_TOKENS) } else { most };
        OutputBound { wanted, least: LEAST_OUTPUT_TOKENS.min(wanted), choices }
    });
    HoldRequest::new(price, input, inference.one_hour_marks, output)
        .and_then(|hold| hold.beyond_output(inference.input.predicted_tokens))
        .map_err(|_| auth::refused(&billing::ledger::Refusal::TooLarge))
}

/// The most output tokens of each choice: the client's limit, else the model's.
fn most_output(inference: &Inference<'_>, model: &Model) -> u64 {
    let most = model.max_output_tokens.unwrap_or(model.context_window);
    inference.output.and_then(|(_, limit)| limit).unwrap_or(most).min(most)
}

/// Whether the hold may begin small and grow: only what is seen as it is produced can be stopped in time.
fn grows(inference: &Inference<'_>, model: &Model) -> bool {
    inference.stream.is_some() && !hides(inference, model)
}

/// Whether the model may reason out of sight, by itself or because the client asks it to.
fn hides(inference: &Inference<'_>, model: &Model) -> bool {
    model.hidden_reasoning || inference.may_hide_reasoning
}

async fn whole(inference: &Inference<'_>, admitted: Admitted<'_>, context: &Context) -> Result<Served, ApiError> {
    let mut failure = None;
    for candidate in admitted.candidates.iter().take(MAX_ATTEMPTS) {
        let attempt = answer(inference, &admitted, candidate);
        match admitted.ticket.alive_during(&candidate.upstream.id, attempt).await {
            Ok(answer) => {
                admitted.ticket.note(Seen { usage: answer.usage, visible_output: answer.visible_output });
                let bill = admitted.ticket.bill();
                let balance = admitted.ticket.settle(bill, Outcome::Completed, &candidate.upstream.id).await;
                let headers = headers("application/json", &admitted)?;
                headers.set("x-oneinterface-cost", &bill.cost.to_string())?;
                if let (Some(balance), Some(_)) = (balance, admitted.available) {
                    headers.set("x-oneinterface-balance", &balance.to_string())?;
                }
                return Ok(Response::ok(answer.body)?.with_headers(headers).into());
            }
            Err(failed) => {
                log_failure(context, candidate, failed);
                failure = Some((failed, candidate.upstream.id.clone()));
                if !failed.may_fail_over(false) {
                    break;
                }
            }
        }
    }
    Err(give_up(&admitted.ticket, failure).await)
}

/// One attempt at a whole answer.
async fn answer(
    inference: &Inference<'_>,
    admitted: &Admitted<'_>,
    candidate: &Candidate<'_>,
) -> Result<openai_chat::answer::Answer, Failure> {
    let body = encode(inference, admitted, candidate);
    let Exchange { response, abort } = candidate.send(inference.dialect, &body, false).await?;
    let source = Source::new(response.body()).ok_or(Failure::NotAnAnswer)?;
    let text = match within(candidate.total_ms(), source.text(MAX_ANSWER_BYTES)).await {
        Some(Some(text)) => text,
        Some(None) => {
            abort.abort();
            return Err(Failure::Unreachable);
        }
        None => {
            abort.abort();
            return Err(Failure::TimedOut);
        }
    };
    (inference.read)(&text, &rewrite(admitted.model, candidate)).map_err(|NotAnAnswer| Failure::NotAnAnswer)
}

async fn streamed(
    inference: &Inference<'_>,
    admitted: Admitted<'_>,
    options: StreamOptions,
    context: &Context,
) -> Result<Served, ApiError> {
    let mut failure = None;
    for candidate in admitted.candidates.iter().take(MAX_ATTEMPTS) {
        let body = encode(inference, &admitted, candidate);
        let attempt = candidate.send(inference.dialect, &body, true);
        let begun = admitted.ticket.alive_during(&candidate.upstream.id, attempt).await;
        match begun.and_then(event_stream) {
            Ok((source, Exchange { abort, .. })) => {
                let relay = Relay::new(options.include_usage, rewrite(admitted.model, candidate));
                let headers = headers("text/event-stream; charset=utf-8", &admitted)?;
                headers.set("cache-control", "no-cache")?;
                if let Some(available) = admitted.available {
                    headers.set("x-oneinterface-balance", &available.to_string())?;
                }
                let (sink, readable) = Sink::new().map_err(worker::Error::from)?;
                let pump = Pump {
                    upstream: candidate.upstream.id.clone(),
                    idle_ms: candidate.idle_ms(),
                    total_ms: candidate.total_ms(),
                    ticket: admitted.ticket,
                    source,
                    abort,
                    sink,
                    relay: RefCell::new(relay),
                    progress: Progress::default(),
                };
                let response = Response::builder().with_headers(headers).stream(readable);
                return Ok(Served { response, rest: Some(Box::pin(pump.run())) });
            }
            Err(failed) => {
                log_failure(context, candidate, failed);
                failure = Some((failed, candidate.upstream.id.clone()));
                if !failed.may_fail_over(true) {
                    break;
                }
            }
        }
    }
    Err(give_up(&admitted.ticket, failure).await)
}

/// The body of an answer that is a stream of events; some servers answer a failure with 200.
fn event_stream(exchange: Exchange) -> Result<(Source, Exchange), Failure> {
    let content_type = exchange.response.headers().get("content-type").ok().flatten().unwrap_or_default();
    let is_stream = content_type.is_empty() || content_type.to_ascii_lowercase().starts_with("text/event-stream");
    match Source::new(exchange.response.body()).filter(|_| is_stream) {
        Some(source) => Ok((source, exchange)),
        None => {
            exchange.abort.abort();
            Err(Failure::NotAnAnswer)
        }
    }
}

fn encode(inference: &Inference<'_>, admitted: &Admitted<'_>, candidate: &Candidate<'_>) -> String {
    // The third one is another dialect's.
    let limit_field = admitted.model.limit_field.filter(|field| *field != LimitField::MaxOutputTokens);
    (inference.encode)(&Outgoing {
        model: Some(candidate.route.model.as_str()).filter(|theirs| *theirs != admitted.model.id),
        lowered_output: admitted.lowered_output,
        limit_field: limit_field.map(LimitField::name),
        without_stream_options: !candidate.upstream.stream_options,
    })
}

fn rewrite(model: &Model, candidate: &Candidate<'_>) -> Rewrite {
    Rewrite {
        model: (candidate.route.model != model.id).then(|| model.id.clone()),
        strip: candidate.upstream.strip.clone(),
    }
}

fn headers(content_type: &str, admitted: &Admitted<'_>) -> Result<Headers, ApiError> {
    let headers = Headers::new();
    headers.set("content-type", content_type)?;
    if let Some(limit) = admitted.lowered_output {
        headers.set("x-oneinterface-max-tokens", &limit.to_string())?;
    }
    Ok(headers)
}

fn log_failure(context: &Context, candidate: &Candidate<'_>, failure: Failure) {
    worker::console_warn!("{}: upstream {}: {failure}", context.request_id, candidate.upstream.id);
}

/// Frees the hold and says why there is no answer.
async fn give_up(ticket: &Ticket, failure: Option<(Failure, String)>) -> ApiError {
    let Some((failure, upstream)) = failure else { return unavailable() };
    let outcome = if failure.is_rejection() { Outcome::Rejected } else { Outcome::UpstreamFailed };
    ticket.release(outcome, Some(upstream)).await;
    match failure {
        Failure::Status { status: 413, .. } => {
            ApiError::new(Code::InvalidRequest, "The request is too large for the provider of this model.")
                .with_status(413)
        }
        failure if failure.is_rejection() => ApiError::new(
            Code::InvalidRequest,
            "The provider of this model rejected the request. Check its parameters against the model's capabilities.",
        ),
        Failure::Status { status: 429, retry_after_s } => ApiError {
            retry_after_s: Some(retry_after_s.unwrap_or(1).min(MAX_RETRY_AFTER_S)),
            ..ApiError::new(Code::RateLimitExceeded, "The provider of this model is busy. Retry after a short delay.")
        },
        Failure::Status { .. } | Failure::Unreachable | Failure::TimedOut | Failure::NotAnAnswer => unavailable(),
    }
}

fn unavailable() -> ApiError {
    ApiError::new(Code::UpstreamUnavailable, "All providers of this model are temporarily unavailable.")
}
