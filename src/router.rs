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
}

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
            | Self::Quote
            | Self::OperatorEntries
            | Self::OperatorAudit
            | Self::Mcp => "POST",
            Self::ConsoleAccount | Self::ConsoleKeys => "GET, HEAD, POST",
            Self::ConsoleSessions => "DELETE",
            Self::ConsoleKey(_) => "PATCH, DELETE",
            Self::StoredResponse => "GET, HEAD, POST, DELETE",
            Self::Models
            | Self::Model(_)
            | Self::Key
            | Self::Credits
            | Self::Generation
            | Self::Activity
            | Self::ConsoleConfig
            | Self::OperatorAccounts
            | Self::OperatorUpstreams
            | Self::Hello
            | Self::Health => "GET, HEAD",
        }
    }
}

/// Finds the route. Doubled and trailing slashes do not matter.
///
/// # Errors
/// `invalid_request` with 404 for an unknown path, with 405 for a method that the route has not.
pub fn route(method: &str, path: &str) -> Result<Route, ApiError> {
    let route = find(path).ok_or_else(|| {
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
mod tests {
    use super::*;

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
    fn other_paths_and_methods_are_refused() {
        for path in ["/", "/v1", "/v1/chat", "/v1/chat/completions/x", "/V1/models", "/v1/models/%ff"] {
            assert_eq!(route("GET", path).unwrap_err().status, 404, "{path}");
        }
        let error = route("GET", "/v1/chat/completions").unwrap_err();
        assert_eq!((error.status, error.allow), (405, Some("POST")));
    }
}
