//! A client that waits for its stream: an upstream has answered, and brings nothing yet.
//!
//! The one rule: the client is never left without a word for longer than [`KEEP_ALIVE_MS`] from there on, and
//! what it is told is no answer. As long as none has begun another upstream can still give it.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::pending;

use futures::channel::oneshot;
use worker::{Headers, Response};

use super::pump::KEEP_ALIVE_MS;
use super::stream::Sink;
use crate::clock;

/// Hands a response over before its request is done.
pub type Early = dyn Fn(Response);

/// What is known when the first upstream has answered.
struct Answered {
    at_ms: i64,
    headers: Headers,
    keep_alive: &'static [u8],
}

/// A client that waits.
pub struct Waiting<'a> {
    /// `None`: it must wait for the whole beginning.
    early: Option<&'a Early>,
    hear: Cell<Option<oneshot::Receiver<Answered>>>,
    tell: Cell<Option<oneshot::Sender<Answered>>>,
    sink: RefCell<Option<Sink>>,
    told_at_ms: Cell<Option<i64>>,
}

impl<'a> Waiting<'a> {
    /// One that gets its headers by `early`.
    #[must_use]
    pub fn new(early: Option<&'a Early>) -> Self {
        let (tell, hear) = oneshot::channel();
        Self {
            early,
            hear: Cell::new(Some(hear)),
            tell: Cell::new(Some(tell)),
            sink: RefCell::default(),
            told_at_ms: Cell::default(),
        }
    }

    /// Hears that an upstream has answered, with the headers that the client is to get, and what fills a
    /// silence. The first one counts.
    pub fn answered(&self, at_ms: i64, headers: Headers, keep_alive: &'static [u8]) {
        if let Some(tell) = self.tell.take() {
            let _ = tell.send(Answered { at_ms, headers, keep_alive });
        }
    }

    /// Fills the silence for as long as this runs.
    pub async fn keep_alives(&self) -> Infallible {
        let (Some(hear), Some(early)) = (self.hear.take(), self.early) else { return pending().await };
        let Ok(Answered { at_ms, headers, keep_alive }) = hear.await else { return pending().await };
        let waited_ms = clock::now_ms().saturating_sub(at_ms).unsigned_abs();
        clock::sleep_ms(KEEP_ALIVE_MS.saturating_sub(waited_ms)).await;
        let Ok((sink, readable)) = Sink::new() else { return pending().await };
        let sink = self.sink.borrow_mut().insert(sink).clone();
        early(Response::builder().with_headers(headers).stream(readable));
        loop {
            // One that has left is found by the first write and heard by its signal.
            if sink.write(keep_alive).await.is_err() {
                return pending().await;
            }
            self.told_at_ms.set(Some(clock::now_ms()));
            clock::sleep_ms(KEEP_ALIVE_MS).await;
        }
    }

    /// The way to a client that has its headers, and when it was last told something.
    #[must_use]
    pub fn told(&self) -> Option<(Sink, Option<i64>)> {
        Some((self.sink.take()?, self.told_at_ms.get()))
    }
}

impl Drop for Waiting<'_> {
    /// A client that has its headers and gets nothing more is cut off: nobody would end its stream.
    fn drop(&mut self) {
        if let Some(sink) = self.sink.take() {
            sink.cut();
        }
    }
}
