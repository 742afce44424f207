//! Reading a request's body, within its limit.

use futures::StreamExt;
use worker::Request;

use crate::error::{ApiError, Code};
use crate::upstream::within;

/// The largest body, in bytes: the limit of the largest provider API.
pub const MAX_BODY_BYTES: usize = 32 << 20;

/// The most that is read of a body that nobody wants, in bytes and in milliseconds.
const MAX_DISCARDED_BYTES: usize = 64 << 20;
const MAX_DISCARD_MS: u64 = 5_000;
/// Of a body that nobody reads workerd itself reads this much, in bytes.
const PLATFORM_DISCARDS_BYTES: usize = 64 << 10;

/// The largest body of a route that takes a few fields, in bytes.
const MAX_FORM_BYTES: usize = 64 << 10;

/// The body as text.
///
/// # Errors
/// `invalid_request`: 413 above [`MAX_BODY_BYTES`], 400 for what is not UTF-8.
pub async fn read(request: &mut Request) -> Result<String, ApiError> {
    read_up_to(request, MAX_BODY_BYTES).await
}

/// The body of a route that takes a few fields.
///
/// # Errors
/// As [`read`], with 413 above 64 kB.
pub async fn read_form(request: &mut Request) -> Result<String, ApiError> {
    read_up_to(request, MAX_FORM_BYTES).await
}

async fn read_up_to(request: &mut Request, most: usize) -> Result<String, ApiError> {
    let length = content_length(request);
    if length.is_some_and(|length| length > most) {
        return Err(too_large(most));
    }
    let bytes = match length {
        Some(_) => request.bytes().await?,
        None => read_counting(request, most).await?,
    };
    String::from_utf8(bytes).map_err(|_| ApiError::new(Code::InvalidRequest, "The request body is not valid UTF-8."))
}

/// Reads what is left of a body and forgets it. Once an answer is out, workerd closes a connection on
/// which the client is still sending, and such a client never sees the answer.
pub async fn discard(request: &mut Request) {
    if content_length(request).is_some_and(|length| length <= PLATFORM_DISCARDS_BYTES) {
        return;
    }
    // One that was read, or is not there, has no stream.
    let Ok(mut stream) = request.stream() else { return };
    let read = async {
        let mut left = MAX_DISCARDED_BYTES;
        while let Some(Ok(chunk)) = stream.next().await {
            let Some(rest) = left.checked_sub(chunk.len()) else { return };
            left = rest;
        }
    };
    // A client that is slower than this may learn it the hard way.
    let _ = within(MAX_DISCARD_MS, read).await;
}

/// A body that does not say how long it is.
async fn read_counting(request: &mut Request, most: usize) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    let mut length = 0_usize;
    // A request without any body has no stream.
    let Ok(mut stream) = request.stream() else { return Ok(bytes) };
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        length = length.saturating_add(chunk.len());
        if length <= most {
            bytes.extend_from_slice(&chunk);
        } else {
            // As in `discard`: what is too large is still read for a while.
            bytes = Vec::new();
        }
        if length > MAX_DISCARDED_BYTES {
            break;
        }
    }
    if length > most { Err(too_large(most)) } else { Ok(bytes) }
}

fn content_length(request: &Request) -> Option<usize> {
    request.headers().get("content-length").ok().flatten()?.parse().ok()
}

fn too_large(most: usize) -> ApiError {
    let limit = if most == MAX_BODY_BYTES { "32 MB" } else { "64 kB" };
    ApiError::new(Code::InvalidRequest, format!("The request body is larger than {limit}.")).with_status(413)
}
