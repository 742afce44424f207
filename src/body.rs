//! Reading a request's body, within its own limit and the isolate's.

mod pieces;

use std::ops::Deref;

use worker::Request;

use crate::budget::Reservation;
use crate::clock;
use crate::error::{ApiError, Code};
use crate::upstream::within;
use pieces::Pieces;

/// The largest body, in bytes: the limit of the largest provider API.
pub const MAX_BODY_BYTES: usize = 32 << 20;

/// The most that is read of a body that nobody wants, in bytes and in milliseconds.
const MAX_DISCARDED_BYTES: usize = 64 << 20;
const MAX_DISCARD_MS: u64 = 5_000;
/// Of a body that nobody reads workerd itself reads this much, in bytes.
const PLATFORM_DISCARDS_BYTES: usize = 64 << 10;

/// The largest body that is read at once rather than in pieces, in bytes: fewer calls of the platform.
const AT_ONCE_BYTES: usize = 64 << 10;

/// How long the next bytes of a body may take, in milliseconds: what is not read holds its room.
const MAX_PAUSE_MS: u64 = 30_000;

/// The largest body of a route that takes a few fields, in bytes.
const MAX_FORM_BYTES: usize = 64 << 10;

/// The largest event of Stripe, in bytes: those that are used have under 20 kB, a dispute's with its evidence some
/// more.
const MAX_EVENT_BYTES: usize = 256 << 10;

/// A body, and the room that it takes until it is dropped.
#[derive(Debug)]
pub struct Body {
    text: String,
    _room: Reservation,
}

impl Body {
    /// What was made of it, which is about as long, in its place and with its room.
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

/// The body as text.
///
/// # Errors
/// `invalid_request`: 413 above [`MAX_BODY_BYTES`], also when unpacked; 415 for a `content-encoding` other than
/// gzip and deflate; 408 for one that stops coming; 400 for what is not UTF-8. 503 where the isolate has no
/// room for it.
pub async fn read(request: &mut Request) -> Result<Body, ApiError> {
    read_up_to(request, MAX_BODY_BYTES).await
}

/// The body of a route that takes a few fields.
///
/// # Errors
/// As [`read`], with 413 above 64 kB.
pub async fn read_form(request: &mut Request) -> Result<Body, ApiError> {
    read_up_to(request, MAX_FORM_BYTES).await
}

/// The body of a webhook.
///
/// # Errors
/// As [`read`], with 413 above 256 kB.
pub async fn read_event(request: &mut Request) -> Result<Body, ApiError> {
    read_up_to(request, MAX_EVENT_BYTES).await
}

async fn read_up_to(request: &mut Request, most: usize) -> Result<Body, ApiError> {
    let packing = Packing::of(request)?;
    let length = content_length(request);
    if length.is_some_and(|length| length > most) {
        return Err(too_large(most));
    }
    // How long it is unpacked is not told.
    let length = length.filter(|_| packing == Packing::None);
    let room = Reservation::of(length.unwrap_or(0), clock::now_ms())?;
    let (bytes, room) = match length {
        Some(length) if length <= AT_ONCE_BYTES => {
            let read = within(MAX_PAUSE_MS, request.bytes()).await.ok_or_else(stopped_coming)?;
            (read.map_err(|_| broke_off())?, room)
        }
        _ => read_counting(request, packing, length, most, room).await?,
    };
    let text = String::from_utf8(bytes)
        .map_err(|_| ApiError::new(Code::InvalidRequest, "The request body is not valid UTF-8."))?;
    Ok(Body { text, _room: room })
}

/// A body in pieces, for which `room` has room for `length` bytes, or, where it is not told, for none yet.
async fn read_counting(
    request: &Request,
    packing: Packing,
    length: Option<usize>,
    most: usize,
    mut room: Reservation,
) -> Result<(Vec<u8>, Reservation), ApiError> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length.unwrap_or(0)).map_err(|_| ApiError::busy())?;
    // A request without any body has no stream.
    let Some(mut pieces) = Pieces::of(request, packing)? else { return Ok((bytes, room)) };
    let mut read = 0_usize;
    while let Some(piece) = next(&mut pieces).await? {
        read = read.saturating_add(piece.len());
        let fits = if read > most { Err(too_large(most)) } else { Ok(()) };
        let counted = fits.and_then(|()| if length.is_none() { room.grow(piece.len()) } else { Ok(()) });
        if let Err(refusal) = counted {
            drop((bytes, room));
            discard_pieces(&mut pieces).await;
            return Err(refusal);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok((bytes, room))
}

async fn next(pieces: &mut Pieces) -> Result<Option<Vec<u8>>, ApiError> {
    within(MAX_PAUSE_MS, pieces.next()).await.ok_or_else(stopped_coming)?
}

/// Reads what is left of a body and forgets it. Once an answer is out, workerd closes a connection on
/// which the client is still sending, and such a client never sees the answer.
pub async fn discard(request: &Request) {
    if content_length(request).is_some_and(|length| length <= PLATFORM_DISCARDS_BYTES) {
        return;
    }
    // One that was read, or is not there, has no pieces.
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

fn stopped_coming() -> ApiError {
    ApiError::new(Code::InvalidRequest, "The request body stopped coming.").with_status(408)
}
