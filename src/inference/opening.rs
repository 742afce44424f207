//! The beginning of a stream: as long as nothing of it has reached the client, another upstream can still
//! answer in its place.
//!
//! The one rule: a stream that fails before it has brought anything is a failure of the attempt, not of the
//! client's stream. Some servers answer 200 first and say then that they cannot.

use std::collections::VecDeque;

use dialect::rejection::{self, Rejection};
use dialect::relay::{End, Forward, Relay, Step};
use dialect::sse::Parser;
use futures::future::{Either, select};
use js_sys::Uint8Array;
use worker::Response;

use super::pipeline::Inference;
use super::stream::Source;
use super::ticket::is_nothing;
use crate::upstream::{Candidate, Connection, Exchange, Failure, rejection_in, within};

/// How long the first event is waited for where the upstream has no deadline of its own for it, in
/// milliseconds. What says at once that it cannot is found out by then; a model that thinks for longer is
/// waited for by the client, who has the headers.
const PEEK_MS: u64 = 5_000;

/// How much of a failing beginning is read for its reason, in bytes.
const MAX_SAID_BYTES: usize = 16 << 10;

/// What is done with a piece of a stream, and the piece, unless it is the end.
pub type Piece = (Step, Option<Uint8Array>);

/// A stream that has begun.
pub struct Opening {
    /// The rest of it.
    pub source: Source,
    /// What it comes by.
    pub connection: Connection,
    /// When the upstream's headers came, in milliseconds since the epoch.
    pub answered_ms: i64,
    /// Has read the pieces.
    pub relay: Box<dyn Relay>,
    /// Read and not handed on.
    pub pieces: VecDeque<Piece>,
}

/// Waits for the first event of a stream. For a client that leaves meanwhile nobody else is asked: what its
/// request costs here is then the pump's to find out.
///
/// # Errors
/// [`Failure`]: the body is no stream, the stream broke or ended in an error before it brought anything, or
/// the upstream's own deadline for it passed.
pub async fn open(
    exchange: Exchange,
    candidate: &Candidate<'_>,
    relay: Box<dyn Relay>,
    inference: &Inference<'_>,
) -> Result<Opening, Failure> {
    let Exchange { response, connection, answered_ms } = exchange;
    let betas = inference.anthropic.beta.as_deref();
    let source = event_stream(&response, betas).await?;
    let mut opening = Opening { source, connection, answered_ms, relay, pieces: VecDeque::new() };
    let deadline_ms = candidate.first_token_ms();
    let begun = async {
        let (read, left) = (std::pin::pin!(opening.read_first(betas)), std::pin::pin!(inference.leaving.heard()));
        match select(read, left).await {
            Either::Left((read, _)) => read,
            Either::Right(_) => Ok(()),
        }
    };
    match within(deadline_ms.unwrap_or(PEEK_MS), begun).await {
        Some(Ok(())) => Ok(opening),
        Some(Err(failure)) => Err(failure),
        None if deadline_ms.is_some() => Err(Failure::TimedOut),
        None => Ok(opening),
    }
}

/// The body of an answer that is a stream of events; some servers answer a failure with 200.
async fn event_stream(response: &Response, betas: Option<&str>) -> Result<Source, Failure> {
    let content_type = response.headers().get("content-type").ok().flatten().unwrap_or_default();
    if content_type.is_empty() || content_type.to_ascii_lowercase().starts_with("text/event-stream") {
        return Source::new(response.body()).ok_or(Failure::NotAnAnswer);
    }
    let status = response.status_code();
    let rejection = rejection_in(response, betas).await;
    Err(rejection.map_or(Failure::NotAnAnswer, |rejection| Failure::Rejected { status, rejection }))
}

impl Opening {
    /// Reads up to the first event. It may be given up at any time: what was read is kept.
    async fn read_first(&mut self, betas: Option<&str>) -> Result<(), Failure> {
        let mut said = Vec::new();
        loop {
            let read = self.source.read().await;
            let broke = read.is_err();
            let chunk = read.ok().flatten();
            let bytes = chunk.as_ref().map(Uint8Array::to_vec);
            let step = match &bytes {
                Some(bytes) => self.relay.push(bytes),
                None => self.relay.finish(),
            };
            let bytes = bytes.unwrap_or_default();
            said.extend(bytes.iter().take(MAX_SAID_BYTES.saturating_sub(said.len())));
            let meter = self.relay.meter();
            let failed = matches!(step.end, Some(End::Failed | End::Truncated));
            if failed && is_nothing(meter.reported, meter.visible) {
                return Err(match rejection_of(&said, betas) {
                    Some(rejection) => Failure::Rejected { status: 200, rejection },
                    None if broke => Failure::Unreachable,
                    None => Failure::NotAnAnswer,
                });
            }
            let forwarded = match &step.forward {
                Forward::Same => &bytes,
                Forward::Bytes(bytes) => bytes,
            };
            let brings = step.end.is_some() || !is_comment(forwarded);
            self.pieces.push_back((step, chunk));
            if brings {
                return Ok(());
            }
        }
    }
}

/// What an error event is about.
fn rejection_of(said: &[u8], betas: Option<&str>) -> Option<Rejection> {
    let mut parser = Parser::default();
    let mut frames = parser.push(said).ok()?;
    frames.extend(parser.finish());
    frames.iter().filter_map(|frame| rejection::classify(400, &frame.data()?, betas)).next()
}

/// Whether whole lines of a stream are comments and nothing else.
fn is_comment(bytes: &[u8]) -> bool {
    bytes.split(|byte| matches!(byte, b'\n' | b'\r')).all(|line| line.first().is_none_or(|first| *first == b':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_no_event() {
        for (bytes, expected) in [
            (": one\n\n: two\r\n\r\n", true),
            ("", true),
            ("\n", true),
            ("data: 1\n\n", false),
            (": one\n\ndata: 1\n\n", false),
            ("event: ping\n", false),
        ] {
            assert_eq!(is_comment(bytes.as_bytes()), expected, "{bytes:?}");
        }
    }

    #[test]
    fn the_reason_of_an_error_event_is_read() {
        let too_long = r#"{"error":{"message":"maximum context length is 8192","code":400}}"#;
        assert_eq!(
            rejection_of(format!("event: error\ndata: {too_long}\n\n").as_bytes(), None),
            Some(Rejection::ContextLength)
        );
        assert_eq!(
            rejection_of(format!(": wait\n\ndata: {too_long}").as_bytes(), None),
            Some(Rejection::ContextLength)
        );
        assert_eq!(rejection_of(b"data: {\"error\":{\"message\":\"overloaded\"}}\n\n", None), None);
        assert_eq!(rejection_of(too_long.as_bytes(), None), None);
    }
}
