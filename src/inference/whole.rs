//! A whole answer: ask, read it to its end, settle, hand it over.

use billing::ledger::Outcome;
use dialect::canonical::Losses;
use dialect::rejection;
use dialect::rewrite::{NotAnAnswer, Passed};
use worker::Response;

use super::failover;
use super::pipeline::{Admitted, Inference, Served, headers};
use super::stream::{NoText, Source};
use super::ticket::{Charged, Seen};
use super::way::Way;
use crate::clock;
use crate::context::Context;
use crate::error::ApiError;
use crate::upstream::{Exchange, Failure, within};

/// The largest whole answer, in bytes: thousands of long embeddings fit, and the isolate has 128 MB.
const MAX_ANSWER_BYTES: usize = 48 << 20;

/// Serves an admitted request whole.
///
/// # Errors
/// [`ApiError`]; the hold is resolved by then.
pub async fn whole(
    inference: &Inference<'_>,
    mut admitted: Admitted<'_>,
    context: &Context,
) -> Result<Served, ApiError> {
    let attempt = async |way: &Way<'_>| answer(inference, way, context).await;
    let ((answer, losses), way, _) = failover::ask(&mut admitted, inference, context, attempt).await?;
    admitted.ticket.note(Seen {
        reported: answer.usage,
        visible: answer.visible,
        delivered: answer.visible,
        tells_cache_writes: way.tells_cache_writes(),
    });
    let bill = admitted.ticket.bill();
    let upstream = &way.candidate.upstream.id;
    let charged = admitted.ticket.settle(bill, Outcome::Completed, upstream, losses.to_string()).await;
    let headers = headers("application/json", admitted.lowered_output, &way, Some(&losses))?;
    headers.set("x-oneinterface-cost", &charged.map_or(bill.cost, |charged| charged.cost).to_string())?;
    if let (Some(Charged { balance, .. }), Some(_)) = (charged, admitted.available) {
        headers.set("x-oneinterface-balance", &balance.to_string())?;
    }
    Ok(Response::ok(answer.body)?.with_headers(headers).into())
}

/// One attempt at a whole answer.
async fn answer(inference: &Inference<'_>, way: &Way<'_>, context: &Context) -> Result<(Passed, Losses), Failure> {
    let begun_ms = clock::now_ms();
    let Exchange { response, answered_ms, connection: _connection } =
        way.send(&inference.anthropic, &inference.request).await?;
    let source = Source::new(response.body()).ok_or(Failure::NotAnAnswer)?;
    let spent_ms = answered_ms.saturating_sub(begun_ms).unsigned_abs();
    let left_ms = way.candidate.total_ms().saturating_sub(spent_ms);
    let text = match within(left_ms, source.text(MAX_ANSWER_BYTES)).await {
        Some(Ok(text)) => text,
        Some(Err(NoText::Broken)) => return Err(Failure::Unreachable),
        Some(Err(NoText::TooLarge)) => return Err(Failure::TooLarge),
        None => return Err(Failure::TimedOut),
    };
    let status = response.status_code();
    let request = &inference.request;
    let read = request.read(way.pair, &text, &way.rewrite(), &way.identity(request, context));
    read.map_err(|NotAnAnswer| match rejection::classify(400, &text) {
        Some(rejection) => Failure::Rejected { status, rejection },
        None => Failure::NotAnAnswer,
    })
}
