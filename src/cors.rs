//! Browser tools on other origins may call `/v1`, and ask `/api/hello`: it is opened by a key in a header, never by a cookie,
//! so any origin may ask. <https://fetch.spec.whatwg.org/#http-cors-protocol>

use worker::{Headers, Response};

/// How long a browser may remember a preflight, in seconds: a day.
const MAX_AGE_S: &str = "86400";
/// Headers of ours that a script may read.
const EXPOSED: &str = "x-request-id, request-id, retry-after, x-should-retry, x-oneinterface-cost, x-oneinterface-balance, x-oneinterface-max-tokens, x-oneinterface-dropped";

/// Whether the path is one that other origins may call.
#[must_use]
pub fn covers(path: &str) -> bool {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    matches!((segments.next(), segments.next()), (Some("v1"), _) | (Some("api"), Some("hello")))
}

/// The answer to a preflight: whatever headers an SDK sends, it may.
///
/// # Errors
/// The platform's.
pub fn preflight(request: &Headers) -> worker::Result<Response> {
    let headers = Headers::new();
    let asked = request.get("access-control-request-headers")?;
    headers.set("access-control-allow-headers", asked.as_deref().unwrap_or("authorization, content-type"))?;
    headers.set("access-control-allow-methods", "GET, HEAD, POST, DELETE")?;
    headers.set("access-control-max-age", MAX_AGE_S)?;
    Ok(Response::empty()?.with_status(204).with_headers(headers))
}

/// Lets a script of any origin read the answer.
///
/// # Errors
/// The platform's.
pub fn allow(headers: &Headers) -> worker::Result<()> {
    headers.set("access-control-allow-origin", "*")?;
    headers.set("access-control-expose-headers", EXPOSED)
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn only_the_api_is_open() {
        assert!(covers("/v1/chat/completions") && covers("//v1/models") && covers("/api/hello/"));
        assert!(
            !covers("/console/api/keys")
                && !covers("/operator/entries")
                && !covers("/v10")
                && !covers("/api")
                && !covers("/")
        );
    }
}
