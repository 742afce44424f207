//! The console's pages and files, out of the static assets, with the content security policy on the pages.
//!
//! The policy is made here and not in `_headers`, because it names the sign-in service: that is a variable of
//! the Worker, and so the pages always allow the one that sessions are checked against. The other headers are
//! the same for all and stand in `console/public/_headers`.

use worker::{Request, RequestInit, Response, Url};

use crate::context::Context;
use crate::error::{ApiError, Code};

/// The binding of `wrangler.toml`.
const ASSETS_BINDING: &str = "ASSETS";

/// Where files lie whose names carry a hash of their content.
const HASHED: &str = "/assets/";

/// Serves a file of the console; every other path is one of its pages, which are all the same document.
///
/// # Errors
/// `invalid_request` with 404 for a file with a hash that there is not (a page in its place would be kept as that
/// file for good), and for a program that asks for JSON, as an SDK does whose base URL lacks `/v1`.
/// `internal_error`, when the assets are missing.
pub async fn get(request: &Request, context: &Context) -> Result<Response, ApiError> {
    let assets = context.env.assets(ASSETS_BINDING)?;
    let mut response = assets.fetch_request(request.clone()?).await?;
    if response.status_code() == 404 {
        let mut url = request.url()?;
        if url.path().starts_with(HASHED) || wants_json(request)? {
            return Err(ApiError::new(Code::InvalidRequest, "There is no such route or file.").with_status(404));
        }
        url.set_path("/");
        // With its headers: a browser that has the document is told so.
        let mut init = RequestInit::new();
        init.with_method(request.method()).with_headers(request.headers().clone());
        response = assets.fetch_request(Request::new_with_init(url.as_str(), &init)?).await?;
    }
    // Files of other kinds are policed by the page that they are part of.
    let is_page = response.headers().get("content-type")?.is_some_and(|kind| kind.starts_with("text/html"));
    if !is_page {
        return Ok(response);
    }
    let headers = response.headers().clone();
    let sign_in = context.config.sessions.as_ref().map(|sessions| sessions.url.as_str());
    headers.set("content-security-policy", &policy(sign_in))?;
    Ok(response.with_headers(headers))
}

/// Whether who asks takes JSON and no page.
fn wants_json(request: &Request) -> Result<bool, ApiError> {
    let accept = request.headers().get("accept")?.unwrap_or_default();
    Ok(accept.contains("application/json") && !accept.contains("text/html"))
}

/// The content security policy: everything from here, and words with the sign-in service. No script or style
/// stands in a page itself, and no page of anybody shows ours in a frame.
fn policy(sign_in: Option<&str>) -> String {
    let sign_in = sign_in.and_then(|url| Url::parse(url).ok()).map(|url| url.origin().ascii_serialization());
    let connect = sign_in.map_or_else(|| "'self'".into(), |origin| format!("'self' {origin}"));
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src {connect}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

#[cfg(test)]
mod tests {
    use super::policy;

    #[test]
    fn pages_speak_with_the_gateway_and_its_sign_in_service() {
        for (sign_in, connect) in [
            (None, "connect-src 'self';"),
            (Some("https://abc.supabase.co"), "connect-src 'self' https://abc.supabase.co;"),
            (Some("http://127.0.0.1:54321"), "connect-src 'self' http://127.0.0.1:54321;"),
        ] {
            let policy = policy(sign_in);
            assert!(policy.contains(connect) && !policy.contains("unsafe"), "{policy}");
        }
    }
}
