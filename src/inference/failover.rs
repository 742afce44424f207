//! One upstream after another, until one answers.
//!
//! The one rule: nothing has reached the client yet. An attempt that has brought something for it is the
//! last one.

use catalog::Model;

use super::failure::{give_up, log, not_now};
use super::pipeline::{Admitted, Inference};
use super::way::Way;
use crate::breakers::{self, Answering, Wait};
use crate::clock;
use crate::context::Context;
use crate::error::ApiError;
use crate::upstream::{self, Candidate, Failure};

/// The most upstreams that one request is sent to.
const MAX_ATTEMPTS: usize = 3;

/// After so long no further attempt begins, in milliseconds: who has waited two minutes for an error is
/// better told of it. The last one still has the deadlines of its upstream.
const FAILOVER_MS: i64 = 120_000;

/// The upstreams that can serve a model, in the order to try them: those that `account` may ask now, then those that
/// have failed of late.
///
/// # Errors
/// `upstream_unavailable` when there is none, or none that may be asked now; with `retry-after`, and as
/// `rate_limit_exceeded` where that is what the first of them said.
pub fn candidates<'a>(
    catalog: &'a catalog::Catalog,
    model: &'a Model,
    inference: &Inference<'_>,
    account: &str,
    context: &Context,
) -> Result<Vec<Candidate<'a>>, ApiError> {
    let mut candidates = upstream::candidates(catalog, model, inference.request.dialect(), context);
    if candidates.is_empty() {
        worker::console_error!("{}: no configured upstream serves {}", context.request_id, model.id);
    }
    let now_ms = clock::now_ms();
    candidates.sort_by_key(|candidate| breakers::wait(candidate, account, now_ms).is_some());
    match candidates.first() {
        Some(first) if breakers::wait(first, account, now_ms).is_none() => Ok(candidates),
        _ => Err(not_now(least_wait(&candidates, account, now_ms))),
    }
}

/// Asks the upstreams that are left until `attempt` brings something for the client: that, by which way, and
/// who is to hear if its stream breaks off.
///
/// # Errors
/// What the client is told when none did; the hold is released by then.
pub async fn ask<'a, T>(
    admitted: &mut Admitted<'a>,
    inference: &Inference<'_>,
    context: &Context,
    attempt: impl AsyncFn(&Way<'a>) -> Result<T, Failure>,
) -> Result<(T, Way<'a>, Answering), ApiError> {
    let stream = inference.request.facts().stream;
    let give_up_at_ms = clock::now_ms().saturating_add(FAILOVER_MS);
    let (mut attempts, mut failure) = (0_usize, None);
    let candidates = admitted.candidates;
    for candidate in candidates {
        let now_ms = clock::now_ms();
        if attempts >= MAX_ATTEMPTS || (attempts > 0 && now_ms >= give_up_at_ms) {
            break;
        }
        let Some(way) = admitted.way(candidate, inference, context) else { continue };
        let Some(leave) = breakers::begin(candidate, &admitted.account, now_ms) else { continue };
        attempts = attempts.saturating_add(1);
        let ended = admitted.ticket.alive_during(&candidate.upstream.id, attempt(&way)).await;
        let now_ms = clock::now_ms();
        match ended {
            Ok(answer) => return Ok((answer, way, Answering::of(candidate, leave, now_ms))),
            Err(failed) => {
                breakers::failed(candidate, &leave, failed.verdict(), now_ms);
                log(context, candidate, &failed);
                let last = !failed.may_fail_over(stream);
                failure = Some((failed, candidate.upstream.id.clone()));
                if last {
                    break;
                }
            }
        }
    }
    Err(give_up(&admitted.ticket, failure, least_wait(candidates, &admitted.account, clock::now_ms())).await)
}

/// Of upstreams none of which may be asked, how long the one is waited for that may be asked first.
fn least_wait(candidates: &[Candidate<'_>], account: &str, now_ms: i64) -> Option<Wait> {
    candidates.iter().filter_map(|candidate| breakers::wait(candidate, account, now_ms)).min()
}
