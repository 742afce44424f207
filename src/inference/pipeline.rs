//! The phases of a request, in order. Every inference route comes through here, so there is one path to
//! an upstream, and it takes a hold.

use std::cell::RefCell;

use billing::ledger::{Admit, Answer, Command, Outcome, Terms};
use billing::money::NanoUsd;
use catalog::Model;
use dialect::canonical::Losses;
use dialect::client::ClientRequest;
use dialect::rewrite::{NotAnAnswer, Passed};
use futures::future::LocalBoxFuture;
use worker::{Headers, Response};

use super::failure::{give_up, log, unavailable};
use super::leaving::Leaving;
use super::pump::{Progress, Pump};
use super::stream::{Sink, Source};
use super::terms;
use super::ticket::{self, Seen, Ticket};
use super::way::Way;
use crate::context::Context;
use crate::error::ApiError;
use crate::keys::ApiKey;
use crate::upstream::{self, AnthropicHeaders, Candidate, Exchange, Failure, within};
use crate::{auth, clock, d1, refusals};

/// The most upstreams that one request is sent to.
const MAX_ATTEMPTS: usize = 3;

/// How fast a model is taken to reason out of sight whose speed the catalogue does not tell, in tokens a
/// second: faster than most, for the estimate is made of clients that left.
const DEFAULT_TOKENS_PER_S: u64 = 100;

/// The largest whole answer, in bytes: thousands of long embeddings fit, and the isolate has 128 MB.
const MAX_ANSWER_BYTES: usize = 48 << 20;

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

/// A parsed request, with what the phases need beside it.
pub struct Inference<'a> {
    /// The route, for the usage row.
    pub endpoint: &'static str,
    /// What is asked for.
    pub request: ClientRequest<'a>,
    /// Goes on to upstreams that speak Anthropic's dialect.
    pub anthropic: AnthropicHeaders,
    /// The client's leaving.
    pub leaving: Leaving,
}

/// What an admitted request goes on with.
struct Admitted<'a> {
    ticket: Ticket,
    /// The upstreams that are left, the one to try first first.
    candidates: &'a [Candidate<'a>],
    /// The way to the first of them, where it was made already.
    first: Option<Way<'a>>,
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
    let request = &inference.request;
    // The body is read: a slow upload is neither the admit's age nor the model's time.
    let now_ms = clock::now_ms();
    let catalog = d1::catalogue::load(&context.env, now_ms).await?;
    // 1. Price: what may be asked for, and at what price.
    let facts = request.facts();
    let known = catalog.models.get(facts.model.as_ref()).filter(|model| model.enabled);
    let model = known.ok_or_else(ApiError::model_not_available)?;
    let (price, unpriced) = terms::price(model, now_ms, context)?;
    terms::fits_endpoint(request, &price, unpriced)?;
    let candidates = upstream::candidates(&catalog, model, request.dialect(), context);
    if candidates.is_empty() {
        worker::console_error!("{}: no configured upstream serves {}", context.request_id, model.id);
        return Err(unavailable());
    }
    // What no upstream can hold is refused before anything is reserved.
    let (first, skipped) = first_way(request, &candidates, model, context)?;
    // 2. Admit: reserve the most that it can cost.
    let hold = terms::hold(request, model, &price)?;
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
    let most_output = terms::most_output(request, model);
    let hides = terms::hides(request, model);
    let billed = ticket::Terms {
        price,
        hold,
        likely_input: facts.input.likely(model.image_tokens),
        choices: facts.n,
        most_output,
        hidden_tokens_per_s: hides.then_some(model.tokens_per_s.unwrap_or(DEFAULT_TOKENS_PER_S)),
        one_hour_marks: facts.one_hour_marks,
        started_ms: now_ms,
    };
    // What grows while it runs need not be lowered.
    let lowered_output = granted.filter(|granted| *granted < most_output && !terms::grows(request, model));
    let admitted = Admitted {
        ticket: Ticket::new(client, context.env.clone(), context.request_id.clone(), billed, granted),
        candidates: candidates.get(skipped..).unwrap_or_default(),
        first: lowered_output.is_none().then_some(first),
        model,
        lowered_output,
        available,
    };
    // 3. Upstream, relay, settle.
    if facts.stream { streamed(inference, admitted, context).await } else { whole(inference, admitted, context).await }
}

/// The way to the first upstream that can hold the request, and how many before it cannot.
fn first_way<'a>(
    request: &ClientRequest<'_>,
    candidates: &'a [Candidate<'a>],
    model: &'a Model,
    context: &Context,
) -> Result<(Way<'a>, usize), ApiError> {
    let mut first_error = None;
    for (skipped, candidate) in candidates.iter().enumerate() {
        match Way::find(request, candidate, model, None, context) {
            Ok(way) => return Ok((way, skipped)),
            Err(error) => drop(first_error.get_or_insert(error)),
        }
    }
    Err(first_error.map_or_else(unavailable, ApiError::from))
}

impl<'a> Admitted<'a> {
    /// The way to one of the upstreams that are left; `None`: it cannot hold the request.
    fn way(&mut self, candidate: &'a Candidate<'a>, request: &ClientRequest<'_>, context: &Context) -> Option<Way<'a>> {
        // What was made before the admit is the first one's.
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        Way::find(request, candidate, self.model, self.lowered_output, context).ok()
    }
}

async fn whole(inference: &Inference<'_>, mut admitted: Admitted<'_>, context: &Context) -> Result<Served, ApiError> {
    let mut failure = None;
    for candidate in admitted.candidates.iter().take(MAX_ATTEMPTS) {
        let Some(way) = admitted.way(candidate, &inference.request, context) else { continue };
        let attempt = answer(inference, &way, context);
        match admitted.ticket.alive_during(&candidate.upstream.id, attempt).await {
            Ok((answer, losses)) => {
                admitted.ticket.note(Seen {
                    usage: answer.usage,
                    visible_output: answer.visible_output,
                    tells_cache_writes: way.tells_cache_writes(),
                });
                let bill = admitted.ticket.bill();
                let upstream = &candidate.upstream.id;
                let dropped = losses.to_string();
                let balance = admitted.ticket.settle(bill, Outcome::Completed, upstream, dropped).await;
                let headers = headers("application/json", &admitted, &way, Some(&losses))?;
                headers.set("x-oneinterface-cost", &bill.cost.to_string())?;
                if let (Some(balance), Some(_)) = (balance, admitted.available) {
                    headers.set("x-oneinterface-balance", &balance.to_string())?;
                }
                return Ok(Response::ok(answer.body)?.with_headers(headers).into());
            }
            Err(failed) => {
                log(context, candidate, &failed);
                let last = !failed.may_fail_over(false);
                failure = Some((failed, candidate.upstream.id.clone()));
                if last {
                    break;
                }
            }
        }
    }
    Err(give_up(&admitted.ticket, failure).await)
}

/// One attempt at a whole answer.
async fn answer(inference: &Inference<'_>, way: &Way<'_>, context: &Context) -> Result<(Passed, Losses), Failure> {
    let Exchange { response, abort } = way.send(&inference.anthropic, &inference.request).await?;
    let source = Source::new(response.body()).ok_or(Failure::NotAnAnswer)?;
    let text = match within(way.candidate.total_ms(), source.text(MAX_ANSWER_BYTES)).await {
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
    let request = &inference.request;
    let read = request.read(way.pair, &text, &way.rewrite(), &way.identity(request, context));
    read.map_err(|NotAnAnswer| Failure::NotAnAnswer)
}

async fn streamed(
    inference: &Inference<'_>,
    mut admitted: Admitted<'_>,
    context: &Context,
) -> Result<Served, ApiError> {
    let request = &inference.request;
    let mut failure = None;
    for candidate in admitted.candidates.iter().take(MAX_ATTEMPTS) {
        let Some(way) = admitted.way(candidate, request, context) else { continue };
        let attempt = way.send(&inference.anthropic, request);
        let begun = admitted.ticket.alive_during(&candidate.upstream.id, attempt).await;
        match begun.and_then(event_stream) {
            Ok((source, Exchange { abort, .. })) => {
                let relay = request.relay(way.pair, way.rewrite(), way.identity(request, context));
                let headers = headers("text/event-stream; charset=utf-8", &admitted, &way, None)?;
                headers.set("cache-control", "no-cache")?;
                if let Some(available) = admitted.available {
                    headers.set("x-oneinterface-balance", &available.to_string())?;
                }
                let (sink, readable) = Sink::new().map_err(worker::Error::from)?;
                let pump = Pump {
                    upstream: candidate.upstream.id.clone(),
                    idle_ms: candidate.idle_ms(),
                    total_ms: candidate.total_ms(),
                    tells_cache_writes: way.tells_cache_writes(),
                    shows_all: !terms::hides(request, admitted.model),
                    ticket: admitted.ticket,
                    source,
                    abort,
                    sink,
                    leaving: inference.leaving.clone(),
                    relay: RefCell::new(relay),
                    progress: Progress::default(),
                };
                let response = Response::builder().with_headers(headers).stream(readable);
                return Ok(Served { response, rest: Some(Box::pin(pump.run())) });
            }
            Err(failed) => {
                log(context, candidate, &failed);
                let last = !failed.may_fail_over(true);
                failure = Some((failed, candidate.upstream.id.clone()));
                if last {
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

/// The headers of an answer; `answer_losses` are known for whole answers alone.
fn headers(
    content_type: &str,
    admitted: &Admitted<'_>,
    way: &Way<'_>,
    answer_losses: Option<&Losses>,
) -> Result<Headers, ApiError> {
    let headers = Headers::new();
    headers.set("content-type", content_type)?;
    if let Some(limit) = admitted.lowered_output {
        headers.set("x-oneinterface-max-tokens", &limit.to_string())?;
    }
    let mut losses = way.encoded.losses.clone();
    answer_losses.into_iter().for_each(|more| losses.merge(more));
    if !losses.is_empty() {
        headers.set("x-oneinterface-dropped", &losses.to_string())?;
    }
    Ok(headers)
}
