//! Reading a request's body, within its own limits, its caller's and the isolate's.
//!
//! The one rule: the caller is known before a body is read. Memory is counted as bytes arrive, a body that arrives
//! too slowly is cut, and its shape is checked before anything of it is parsed.

pub mod collected;
pub mod pace;
mod pieces;

use std::cell::RefCell;
use std::ops::Deref;

use dialect::request_limits::Scan;
use worker::Request;

use crate::body_memory::{BodyMemory, NoRoom, Room};
use crate::clock;
use crate::error::{ApiError, Code};
use crate::upstream::within;
use collected::Collected;
use pace::Pace;
use pieces::Pieces;

/// The largest body, in bytes: the limit of the largest provider API.
pub const MAX_BODY_BYTES: usize = 32 << 20;

/// The most that is read of a body that nobody wants, in bytes and in milliseconds.
const MAX_DISCARDED_BYTES: usize = 64 << 20;
const MAX_DISCARD_MS: u64 = 5_000;
/// Of a body that nobody reads workerd itself reads this much, in bytes.
const PLATFORM_DISCARDS_BYTES: usize = 64 << 10;

/// The largest body that is read at once rather than in pieces, in bytes: fewer calls of the platform.
const AT_ONCE_BYTES: usize = 16 << 10;

/// How often the bytes of a body exist at most: as they came, as they are sent, and as the platform sends them. Memory
/// is counted in bytes of bodies, so what exists once counts a third.
pub const COPIES: usize = 3;

/// What a translation takes for each byte of its body: the parsed request, the new body and what the platform sends,
/// measured as 258 MB for a body of 32 MB. Memory is counted in bodies that exist [`COPIES`] times.
const TRANSLATED_COPIES: usize = 8;
/// The largest body that is translated into another dialect, in bytes: a larger one does not fit into an isolate.
const MAX_TRANSLATED_BYTES: usize = 12 << 20;

/// The largest body of a route that takes a few fields, in bytes.
const MAX_FORM_BYTES: usize = 64 << 10;

/// The largest event of Stripe, in bytes: those that are used have under 20 kB, a dispute's with its evidence some
/// more.
const MAX_EVENT_BYTES: usize = 256 << 10;

/// A body with more bytes or more items is large: the account is asked whether it can pay before the rest is read.
pub const LARGE_BYTES: usize = 1 << 20;
const LARGE_ITEMS: u32 = 2_000;

/// One part in so many of a large body must have arrived before memory is taken for all of it.
const WORTH_PART: usize = 4;

thread_local! {
    static MEMORY: RefCell<BodyMemory> = const { RefCell::new(BodyMemory::new()) };
}

/// Memory that is counted for one body until this is dropped.
#[derive(Debug)]
pub struct Reservation {
    number: u64,
}

impl Reservation {
    /// Counts a body that nothing has arrived of.
    ///
    /// # Errors
    /// 503, to be retried, where there is no memory for it.
    pub fn begin(room: Room, caller: &str) -> Result<Self, ApiError> {
        let begun = MEMORY.with_borrow_mut(|memory| memory.begin(room, caller, clock::now_ms()));
        begun.map(|number| Self { number }).map_err(|NoRoom| ApiError::busy())
    }

    /// Counts it as `bytes` from now on.
    ///
    /// # Errors
    /// As [`Self::begin`]; what was counted stays so.
    pub fn resize(&self, bytes: usize) -> Result<(), ApiError> {
        let resized = MEMORY.with_borrow_mut(|memory| memory.resize(self.number, bytes));
        resized.map_err(|NoRoom| ApiError::busy())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        MEMORY.with_borrow_mut(|memory| memory.end(self.number));
    }
}

/// A body, and the memory that is counted for it until it is dropped.
#[derive(Debug)]
pub struct Body {
    text: String,
    memory: Reservation,
}

impl Body {
    /// Counts the memory of a translation of this body.
    ///
    /// # Errors
    /// `invalid_request` with 413 where no isolate has so much memory, 503 where this one has not now.
    pub fn count_translation(&self) -> Result<(), ApiError> {
        let bytes = self.text.len();
        if bytes > MAX_TRANSLATED_BYTES {
            let sentence = "The request body is larger than 12 MB, and this model's provider speaks another dialect: a body of this size cannot be translated.";
            return Err(ApiError::new(Code::InvalidRequest, sentence).with_status(413));
        }
        self.memory.resize(bytes.saturating_mul(TRANSLATED_COPIES).div_ceil(COPIES))
    }

    /// A text that was made of this one and is about as long, in its place.
    #[must_use]
    pub fn replaced(self, text: String) -> Self {
        Self { text, ..self }
    }
}

impl Deref for Body {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

/// The body of an inference request as text. `may_pay` is asked once, before more than [`LARGE_BYTES`] bytes or
/// [`LARGE_ITEMS`] items are read; what it refuses ends the reading.
///
/// # Errors
/// `invalid_request`: 413 above [`MAX_BODY_BYTES`], also when unpacked, and for too many items; 415 for a
/// `content-encoding` other than gzip and deflate; 408 for a body that arrives too slowly; 400 for what is not UTF-8.
/// 503 where the isolate has no memory for it.
pub async fn read(
    request: &mut Request,
    caller: &str,
    may_pay: impl AsyncFn() -> Result<(), ApiError>,
) -> Result<Body, ApiError> {
    read_up_to(request, MAX_BODY_BYTES, Room::Inference, caller, may_pay).await
}

/// The body of a route that takes a few fields.
///
/// # Errors
/// As [`read`], with 413 above 64 kB.
pub async fn read_form(request: &mut Request, caller: &str) -> Result<Body, ApiError> {
    read_up_to(request, MAX_FORM_BYTES, Room::Forms, caller, async || Ok(())).await
}

/// The body of a webhook.
///
/// # Errors
/// As [`read`], with 413 above 256 kB.
pub async fn read_event(request: &mut Request, caller: &str) -> Result<Body, ApiError> {
    read_up_to(request, MAX_EVENT_BYTES, Room::Webhooks, caller, async || Ok(())).await
}

async fn read_up_to(
    request: &mut Request,
    most: usize,
    room: Room,
    caller: &str,
    may_pay: impl AsyncFn() -> Result<(), ApiError>,
) -> Result<Body, ApiError> {
    let packing = Packing::of(request)?;
    let length = content_length(request);
    if length.is_some_and(|length| length > most) {
        return Err(too_large(most));
    }
    let mut reading = Reading {
        bytes: Collected::default(),
        scan: Scan::default(),
        pace: Pace::new(clock::now_ms()),
        memory: Reservation::begin(room, caller)?,
        most,
        asked: false,
        length: length.filter(|_| packing == Packing::None),
        is_readable: true,
    };
    if length.is_some_and(|length| length > LARGE_BYTES) {
        reading.ask(&may_pay).await?;
    }
    if let Some(length) = length.filter(|length| packing == Packing::None && *length <= AT_ONCE_BYTES) {
        return reading.read_at_once(request, length).await;
    }
    // A request without any body has no stream.
    if let Some(mut pieces) = Pieces::of(request, packing)?
        && let Err(refusal) = reading.read(&mut pieces, &may_pay).await
    {
        let is_readable = reading.is_readable;
        drop(reading);
        if is_readable {
            discard_pieces(&mut pieces).await;
        }
        return Err(refusal);
    }
    reading.finish()
}

/// A body that is being read.
struct Reading {
    bytes: Collected,
    scan: Scan,
    pace: Pace,
    memory: Reservation,
    most: usize,
    /// Whether the account has been asked.
    asked: bool,
    /// How long the body says that it is.
    length: Option<usize>,
    /// Whether more of the body can be read. A read that failed has taken the buffer, and of a slow body nothing comes.
    is_readable: bool,
}

impl Reading {
    /// Reads a body of `length` bytes with one call of the platform.
    async fn read_at_once(mut self, request: &mut Request, length: usize) -> Result<Body, ApiError> {
        self.memory.resize(length)?;
        let patience_ms = self.pace.patience_ms(clock::now_ms());
        let bytes = within(patience_ms, request.bytes()).await.ok_or_else(too_slow)?.map_err(|_| broke_off())?;
        self.scan.push(&bytes)?;
        self.bytes.push(bytes);
        self.finish()
    }

    async fn read(
        &mut self,
        pieces: &mut Pieces,
        may_pay: &impl AsyncFn() -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        loop {
            let patience_ms = self.pace.patience_ms(clock::now_ms());
            self.is_readable = false;
            let read = within(patience_ms, pieces.next()).await.ok_or_else(too_slow)?;
            let Some(piece) = read? else { return Ok(()) };
            self.is_readable = true;
            self.pace.moved(piece.len(), clock::now_ms());
            let length = self.bytes.len().saturating_add(piece.len());
            if length > self.most {
                return Err(too_large(self.most));
            }
            self.scan.push(&piece)?;
            // The pieces, and the buffer that the next one comes in.
            let expected = self.expected(self.bytes.len()).unwrap_or(0);
            self.count(length.max(expected).saturating_add(pieces.buffer_bytes()))?;
            self.bytes.push(piece);
            if length > LARGE_BYTES || self.scan.items() > LARGE_ITEMS {
                self.ask(may_pay).await?;
            }
            if let Some(whole) = self.expected(length).filter(|whole| *whole > length) {
                self.count(whole.saturating_add(pieces.buffer_bytes()))?;
                self.bytes.expect(whole).ok_or_else(ApiError::busy)?;
            }
        }
    }

    /// The whole length of a large body, once a part of it has arrived that is worth taking memory for all: else a slow
    /// sender would keep memory from others that nothing has arrived for.
    fn expected(&self, arrived: usize) -> Option<usize> {
        self.length.filter(|whole| arrived > LARGE_BYTES && arrived >= whole.div_euclid(WORTH_PART))
    }

    async fn ask(&mut self, may_pay: &impl AsyncFn() -> Result<(), ApiError>) -> Result<(), ApiError> {
        if std::mem::replace(&mut self.asked, true) {
            return Ok(());
        }
        let asked_ms = clock::now_ms();
        may_pay().await?;
        self.pace.resume(clock::now_ms().saturating_sub(asked_ms).unsigned_abs());
        Ok(())
    }

    /// Counts `bytes`, and the tree that will be made of them.
    fn count(&self, bytes: usize) -> Result<(), ApiError> {
        self.memory.resize(bytes.saturating_add(self.scan.tree_bytes().div_ceil(COPIES)))
    }

    fn finish(mut self) -> Result<Body, ApiError> {
        let bytes = std::mem::take(&mut self.bytes).join().ok_or_else(ApiError::busy)?;
        self.count(bytes.len())?;
        let text = String::from_utf8(bytes)
            .map_err(|_| ApiError::new(Code::InvalidRequest, "The request body is not valid UTF-8."))?;
        Ok(Body { text, memory: self.memory })
    }
}

/// Reads what is left of a body and forgets it. Once an answer is out, workerd closes a connection on
/// which the client is still sending, and such a client never sees the answer.
pub async fn discard(request: &Request) {
    if content_length(request).is_some_and(|length| length <= PLATFORM_DISCARDS_BYTES) {
        return;
    }
    // A body that was read, or that is not there, has no pieces.
    if let Ok(Some(mut pieces)) = Pieces::of(request, Packing::None) {
        discard_pieces(&mut pieces).await;
    }
}

async fn discard_pieces(pieces: &mut Pieces) {
    let read = async {
        let mut left = MAX_DISCARDED_BYTES;
        while let Ok(Some(piece)) = pieces.next().await {
            let Some(rest) = left.checked_sub(piece.len()) else { return };
            left = rest;
        }
    };
    // A client that is slower than this may learn it the hard way.
    let _ = within(MAX_DISCARD_MS, read).await;
}

/// How a body is packed: its `content-encoding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    None,
    Gzip,
    /// As HTTP means it: with zlib's header.
    Deflate,
}

impl Packing {
    fn of(request: &Request) -> Result<Self, ApiError> {
        let header = request.headers().get("content-encoding")?.unwrap_or_default();
        match header.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Self::None),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "deflate" => Ok(Self::Deflate),
            _ => {
                let sentence = "The content-encoding of a request may be gzip or deflate, or none.";
                Err(ApiError::new(Code::InvalidRequest, sentence).with_status(415))
            }
        }
    }
}

fn content_length(request: &Request) -> Option<usize> {
    request.headers().get("content-length").ok().flatten()?.parse().ok()
}

fn too_large(most: usize) -> ApiError {
    let limit = match most {
        MAX_BODY_BYTES => "32 MB",
        MAX_EVENT_BYTES => "256 kB",
        _ => "64 kB",
    };
    ApiError::new(Code::InvalidRequest, format!("The request body is larger than {limit}.")).with_status(413)
}

fn broke_off() -> ApiError {
    ApiError::new(Code::InvalidRequest, "The request body broke off.")
}

fn too_slow() -> ApiError {
    ApiError::new(Code::InvalidRequest, "The request body arrived too slowly.").with_status(408)
}
