//! A whole answer: ask, read it to its end, settle, hand it over.

use billing::ledger::Outcome;
use dialect::canonical::Losses;
use dialect::rejection;
use dialect::rewrite::{NotAnAnswer, Passed};
use worker::{Headers, Response};

use super::failover;
use super::pipeline::{Admitted, Inference, Served, headers};
use super::stream::{NoText, Sink, Source};
use super::ticket::{Charged, Seen};
use super::way::Way;
use crate::body::pace::Pace;
use crate::body::{LARGE_BYTES, Reservation};
use crate::body_memory::Room;
use crate::clock;
use crate::context::Context;
use crate::error::ApiError;
use crate::upstream::{Exchange, Failure, within};

/// The largest whole answer, in bytes: 2,048 embeddings of 3,072 numbers in base64 have 32 MB and some more. The
/// isolate's memory for bodies takes one such answer beside the body of its request, see [`crate::body_memory`].
const MAX_ANSWER_BYTES: usize = 33 << 20;

/// A large answer is handed over in pieces of so many bytes: what the platform holds of it is not counted. A client that
/// reads at the least rate finishes each piece in 4 s, well within its patience.
const PIECE_BYTES: usize = 64 << 10;

/// Serves an admitted request whole.
///
/// # Errors
/// [`ApiError`]; the hold is resolved by then.
pub async fn whole(
    inference: &Inference<'_>,
    mut admitted: Admitted<'_>,
    context: &Context,
) -> Result<Served, ApiError> {
    let account = admitted.account.clone();
    let attempt = async |way: &Way<'_>| answer(inference, way, &account, context).await;
    let ((answer, losses, memory), way, _) = failover::ask(&mut admitted, inference, context, attempt).await?;
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
    hand_over(answer.body, memory, headers)
}

/// Answers with `body`. The memory of a large one stays counted until its client has read it, and a client that reads
/// too slowly is cut off, as one that sends too slowly is.
fn hand_over(body: String, memory: Reservation, headers: Headers) -> Result<Served, ApiError> {
    if body.len() <= LARGE_BYTES {
        return Ok(Response::ok(body)?.with_headers(headers).into());
    }
    let (sink, readable) = Sink::new().map_err(worker::Error::from)?;
    let rest = async move {
        let _memory = memory;
        let mut pace = Pace::new(clock::now_ms());
        for piece in body.as_bytes().chunks(PIECE_BYTES) {
            let written = within(pace.patience_ms(clock::now_ms()), sink.write(piece)).await;
            if !matches!(written, Some(Ok(()))) {
                return sink.cut();
            }
            pace.moved(piece.len(), clock::now_ms());
        }
        let _ = within(pace.patience_ms(clock::now_ms()), sink.close()).await;
    };
    let response = Response::builder().with_headers(headers).stream(readable);
    Ok(Served { response, rest: Some(Box::pin(rest)) })
}

/// One attempt at a whole answer, and the memory that is counted for it.
async fn answer(
    inference: &Inference<'_>,
    way: &Way<'_>,
    account: &str,
    context: &Context,
) -> Result<(Passed, Losses, Reservation), Failure> {
    // Where there is no memory for any answer nothing is asked for.
    let memory = Reservation::begin(Room::Inference, account).map_err(|_| Failure::NoRoom)?;
    let begun_ms = clock::now_ms();
    let Exchange { response, answered_ms, connection: _connection } =
        way.send(&inference.anthropic, &inference.request).await?;
    let source = Source::new(response.body()).ok_or(Failure::NotAnAnswer)?;
    let spent_ms = answered_ms.saturating_sub(begun_ms).unsigned_abs();
    let left_ms = way.candidate.total_ms().saturating_sub(spent_ms);
    let length = content_length(&response).unwrap_or(0);
    if length > MAX_ANSWER_BYTES {
        return Err(Failure::TooLarge);
    }
    let fits = |bytes: usize| memory.resize(bytes.max(length)).is_ok();
    if !fits(0) {
        return Err(Failure::NoRoom);
    }
    let text = match within(left_ms, source.text(MAX_ANSWER_BYTES, fits)).await {
        Some(Ok(text)) => text,
        Some(Err(NoText::Broken)) => return Err(Failure::Unreachable),
        Some(Err(NoText::TooLarge)) => return Err(Failure::TooLarge),
        Some(Err(NoText::NoRoom)) => return Err(Failure::NoRoom),
        None => return Err(Failure::TimedOut),
    };
    let status = response.status_code();
    let request = &inference.request;
    let read = request.read(way.pair, &text, &way.rewrite(), &way.identity(request, context));
    let beta = inference.anthropic.beta.as_deref();
    let (passed, losses) = read.map_err(|NotAnAnswer| match rejection::classify(400, &text, beta) {
        Some(rejection) => Failure::Rejected { status, rejection },
        None => Failure::NotAnAnswer,
    })?;
    // A translation can be longer than what it was made of.
    memory.resize(text.len().max(passed.body.len())).map_err(|_| Failure::NoRoom)?;
    Ok((passed, losses, memory))
}

/// How long an answer says that it is, in bytes.
fn content_length(response: &Response) -> Option<usize> {
    response.headers().get("content-length").ok().flatten()?.parse().ok()
}
