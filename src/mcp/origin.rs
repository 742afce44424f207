//! Which pages may call: those of this very server, and on a laptop only those of the laptop itself.
//!
//! A page of another site that had its name resolve to this machine would send its own name in `Origin`
//! and in `Host` alike. Over HTTPS it would have no certificate for it; over HTTP only the names of the
//! machine itself are taken. <https://modelcontextprotocol.io/specification/2026-07-28/basic/transports>

use worker::{Request, Url};

use crate::error::{ApiError, Code};

/// Refuses a request of a foreign page.
///
/// # Errors
/// `invalid_request` with 403.
pub fn check(request: &Request) -> Result<(), ApiError> {
    let Some(origin) = request.headers().get("origin")? else { return Ok(()) };
    if is_own(&origin, &request.url()?) {
        return Ok(());
    }
    Err(ApiError::new(Code::InvalidRequest, "Web pages of other origins may not call this route.").with_status(403))
}

fn is_own(origin: &str, url: &Url) -> bool {
    let Ok(origin) = Url::parse(origin) else { return false };
    let local = matches!(origin.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    origin.origin() == url.origin() && (origin.scheme() == "https" || local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_calls_its_own_server() {
        for (origin, url, own) in [
            ("https://api.example", "https://api.example/mcp", true),
            ("https://api.example:443", "https://api.example/mcp", true),
            ("http://localhost:8787", "http://localhost:8787/mcp", true),
            ("http://127.0.0.1:8787", "http://127.0.0.1:8787/mcp", true),
            ("http://[::1]:8787", "http://[::1]:8787/mcp", true),
            ("https://evil.example", "https://api.example/mcp", false),
            ("http://api.example", "https://api.example/mcp", false),
            ("http://localhost:3000", "http://localhost:8787/mcp", false),
            // Its name resolves to this machine.
            ("http://evil.example:8787", "http://evil.example:8787/mcp", false),
            ("null", "https://api.example/mcp", false),
            ("", "https://api.example/mcp", false),
        ] {
            assert_eq!(is_own(origin, &Url::parse(url).unwrap()), own, "{origin} {url}");
        }
    }
}
