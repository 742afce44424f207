//! Reading a request's body, within its limit.

use futures::StreamExt;
use worker::Request;

use crate::error::{ApiError, Code};

/// The largest body, in bytes: the limit of the largest provider API.
pub const MAX_BODY_BYTES: usize = 32 << 20;

/// The body as text.
///
/// # Errors
/// `invalid_request`: 413 above [`MAX_BODY_BYTES`], 400 for what is not UTF-8.
pub async fn read(request: &mut Request) -> Result<String, ApiError> {
    let length = request.headers().get("content-length")?.and_then(|text| text.parse::<usize>().ok());
    if length.is_some_and(|length| length > MAX_BODY_BYTES) {
        return Err(too_large());
    }
    let bytes = match length {
        Some(_) => request.bytes().await?,
        None => read_counting(request).await?,
    };
    if bytes.len() > MAX_BODY_BYTES {
        return Err(too_large());
    }
    String::from_utf8(bytes).map_err(|_| ApiError::new(Code::InvalidRequest, "The request body is not valid UTF-8."))
}

/// A body that does not say how long it is.
async fn read_counting(request: &mut Request) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    // A request without any body has no stream.
    let Ok(mut stream) = request.stream() else { return Ok(bytes) };
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk?);
        if bytes.len() > MAX_BODY_BYTES {
            return Err(too_large());
        }
    }
    Ok(bytes)
}

fn too_large() -> ApiError {
    ApiError::new(Code::InvalidRequest, "The request body is larger than 32 MB.").with_status(413)
}
