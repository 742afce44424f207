//! A stream: ask, and hand over what begins; the pump does the rest.

use std::cell::RefCell;

use billing::money::NanoUsd;
use futures::future::{Either, select};
use worker::{Headers, Response};

use super::pipeline::{Admitted, Inference, Served, headers};
use super::pump::{FIRST_WRITE_MS, Progress, Pump};
use super::stream::Sink;
use super::waiting::{Early, Waiting};
use super::way::Way;
use super::{failover, opening, terms};
use crate::context::Context;
use crate::error::ApiError;
use crate::upstream::within;

/// Serves an admitted request as a stream.
///
/// # Errors
/// [`ApiError`]; the hold is resolved by then. After `early` was called nobody hears them.
pub async fn streamed(
    inference: &Inference<'_>,
    mut admitted: Admitted<'_>,
    context: &Context,
    early: Option<&Early>,
) -> Result<Served, ApiError> {
    let request = &inference.request;
    let waiting = Waiting::new(early);
    let (lowered_output, available) = (admitted.lowered_output, admitted.available);
    let attempt = async |way: &Way<'_>| {
        let exchange = way.send(&inference.anthropic, request).await?;
        let relay = request.relay(way.pair, way.rewrite(), way.identity(request, context));
        if let Ok(headers) = stream_headers(lowered_output, available, way) {
            waiting.answered(exchange.answered_ms, headers, relay.keep_alive());
        }
        opening::open(exchange, way.candidate, relay, inference).await
    };
    let asked = {
        let ask = std::pin::pin!(failover::ask(&mut admitted, inference, context, attempt));
        match select(ask, std::pin::pin!(waiting.keep_alives())).await {
            Either::Left((asked, _)) => asked,
            Either::Right((never, _)) => match never {},
        }
    };
    let told = waiting.told();
    let (opening, way, answering) = match (asked, &told) {
        (Ok(asked), _) => asked,
        (Err(error), Some((sink, _))) => {
            // Its headers have said 200.
            let _ = within(FIRST_WRITE_MS, sink.write(&request.failed_stream())).await;
            let _ = within(FIRST_WRITE_MS, sink.close()).await;
            return Err(error);
        }
        (Err(error), None) => return Err(error),
    };
    let (sink, told_at_ms, response) = match told {
        Some((sink, at_ms)) => (sink, at_ms.unwrap_or(opening.answered_ms), Response::empty()?),
        None => {
            let (sink, readable) = Sink::new().map_err(worker::Error::from)?;
            let headers = stream_headers(lowered_output, available, &way)?;
            (sink, opening.answered_ms, Response::builder().with_headers(headers).stream(readable))
        }
    };
    let candidate = way.candidate;
    let pump = Pump {
        upstream: candidate.upstream.id.clone(),
        idle_ms: candidate.idle_ms(terms::hides(request, admitted.model)),
        total_ms: candidate.stream_ms(),
        tells_cache_writes: way.tells_cache_writes(),
        when_client_leaves: terms::when_client_leaves(request, admitted.model),
        ticket: admitted.ticket,
        source: opening.source,
        connection: opening.connection,
        sink,
        leaving: inference.leaving.clone(),
        relay: RefCell::new(opening.relay),
        pieces: RefCell::new(opening.pieces),
        answering,
        told_at_ms,
        progress: Progress::default(),
    };
    Ok(Served { response, rest: Some(Box::pin(pump.run())) })
}

/// The headers of a stream.
fn stream_headers(lowered_output: Option<u64>, available: Option<NanoUsd>, way: &Way<'_>) -> Result<Headers, ApiError> {
    let headers = headers("text/event-stream; charset=utf-8", lowered_output, way, None)?;
    if let Some(available) = available {
        headers.set("x-oneinterface-balance", &available.to_string())?;
    }
    Ok(headers)
}
