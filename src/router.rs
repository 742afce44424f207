//! From a path and a method to a route. Pure: the one place that knows which paths there are.

use percent_encoding::percent_decode_str;

use crate::error::{ApiError, Code};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `POST /v1/chat/completions`
    ChatCompletions,
    /// `POST /v1/completions`
    Completions,
    /// `POST /v1/responses`
    Responses,
    /// `GET`, `DELETE /v1/responses/{id}` and what lies behind it: nothing is stored.
    StoredResponse,
    /// `POST /v1/messages`
    Messages,
    /// `POST /v1/messages/count_tokens`
    CountTokens,
    /// `HEAD /api/hello`: Claude Code asks it whether anybody is there.
    Hello,
    /// `POST /v1/embeddings`
    Embeddings,
    /// `GET /v1/models`
    Models,
    /// `GET /v1/models/{id}`; ids may hold slashes, encoded or not.
    Model(String),
    /// `GET /v1/key`, and `/v1/auth/key` as older tools call it
    Key,
    /// `GET /v1/credits`
    Credits,
    /// `GET /v1/generation`
    Generation,
    /// `GET /v1/activity`
    Activity,
    /// `POST /v1/quote`
    Quote,
    /// `GET`, `POST /console/api/account`
    ConsoleAccount,
    /// `DELETE /console/api/sessions`
    ConsoleSessions,
    /// `GET /console/api/config`
    ConsoleConfig,
    /// `GET`, `POST /console/api/keys`
    ConsoleKeys,
    /// `PATCH`, `DELETE /console/api/keys/{id}`
    ConsoleKey(String),
    /// `POST /console/api/keys/{id}/rotate`
    ConsoleKeyRotation(String),
    /// `GET /console/api/balance`
    ConsoleBalance,
    /// `GET /console/api/live`
    ConsoleLive,
    /// `GET /console/api/journal`
    ConsoleJournal,
    /// `GET /console/api/usage`
    ConsoleUsage,
    /// `GET /console/api/usage/daily`
    ConsoleDaily,
    /// `GET /console/api/usage.csv`
    ConsoleExport,
    /// `GET /console/api/models`
    ConsoleModels,
    /// `GET`, `POST /console/api/topups`
    ConsoleTopUps,
    /// `GET`, `PUT /console/api/topups/auto`
    ConsoleAutoTopUp,
    /// `DELETE /console/api/topups/auto/attempt`
    ConsoleAutoTopUpAttempt,
    /// `DELETE /console/api/topups/method`
    ConsoleTopUpMethod,
    /// `POST /webhooks/stripe`
    StripeWebhook,
    /// `POST /operator/entries`
    OperatorEntries,
    /// `POST /operator/audit`
    OperatorAudit,
    /// `GET /operator/accounts`
    OperatorAccounts,
    /// `GET /operator/upstreams`
    OperatorUpstreams,
    /// `POST /mcp`
    Mcp,
    /// `GET /health`
    Health,
    /// `GET` of anything that is no path of the API: a page of the console, or a file of it.
    Page,
}

/// First segments of paths that belong to the API, in any case: an unknown path there is an error for a program
/// to read, not a page.
const API: [&str; 8] = ["v1", "console", "mcp", "operator", "webhooks", "health", "api", ".well-known"];

/// First segments that clients try in search of OAuth and of the older transports of MCP, which are not here. A page
/// in their place would be taken for an endpoint.
const PROBED: [&str; 16] = [
    "authorize",
    "register",
    "token",
    "revoke",
    "introspect",
    "userinfo",
    "jwks",
    "jwks.json",
    "oauth",
    "oauth2",
    "openid",
    "connect",
    "sse",
    "message",
    "messages",
    "openid-configuration",
];

impl Route {
    /// The methods that it has, for `Allow`.
    fn methods(&self) -> &'static str {
        match self {
            Self::ChatCompletions
            | Self::Completions
            | Self::Responses
            | Self::Messages
            | Self::CountTokens
            | Self::Embeddings
            | Self::ConsoleKeyRotation(_)
            | Self::Quote
            | Self::OperatorEntries
            | Self::OperatorAudit
            | Self::StripeWebhook
            | Self::Mcp => "POST",
            Self::ConsoleAccount | Self::ConsoleKeys | Self::ConsoleTopUps => "GET, HEAD, POST",
            Self::ConsoleSessions => "DELETE",
            Self::ConsoleKey(_) => "PATCH, DELETE",
            Self::ConsoleAutoTopUp => "GET, HEAD, PUT",
            Self::ConsoleAutoTopUpAttempt | Self::ConsoleTopUpMethod => "DELETE",
            Self::StoredResponse => "GET, HEAD, POST, DELETE",
            // Streams that are asked for are made: `HEAD` would throw them away.
            Self::ConsoleLive | Self::ConsoleExport => "GET",
            Self::Models
            | Self::Model(_)
            | Self::ConsoleBalance
            | Self::ConsoleJournal
            | Self::ConsoleUsage
            | Self::ConsoleDaily
            | Self::ConsoleModels
            | Self::Key
            | Self::Credits
            | Self::Generation
            | Self::Activity
            | Self::ConsoleConfig
            | Self::OperatorAccounts
            | Self::OperatorUpstreams
            | Self::Hello
            | Self::Health
            | Self::Page => "GET, HEAD",
        }
    }
}

/// Finds the route. Doubled and trailing slashes do not matter.
///
/// # Errors
/// `invalid_request` with 404 for an unknown path, with 405 for a method that the route has not.
pub fn route(method: &str, path: &str) -> Result<Route, ApiError> {
    let page = || (matches!(method, "GET" | "HEAD") && !is_api(path)).then_some(Route::Page);
    let route = find(path).or_else(page).ok_or_else(|| {
        ApiError::new(Code::InvalidRequest, "There is no such route. See the documentation for all of them.")
            .with_status(404)
    })?;
    let allow = route.methods();
    if allow.split(", ").any(|allowed| allowed == method) {
        return Ok(route);
    }
    let error = ApiError::new(Code::InvalidRequest, format!("This route answers {allow} only.")).with_status(405);
    Err(ApiError { allow: Some(allow), ..error })
}

fn is_api(path: &str) -> bool {
    let first = path.split('/').find(|segment| !segment.is_empty());
    first.is_some_and(|first| API.iter().chain(&PROBED).any(|api| api.eq_ignore_ascii_case(first)))
}

/// The route of a path, whatever its method; a page for a path that is none of the API's. `None`: nothing is there.
#[must_use]
pub fn known(path: &str) -> Option<Route> {
    find(path).or_else(|| (!is_api(path)).then_some(Route::Page))
}

fn find(path: &str) -> Option<Route> {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    Some(match segments.as_slice() {
        ["v1", "chat", "completions"] => Route::ChatCompletions,
        ["v1", "completions"] => Route::Completions,
        ["v1", "responses"] => Route::Responses,
        ["v1", "responses", _] | ["v1", "responses", _, "cancel" | "input_items"] => Route::StoredResponse,
        ["v1", "messages"] => Route::Messages,
        ["v1", "messages", "count_tokens"] => Route::CountTokens,
        ["api", "hello"] => Route::Hello,
        ["v1", "embeddings"] => Route::Embeddings,
        ["v1", "models"] => Route::Models,
        ["v1", "models", id @ ..] => {
            let decode = |segment: &&str| percent_decode_str(segment).decode_utf8().ok().map(String::from);
            Route::Model(id.iter().map(decode).collect::<Option<Vec<_>>>()?.join("/"))
        }
        ["v1", "key"] | ["v1", "auth", "key"] => Route::Key,
        ["v1", "credits"] => Route::Credits,
        ["v1", "generation"] => Route::Generation,
        ["v1", "activity"] => Route::Activity,
        ["v1", "quote"] => Route::Quote,
        ["console", "api", "account"] => Route::ConsoleAccount,
        ["console", "api", "sessions"] => Route::ConsoleSessions,
        ["console", "api", "config"] => Route::ConsoleConfig,
        ["console", "api", "keys"] => Route::ConsoleKeys,
        ["console", "api", "keys", id] => Route::ConsoleKey((*id).to_owned()),
        ["console", "api", "keys", id, "rotate"] => Route::ConsoleKeyRotation((*id).to_owned()),
        ["console", "api", "balance"] => Route::ConsoleBalance,
        ["console", "api", "live"] => Route::ConsoleLive,
        ["console", "api", "journal"] => Route::ConsoleJournal,
        ["console", "api", "usage"] => Route::ConsoleUsage,
        ["console", "api", "usage", "daily"] => Route::ConsoleDaily,
        ["console", "api", "usage.csv"] => Route::ConsoleExport,
        ["console", "api", "models"] => Route::ConsoleModels,
        ["console", "api", "topups"] => Route::ConsoleTopUps,
        ["console", "api", "topups", "auto"] => Route::ConsoleAutoTopUp,
        ["console", "api", "topups", "auto", "attempt"] => Route::ConsoleAutoTopUpAttempt,
        ["console", "api", "topups", "method"] => Route::ConsoleTopUpMethod,
        ["webhooks", "stripe"] => Route::StripeWebhook,
        ["operator", "entries"] => Route::OperatorEntries,
        ["operator", "audit"] => Route::OperatorAudit,
        ["operator", "accounts"] => Route::OperatorAccounts,
        ["operator", "upstreams"] => Route::OperatorUpstreams,
        ["mcp"] => Route::Mcp,
        ["health"] => Route::Health,
        _ => return None,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A path for each line of [`find`], read from its text, so that none is forgotten.
    pub(crate) fn paths() -> Vec<String> {
        let arms = include_str!("router.rs").lines().map(str::trim).filter(|line| line.starts_with("[\""));
        let heads =
            arms.filter_map(|line| Some(line.split_once("] =>")?.0.split('|').next()?.trim_end_matches([' ', ']'])));
        let segment = |text: &str| match text.trim().strip_prefix('"') {
            Some(name) => name.trim_end_matches('"').to_owned(),
            None => "x".to_owned(),
        };
        heads.map(|head| head[1..].split(',').map(|part| format!("/{}", segment(part))).collect()).collect()
    }

    #[test]
    fn paths_lead_to_routes() {
        for (path, expected) in [
            ("/v1/chat/completions", Route::ChatCompletions),
            ("//v1//chat/completions/", Route::ChatCompletions),
            ("/v1/embeddings", Route::Embeddings),
            ("/v1/completions", Route::Completions),
            ("/v1/responses", Route::Responses),
            ("/v1/responses/resp_1/cancel", Route::StoredResponse),
            ("/v1/messages", Route::Messages),
            ("/mcp/", Route::Mcp),
            ("/v1/messages/count_tokens", Route::CountTokens),
        ] {
            assert_eq!(route("POST", path), Ok(expected), "{path}");
        }
        for (path, id) in [
            ("/v1/models/gpt-4o", "gpt-4o"),
            ("/v1/models/meta%2Fllama-4", "meta/llama-4"),
            ("/v1/models/meta/llama-4", "meta/llama-4"),
            ("/v1/models/a%20b", "a b"),
        ] {
            assert_eq!(route("GET", path), Ok(Route::Model(id.into())), "{path}");
        }
        assert_eq!(route("HEAD", "/v1/models/"), Ok(Route::Models));
        assert_eq!(route("GET", "/v1/auth/key"), route("GET", "/v1/key"));
        assert_eq!(route("DELETE", "/console/api/sessions"), Ok(Route::ConsoleSessions));
    }

    #[test]
    fn what_is_no_path_of_the_api_is_a_page() {
        for path in ["/", "/keys", "/favicon.svg", "/auth/callback", "/v10", "/no/such/page"] {
            assert_eq!((route("GET", path), route("HEAD", path)), (Ok(Route::Page), Ok(Route::Page)), "{path}");
        }
    }

    #[test]
    fn issue_13_what_is_probed_for_oauth_and_old_transports_is_not_there() {
        for path in [
            "/authorize",
            "/Authorize/",
            "/register",
            "/token",
            "/token/",
            "/revoke",
            "/introspect",
            "/userinfo",
            "/jwks.json",
            "/oauth/authorize",
            "/oauth/token",
            "/oauth2/token",
            "/connect/register",
            "/sse",
            "//sse",
            "/sse/x",
            "/message",
            "/messages",
            "/messages/x",
            "/.well-known/oauth-authorization-server",
            "/.well-known/oauth-authorization-server/mcp",
            "/.well-known/oauth-protected-resource",
            "/.well-known/oauth-protected-resource/mcp",
            "/.well-known/openid-configuration",
            "/.well-known/openid-configuration/mcp",
            "/mcp/.well-known/openid-configuration",
            "/mcp/sse",
        ] {
            for method in ["GET", "HEAD", "POST"] {
                assert_eq!(route(method, path).unwrap_err().status, 404, "{method} {path}");
            }
        }
        for page in ["/tokens", "/auth/callback", "/register-now", "/keys"] {
            assert_eq!(route("GET", page), Ok(Route::Page), "{page}");
        }
    }

    #[test]
    fn other_paths_and_methods_are_refused() {
        for path in
            ["/v1", "/v1/chat", "/v1/chat/completions/x", "/V1/models", "/v1/models/%ff", "//console/", "/operator/x"]
        {
            assert_eq!(route("GET", path).unwrap_err().status, 404, "{path}");
        }
        assert_eq!(route("POST", "/keys").unwrap_err().status, 404);
        let error = route("GET", "/v1/chat/completions").unwrap_err();
        assert_eq!((error.status, error.allow), (405, Some("POST")));
    }
}
