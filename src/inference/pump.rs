//! A stream, from the upstream to the client, and then to the account.
//!
//! The one rule: whatever happens to either side, the request is settled by what was produced. It runs
//! under `waitUntil`, so it goes on when the client has left.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::Pin;

use account::panics::{Panicked, caught};
use billing::ledger::Outcome;
use billing::running::Next;
use catalog::WhenClientLeaves;
use dialect::relay::{End, Forward, Relay};
use dialect::tokens::Figures;
use futures::FutureExt;
use futures::future::{Either, FusedFuture, join, select};
use js_sys::Uint8Array;
use wasm_bindgen::JsValue;

use super::leaving::Leaving;
use super::opening::Piece;
use super::stream::{Sink, Source};
use super::ticket::{Bill, Charged, Seen, Ticket};
use crate::breakers::Answering;
use crate::clock;
use crate::upstream::{Connection, within};

/// How long an upstream is read for its usage after its client has left, where the model reasons out of sight or the
/// catalogue says so, in milliseconds. The platform ends `waitUntil` 30 s after the client's leaving.
const READ_ON_MS: u64 = 10_000;
/// How long it is read where the model has stopped already, so that its usage alone is missing. Milliseconds.
const LAST_USAGE_MS: u64 = 5_000;
/// By how many output tokens of each choice a stream's hold grows, and how many its first hold covers.
pub const STREAM_HOLD_TOKENS: u64 = 4_096;
/// How long a hold that did not grow waits before it is tried again, in milliseconds.
const GROW_AGAIN_MS: i64 = 1_000;

/// After how much silence the client gets a keep-alive, in milliseconds. It finds a client that left as well;
/// proxies cut what is silent for a minute or less.
pub const KEEP_ALIVE_MS: u64 = 8_000;
/// How long the first bytes may wait for a reader, in milliseconds: a client that left before there was a
/// response never reads any, and the platform does not say so.
pub const FIRST_WRITE_MS: u64 = 10_000;
/// How long later bytes may wait: a client that reads nothing for a minute is gone. Milliseconds.
pub const WRITE_MS: u64 = 60_000;
/// How long the body of an upstream may still be open behind the end of its stream, in milliseconds. One
/// that ends by itself leaves a connection that can be used again.
const CLOSING_MS: u64 = 500;

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
    /// What it comes by.
    pub connection: Connection,
    /// To the client.
    pub sink: Sink,
    /// The client's leaving.
    pub leaving: Leaving,
    /// What is done with the bytes.
    pub relay: RefCell<Box<dyn Relay>>,
    /// What the relay has read already and nobody has handed on.
    pub pieces: RefCell<VecDeque<Piece>>,
    /// Whether the upstream tells cache writes for an hour from those for five minutes.
    pub tells_cache_writes: bool,
    /// What is done with the upstream when the client leaves.
    pub when_client_leaves: WhenClientLeaves,
    /// The longest silence of the upstream, in milliseconds.
    pub idle_ms: u64,
    /// The longest stream, in milliseconds.
    pub total_ms: u64,
    /// Hears of a stream that breaks off.
    pub answering: Answering,
    /// When the upstream answered, or its client was last told something, in milliseconds since the epoch.
    pub told_at_ms: i64,
    /// How far it has come.
    pub progress: Progress,
}

/// How far a stream has come. Times are in milliseconds since the epoch.
#[derive(Debug, Default)]
pub struct Progress {
    /// When the client was found to have left.
    client_left_ms: Cell<Option<i64>>,
    /// Whether the client has read anything.
    has_reader: Cell<bool>,
    /// When the client was last sent something.
    told_at_ms: Cell<i64>,
    /// What was seen of the answer when the client was last sent something, in tokens.
    delivered: Cell<Figures>,
    /// When the hold was last asked to grow and did not.
    stuck_at_ms: Cell<i64>,
}

impl Pump {
    /// Pumps until the end and settles.
    pub async fn run(self) {
        let forward = within(self.total_ms, self.forward());
        let forwarded = caught(self.ticket.alive_during(&self.upstream, forward)).await;
        let client = self.progress.client_left_ms.get().is_none();
        let end = match forwarded {
            Ok(end) => {
                let end = end.flatten();
                let broke_off = match end {
                    Some(End::Truncated | End::Failed) => true,
                    // Silent or endless; of one that is given up nobody knows.
                    None => client,
                    Some(End::Complete | End::Limit) => false,
                };
                if broke_off {
                    self.answering.broke_off(clock::now_ms());
                }
                end
            }
            // It ends as one whose upstream broke off: what was produced is paid for.
            Err(Panicked) => {
                worker::console_error!("{}: a panic ended its stream", self.ticket.request_id());
                None
            }
        };
        let (outcome, bill) = if client { self.with_client(end) } else { self.without_client(end) };
        let dropped = self.relay.borrow().losses();
        let resolve = async {
            match bill {
                Some(bill) => self.ticket.settle(bill, outcome, &self.upstream, dropped).await,
                None => {
                    self.ticket.release(outcome, Some(self.upstream.clone())).await;
                    None
                }
            }
        };
        let bill = bill.unwrap_or_else(|| self.ticket.bill());
        let resolve = std::pin::pin!(resolve);
        let wait = std::pin::pin!(clock::sleep_ms(SETTLE_WAIT_MS));
        let (charged, unsettled) = match select(resolve, wait).await {
            Either::Left((charged, _)) => (charged, None),
            Either::Right((_, resolve)) => (None, Some(resolve)),
        };
        let cost = charged.map_or(bill.cost, |Charged { cost, .. }| cost);
        // A client that does not read its end must not hold up what is left of the settle.
        let ending = async {
            if client {
                let tail = self.relay.borrow_mut().tail(&bill.usage, cost);
                // One that leaves now has had everything that it pays for.
                let _ = within(FIRST_WRITE_MS, self.sink.write(&tail)).await;
                let _ = within(FIRST_WRITE_MS, self.sink.close()).await;
            }
            if end == Some(End::Complete) {
                let closing = async { while let Ok(Some(_)) = self.source.read().await {} };
                let _ = within(CLOSING_MS, closing).await;
            }
            self.connection.end();
        };
        match unsettled {
            Some(resolve) => drop(join(resolve, ending).await),
            None => ending.await,
        }
    }

    /// How the stream ended for a client that is there, and its bill; `None`: nothing was produced.
    fn with_client(&self, end: Option<End>) -> (Outcome, Option<Bill>) {
        match end {
            Some(End::Complete) => (Outcome::Completed, Some(self.ticket.bill())),
            Some(End::Limit) => (Outcome::Limited, Some(self.ticket.bill_of_cut())),
            Some(End::Truncated | End::Failed) | None if self.ticket.is_empty() => (Outcome::UpstreamFailed, None),
            Some(End::Truncated | End::Failed) | None => (Outcome::Truncated, Some(self.ticket.bill_of_cut())),
        }
    }

    /// The same for one that left. An upstream that failed by itself costs no more than if it had stayed;
    /// one that was given up is taken to have worked until then.
    fn without_client(&self, end: Option<End>) -> (Outcome, Option<Bill>) {
        let bill = match end {
            Some(End::Truncated | End::Failed) if self.ticket.is_empty() => None,
            Some(End::Complete) => Some(self.ticket.bill()),
            Some(_) => Some(self.ticket.bill_of_cut()),
            None => Some(self.ticket.bill_of_abandoned(clock::now_ms())),
        };
        (Outcome::ClientGone, bill)
    }

    /// Reads and forwards; `None` when the upstream was silent for too long, or was given up.
    async fn forward(&self) -> Option<End> {
        self.progress.told_at_ms.set(self.told_at_ms);
        let mut leaving = std::pin::pin!(self.leaving.heard().fuse());
        loop {
            let (step, chunk) = self.next_piece(leaving.as_mut()).await?;
            self.note();
            self.hand_on(step.forward, chunk.as_ref()).await;
            self.note();
            if step.end.is_some() {
                return step.end;
            }
            if self.is_given_up() {
                return None;
            }
            if !self.may_go_on().await {
                self.relay.borrow_mut().stop_at_limit();
                return Some(End::Limit);
            }
        }
    }

    /// What is done with the next bytes; `None`: the upstream was silent for too long, or is given up.
    async fn next_piece(&self, leaving: Pin<&mut impl FusedFuture<Output = ()>>) -> Option<Piece> {
        let read_before = self.pieces.borrow_mut().pop_front();
        if read_before.is_some() {
            return read_before;
        }
        Some(match self.next(leaving).await? {
            Ok(Some(chunk)) => (self.relay.borrow_mut().push(&chunk.to_vec()), Some(chunk)),
            Ok(None) | Err(_) => (self.relay.borrow_mut().finish(), None),
        })
    }

    /// The next bytes of the upstream, and keep-alives for the client until they come; `None`: it was silent
    /// for too long, or is given up.
    async fn next(&self, mut leaving: Pin<&mut impl FusedFuture<Output = ()>>) -> Option<Read> {
        let mut read = std::pin::pin!(self.source.read());
        let silent_since_ms = clock::now_ms();
        loop {
            let now_ms = clock::now_ms();
            let patience_ms = self.patience_ms(now_ms, silent_since_ms);
            if patience_ms == 0 {
                return None;
            }
            let pause_ms = self.pause_ms(now_ms);
            let timer = std::pin::pin!(clock::sleep_ms(patience_ms.min(pause_ms)));
            match select(read.as_mut(), select(leaving.as_mut(), timer)).await {
                Either::Left((read, _)) => return Some(read),
                Either::Right((Either::Left(_), _)) => self.note_leaving(),
                Either::Right((Either::Right(_), _)) if patience_ms <= pause_ms => return None,
                Either::Right((Either::Right(_), _)) => {
                    let keep_alive = self.relay.borrow().keep_alive().to_vec();
                    self.hand_on(Forward::Bytes(keep_alive), None).await;
                }
            }
            if self.is_given_up() {
                return None;
            }
        }
    }

    /// How long the next bytes of the upstream are still waited for, in milliseconds.
    fn patience_ms(&self, now_ms: i64, silent_since_ms: i64) -> u64 {
        let idle_ms = self.idle_ms.saturating_sub(since_ms(silent_since_ms, now_ms));
        let Some(left_ms) = self.progress.client_left_ms.get() else { return idle_ms };
        let read_on_ms = if self.relay.borrow().meter().finished { LAST_USAGE_MS } else { READ_ON_MS };
        idle_ms.min(read_on_ms.saturating_sub(since_ms(left_ms, now_ms)))
    }

    /// How long the client may still be left without a word, in milliseconds.
    fn pause_ms(&self, now_ms: i64) -> u64 {
        if self.progress.client_left_ms.get().is_some() {
            return u64::MAX;
        }
        KEEP_ALIVE_MS.saturating_sub(since_ms(self.progress.told_at_ms.get(), now_ms))
    }

    /// Whether the client has left and nothing more is worth reading. Behind the model's last word only its usage is
    /// missing, which is read for a moment.
    fn is_given_up(&self) -> bool {
        self.progress.client_left_ms.get().is_some()
            && self.when_client_leaves == WhenClientLeaves::Stop
            && !self.relay.borrow().meter().finished
    }

    /// Notes what the relay has counted, and as much of it as the client was handed.
    fn note(&self) {
        let meter = self.relay.borrow().meter();
        self.ticket.note(Seen {
            reported: meter.reported,
            visible: meter.visible,
            delivered: self.progress.delivered.get(),
            tells_cache_writes: self.tells_cache_writes,
        });
    }

    fn note_leaving(&self) {
        if self.progress.client_left_ms.get().is_none() {
            self.progress.client_left_ms.set(Some(clock::now_ms()));
        }
    }

    /// Writes to the client, if it is there, and notes when it is not.
    async fn hand_on(&self, forward: Forward, chunk: Option<&Uint8Array>) {
        if self.progress.client_left_ms.get().is_some() || forward == Forward::Bytes(Vec::new()) {
            return;
        }
        let write = async {
            match (forward, chunk) {
                (Forward::Same, Some(chunk)) => self.sink.write_chunk(chunk).await,
                (Forward::Same, None) => Ok(()),
                (Forward::Bytes(bytes), _) => self.sink.write(&bytes).await,
            }
        };
        let patience_ms = if self.progress.has_reader.get() { WRITE_MS } else { FIRST_WRITE_MS };
        match within(patience_ms, write).await {
            Some(Ok(())) => {
                self.progress.has_reader.set(true);
                self.progress.delivered.set(self.relay.borrow().meter().visible);
                self.progress.told_at_ms.set(clock::now_ms());
            }
            Some(Err(_)) | None => self.note_leaving(),
        }
    }

    /// Whether the stream goes on. Its hold grows when most of it is used; where it cannot, it is asked again once a
    /// second, and once more when it is used up.
    async fn may_go_on(&self) -> bool {
        let next = self.ticket.next();
        match next {
            Next::GoOn => return true,
            Next::Stop => return false,
            Next::Grow | Next::GrowOrStop => {}
        }
        let now_ms = clock::now_ms();
        let rested = now_ms.saturating_sub(self.progress.stuck_at_ms.get()) >= GROW_AGAIN_MS;
        if rested || next == Next::GrowOrStop {
            let covered = self.ticket.covered();
            self.ticket.grow(&self.upstream, STREAM_HOLD_TOKENS).await;
            if self.ticket.covered() == covered {
                self.progress.stuck_at_ms.set(now_ms);
            }
        }
        !matches!(self.ticket.next(), Next::GrowOrStop | Next::Stop)
    }
}

/// What a read of an upstream gives; `None`: its end.
type Read = Result<Option<Uint8Array>, JsValue>;

fn since_ms(then_ms: i64, now_ms: i64) -> u64 {
    u64::try_from(now_ms.saturating_sub(then_ms)).unwrap_or(0)
}
