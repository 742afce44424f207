//! What a client is told when no upstream gave an answer.

use billing::ledger::Outcome;

use super::ticket::Ticket;
use crate::breakers::Wait;
use crate::clock;
use crate::context::Context;
use crate::error::{ApiError, Code};
use crate::upstream::{Candidate, Failure};

/// The longest wait that an upstream's `retry-after` can ask a client for, in seconds.
const MAX_RETRY_AFTER_S: u64 = 3_600;

/// Says in the log why an attempt failed.
pub fn log(context: &Context, candidate: &Candidate<'_>, failure: &Failure) {
    worker::console_warn!("{}: upstream {}: {failure}", context.request_id, candidate.upstream.id);
}

/// Frees the hold, or charges what was made for nobody, and says why there is no answer; `failure` is the last one, with its upstream's id.
/// Without one nobody was asked, and `wait` is how long that stays so.
pub async fn give_up(ticket: &Ticket, failure: Option<(Failure, String)>, wait: Option<Wait>) -> ApiError {
    let Some((failure, upstream)) = failure else {
        ticket.release(Outcome::UpstreamFailed, None).await;
        return not_now(wait);
    };
    if failure == Failure::TooLarge {
        // It was made, and what it counted stands at its end: a request that asks for more than can be handed
        // over is not free.
        let bill = ticket.bill_of_abandoned(clock::now_ms());
        ticket.settle(bill, Outcome::Truncated, &upstream, String::new()).await;
        return told(&failure);
    }
    let outcome = if failure.is_rejection() { Outcome::Rejected } else { Outcome::UpstreamFailed };
    ticket.release(outcome, Some(upstream)).await;
    told(&failure)
}

/// A failure in the caller's terms. None of the provider's words are in it.
fn told(failure: &Failure) -> ApiError {
    match failure {
        Failure::Rejected { rejection, .. } => {
            let sentence = match rejection.code() {
                Some(code) => format!("{} ({code})", rejection.sentence()),
                None => rejection.sentence(),
            };
            ApiError::new(Code::InvalidRequest, sentence)
        }
        Failure::Status { status: 413, .. } => {
            ApiError::new(Code::InvalidRequest, "The request is too large for the provider of this model.")
                .with_status(413)
        }
        Failure::TooLarge => ApiError::new(
            Code::InvalidRequest,
            "The answer is too large to be handed over whole. Ask for less at once: fewer inputs of embeddings, fewer choices, no log probabilities; or for a stream where the endpoint has one.",
        ),
        failure if failure.is_rejection() => ApiError::new(
            Code::InvalidRequest,
            "The provider of this model rejected the request. Check its parameters against the model's capabilities.",
        ),
        Failure::Status { status: 429, retry_after_s } => busy(retry_after_s.unwrap_or(1)),
        Failure::Status { retry_after_s, .. } => ApiError { retry_after_s: retry_after_s.map(capped), ..unavailable() },
        // The answer is lost, and nobody pays for it: the same request can succeed a moment later.
        Failure::NoRoom => ApiError::busy(),
        Failure::Unreachable | Failure::TimedOut | Failure::NotAnAnswer => unavailable(),
    }
}

/// No upstream may be asked before `wait` is over.
#[must_use]
pub fn not_now(wait: Option<Wait>) -> ApiError {
    let Some(Wait { ms, is_rate_limited }) = wait else { return unavailable() };
    let seconds = ms.div_ceil(1_000);
    if is_rate_limited { busy(seconds) } else { ApiError { retry_after_s: Some(seconds), ..unavailable() } }
}

fn busy(retry_after_s: u64) -> ApiError {
    let sentence = "The provider of this model is busy. Retry after a short delay.";
    ApiError { retry_after_s: Some(capped(retry_after_s)), ..ApiError::new(Code::RateLimitExceeded, sentence) }
}

fn capped(retry_after_s: u64) -> u64 {
    retry_after_s.min(MAX_RETRY_AFTER_S)
}

/// No upstream is there, or none answered.
#[must_use]
pub fn unavailable() -> ApiError {
    ApiError::new(Code::UpstreamUnavailable, "All providers of this model are temporarily unavailable.")
}
