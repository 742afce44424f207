//! What a client is told when no upstream gave an answer.

use billing::ledger::Outcome;

use super::ticket::Ticket;
use crate::context::Context;
use crate::error::{ApiError, Code};
use crate::upstream::{Candidate, Failure};

/// The longest wait that an upstream's `retry-after` can ask a client for, in seconds.
const MAX_RETRY_AFTER_S: u64 = 3_600;

/// Says in the log why an attempt failed.
pub fn log(context: &Context, candidate: &Candidate<'_>, failure: &Failure) {
    worker::console_warn!("{}: upstream {}: {failure}", context.request_id, candidate.upstream.id);
}

/// Frees the hold and says why there is no answer; `failure` is the last one, with its upstream's id.
pub async fn give_up(ticket: &Ticket, failure: Option<(Failure, String)>) -> ApiError {
    let Some((failure, upstream)) = failure else {
        ticket.release(Outcome::UpstreamFailed, None).await;
        return unavailable();
    };
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

/// No upstream is there, or none answered.
#[must_use]
pub fn unavailable() -> ApiError {
    ApiError::new(Code::UpstreamUnavailable, "All providers of this model are temporarily unavailable.")
}
