//! The phases of a request, in order. Every inference route comes through here, so there is one path to
//! an upstream, and it takes a hold.

use billing::ledger::{Admit, Answer, Command, Terms};
use billing::money::NanoUsd;
use catalog::Model;
use dialect::canonical::Losses;
use dialect::client::ClientRequest;
use futures::future::LocalBoxFuture;
use worker::{Headers, Response};

use super::failure::unavailable;
use super::leaving::Leaving;
use super::payer::Payer;
use super::ticket::{self, Ticket};
use super::waiting::Early;
use super::way::Way;
use super::{failover, streamed, terms, whole};
use crate::body::Body;
use crate::context::Context;
use crate::error::ApiError;
use crate::upstream::{AnthropicHeaders, Candidate};
use crate::{auth, clock, d1, refusals};

/// How fast a model is taken to reason out of sight whose speed the catalogue does not tell, in tokens a
/// second: faster than most, for the estimate is made of clients that left.
const DEFAULT_TOKENS_PER_S: u64 = 100;

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
    /// The body that it was read from, for the memory of a translation.
    pub body: &'a Body,
    /// Goes on to upstreams that speak Anthropic's dialect.
    pub anthropic: AnthropicHeaders,
    /// The client's leaving.
    pub leaving: Leaving,
}

/// What an admitted request goes on with.
pub struct Admitted<'a> {
    /// The reservation.
    pub ticket: Ticket,
    /// Where the account that pays lives: failures are counted by it.
    pub account: String,
    /// The upstreams that are left, in the order to try them.
    pub candidates: &'a [Candidate<'a>],
    /// The way to the first of them, where it was made already.
    first: Option<Way<'a>>,
    /// What is asked for.
    pub model: &'a Model,
    /// The output limit to set, where the whole could not be afforded.
    pub lowered_output: Option<u64>,
    /// What was left at admission, for keys that may read the account.
    pub available: Option<NanoUsd>,
}

/// Serves one inference request.
///
/// # Errors
/// [`ApiError`]; a hold that was taken is resolved by then.
pub async fn serve(inference: &Inference<'_>, payer: Payer<'_>, context: &Context) -> Result<Served, ApiError> {
    serve_early(inference, payer, context, None).await
}

/// The same for a client that `early` hands a stream to before anything has come of it.
///
/// # Errors
/// As [`serve`]; after `early` was called nobody hears them, and the stream has ended with one.
pub async fn serve_early(
    inference: &Inference<'_>,
    payer: Payer<'_>,
    context: &Context,
    early: Option<&Early>,
) -> Result<Served, ApiError> {
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
    let candidates = failover::candidates(&catalog, model, inference, payer.routing_id(), context)?;
    // What no upstream can hold is refused before anything is reserved.
    let (first, skipped) = first_way(inference, &candidates, model, context)?;
    // 2. Admit: reserve the most that it can cost.
    let hold = terms::hold(request, model, &price)?;
    if let Some(refusal) = refusals::recall(payer.source(), &hold, now_ms) {
        return Err(auth::refused(&refusal));
    }
    let client = context.account(payer.routing_id())?;
    let admit = Admit {
        request_id: context.request_id.clone(),
        created_at_ms: now_ms,
        digest: payer.digest().map(str::to_owned),
        hold,
        terms: Terms { endpoint: inference.endpoint.into(), model: model.id.clone(), price, unpriced },
        address: context.address,
    };
    let (granted, available) = match client.call(Command::Admit(Box::new(admit))).await.map_err(auth::unanswered)? {
        Ok(Answer::Admitted { granted_output, available, .. }) => (granted_output, available),
        Ok(other) => return Err(auth::unexpected(&other)),
        Err(refusal) => {
            refusals::note(payer.source(), &refusal, now_ms);
            context.due_top_ups.note_refusal(payer.routing_id(), &refusal, now_ms);
            return Err(auth::refused(&refusal));
        }
    };
    let most_output = terms::most_output(request, model);
    // What becomes of a whole answer is seen at its end alone.
    let unseen = terms::hides(request, model) || (request.generates() && !facts.stream);
    // What grows while it runs need not be lowered.
    let lowered_output = granted.filter(|granted| *granted < most_output && !terms::grows(request, model));
    let billed = ticket::Terms {
        price,
        hold,
        likely_input: facts.input.likely(model.vocabulary, model.image_tokens),
        most_input: terms::most_input(request, model),
        choices: facts.n,
        most_output: lowered_output.unwrap_or(most_output),
        predicted: facts.input.predicted(model.vocabulary),
        hides: terms::hides(request, model),
        hidden_tokens_per_s: unseen.then_some(model.tokens_per_s.unwrap_or(DEFAULT_TOKENS_PER_S)),
        one_hour_marks: facts.one_hour_marks,
        started_ms: now_ms,
    };
    let admitted = Admitted {
        ticket: Ticket::new(client, context, billed, granted),
        account: payer.routing_id().to_owned(),
        candidates: candidates.get(skipped..).unwrap_or_default(),
        first: lowered_output.is_none().then_some(first),
        model,
        lowered_output,
        available,
    };
    // 3. Upstream, relay, settle.
    if facts.stream {
        streamed::streamed(inference, admitted, context, early).await
    } else {
        whole::whole(inference, admitted, context).await
    }
}

/// The way to the first upstream that can hold the request, and how many before it cannot.
fn first_way<'a>(
    inference: &Inference<'_>,
    candidates: &'a [Candidate<'a>],
    model: &'a Model,
    context: &Context,
) -> Result<(Way<'a>, usize), ApiError> {
    let mut first_error = None;
    for (skipped, candidate) in candidates.iter().enumerate() {
        let counted = count_memory(inference, candidate, model);
        let found = counted.and_then(|()| Ok(Way::find(&inference.request, candidate, model, None, context)?));
        match found {
            Ok(way) => return Ok((way, skipped)),
            Err(error) => drop(first_error.get_or_insert(error)),
        }
    }
    Err(first_error.unwrap_or_else(unavailable))
}

/// Counts the memory of a translation before it is made, where the upstream needs one.
fn count_memory(inference: &Inference<'_>, candidate: &Candidate<'_>, model: &Model) -> Result<(), ApiError> {
    if Way::is_translated(&inference.request, candidate, model) {
        return inference.body.count_translation();
    }
    Ok(())
}

impl<'a> Admitted<'a> {
    /// The way to one of the upstreams that are left, asked for in their order; `None`: it cannot hold the
    /// request.
    pub fn way(
        &mut self,
        candidate: &'a Candidate<'a>,
        inference: &Inference<'_>,
        context: &Context,
    ) -> Option<Way<'a>> {
        // What was made before the admit is the first one's.
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        count_memory(inference, candidate, self.model).ok()?;
        Way::find(&inference.request, candidate, self.model, self.lowered_output, context).ok()
    }
}

/// The headers of an answer; `answer_losses` are known for whole answers alone.
///
/// # Errors
/// The platform's.
pub fn headers(
    content_type: &str,
    lowered_output: Option<u64>,
    way: &Way<'_>,
    answer_losses: Option<&Losses>,
) -> Result<Headers, ApiError> {
    let headers = Headers::new();
    headers.set("content-type", content_type)?;
    if let Some(limit) = lowered_output {
        headers.set("x-oneinterface-max-tokens", &limit.to_string())?;
    }
    let mut losses = way.encoded.losses.clone();
    answer_losses.into_iter().for_each(|more| losses.merge(more));
    if !losses.is_empty() {
        headers.set("x-oneinterface-dropped", &losses.to_string())?;
    }
    Ok(headers)
}
