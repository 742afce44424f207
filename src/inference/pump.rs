//! A stream, from the upstream to the client, and then to the account.
//!
//! The one rule: whatever happens to either side, the request is settled by what was produced. It runs
//! under `waitUntil`, so it goes on when the client has left.

use std::cell::RefCell;

use billing::ledger::Outcome;
use dialect::openai_chat::stream::{End, Forward, Relay, Step};
use futures::future::{Either, select};
use worker::AbortController;

use super::stream::{Sink, Source};
use super::ticket::{Seen, Ticket};
use crate::clock;
use crate::upstream::within;

/// How long an upstream is read after its client has left, for the usage in its last chunk; the
/// platform ends `waitUntil` 30 s after the client's leaving. Milliseconds.
const DRAIN_MS: u64 = 20_000;
/// How long the end of a stream waits for its settle, in milliseconds. The cost is known without it.
const SETTLE_WAIT_MS: u64 = 250;

/// A stream that has begun.
pub struct Pump {
    /// The reservation.
    pub ticket: Ticket,
    /// The upstream's id, for the usage row.
    pub upstream: String,
    /// From the upstream.
    pub source: Source,
    /// Ends the upstream.
    pub abort: AbortController,
    /// To the client.
    pub sink: Sink,
    /// What is done with the bytes.
    pub relay: RefCell<Relay>,
    /// The longest silence of the upstream, in milliseconds.
    pub idle_ms: u64,
    /// The longest stream, in milliseconds.
    pub total_ms: u64,
}

/// Why nothing more is read.
enum Ended {
    /// The stream ended, well or not.
    Stream(End),
    /// The client left; how the stream ended after that, where it was read so far.
    ClientGone(Option<End>),
}

impl Pump {
    /// Pumps until the end and settles.
    pub async fn run(self) {
        let forward = within(self.total_ms, self.forward());
        let ended = self.ticket.alive_during(&self.upstream, forward).await;
        let (outcome, client, end) = match ended.unwrap_or(Ended::Stream(End::Truncated)) {
            Ended::Stream(end @ End::Complete) => (Outcome::Completed, true, Some(end)),
            Ended::Stream(end @ (End::Truncated | End::Failed)) => (Outcome::Truncated, true, Some(end)),
            Ended::ClientGone(end) => (Outcome::ClientGone, false, end),
        };
        // Nothing is read any more, whoever ended it.
        self.abort.abort();
        let bill = self.ticket.bill();
        let nothing = matches!(end, Some(End::Truncated | End::Failed)) && self.ticket.is_empty();
        let resolve = async {
            if nothing {
                let outcome = if client { Outcome::UpstreamFailed } else { outcome };
                self.ticket.release(outcome, Some(self.upstream.clone())).await;
            } else {
                self.ticket.settle(bill, outcome, &self.upstream).await;
            }
        };
        let resolve = std::pin::pin!(resolve);
        let wait = std::pin::pin!(clock::sleep_ms(SETTLE_WAIT_MS));
        let unsettled = match select(resolve, wait).await {
            Either::Left(_) => None,
            Either::Right((_, resolve)) => Some(resolve),
        };
        if client {
            let tail = self.relay.borrow_mut().tail(Some(bill.cost));
            // A client that leaves now has had everything that it pays for.
            let _ = self.sink.write(&tail).await;
            let _ = self.sink.close().await;
        }
        if let Some(resolve) = unsettled {
            resolve.await;
        }
    }

    async fn forward(&self) -> Ended {
        let mut client = true;
        let mut drain_until_ms = i64::MAX;
        loop {
            let left_ms = u64::try_from(drain_until_ms.saturating_sub(clock::now_ms())).unwrap_or(0);
            let Some(read) = within(self.idle_ms.min(left_ms), self.source.read()).await else {
                return if client { Ended::Stream(End::Truncated) } else { Ended::ClientGone(None) };
            };
            let (step, chunk) = match read {
                Ok(Some(chunk)) => (self.relay.borrow_mut().push(&chunk.to_vec()), Some(chunk)),
                Ok(None) | Err(_) => (self.relay.borrow_mut().finish(), None),
            };
            let meter = self.relay.borrow().meter();
            self.ticket.note(Seen { usage: meter.usage, visible_output: meter.visible_output });
            let Step { forward, end } = step;
            if client {
                let written = match (forward, chunk) {
                    (Forward::Same, Some(chunk)) => self.sink.write_chunk(&chunk).await,
                    (Forward::Same, None) => Ok(()),
                    (Forward::Bytes(bytes), _) => self.sink.write(&bytes).await,
                };
                if written.is_err() {
                    client = false;
                    let drain_ms = i64::try_from(DRAIN_MS).unwrap_or(i64::MAX);
                    drain_until_ms = clock::now_ms().saturating_add(drain_ms);
                }
            }
            match end {
                Some(end) if client => return Ended::Stream(end),
                Some(end) => return Ended::ClientGone(Some(end)),
                None => {}
            }
        }
    }
}
