//! Which answers nobody but their caller may keep, and the headers that say so.
//!
//! The one rule: what a key or a session gets is `no-store`, and names the headers that it depends on. A new route
//! has to take its side here before it compiles.

use worker::Headers;

use crate::router::Route;

/// Who is answered on a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// A page or a file of the web app; its headers stand in `console/public/_headers`.
    Browser,
    /// Everybody gets the same.
    Everybody,
    /// Whoever holds an API key or a session.
    Caller,
    /// Whoever holds an operator's token.
    Operator,
    /// Stripe, by its signature.
    Stripe,
}

impl Audience {
    /// Of a route; `None`: of a path that is no route.
    #[must_use]
    pub fn of(route: Option<&Route>) -> Self {
        let Some(route) = route else { return Self::Everybody };
        match route {
            Route::Page => Self::Browser,
            Route::Hello | Route::Health | Route::ConsoleConfig | Route::ConsoleModels => Self::Everybody,
            Route::OperatorEntries | Route::OperatorAudit | Route::OperatorAccounts | Route::OperatorUpstreams => {
                Self::Operator
            }
            Route::StripeWebhook => Self::Stripe,
            Route::ChatCompletions
            | Route::Completions
            | Route::Responses
            | Route::StoredResponse
            | Route::Messages
            | Route::CountTokens
            | Route::Embeddings
            | Route::Models
            | Route::Model(_)
            | Route::Key
            | Route::Credits
            | Route::Generation
            | Route::Activity
            | Route::Quote
            | Route::ConsoleAccount
            | Route::ConsoleSessions
            | Route::ConsoleKeys
            | Route::ConsoleKey(_)
            | Route::ConsoleKeyRotation(_)
            | Route::ConsoleBalance
            | Route::ConsoleLive
            | Route::ConsoleJournal
            | Route::ConsoleUsage
            | Route::ConsoleDaily
            | Route::ConsoleExport
            | Route::ConsoleTopUps
            | Route::ConsoleAutoTopUp
            | Route::ConsoleAutoTopUpAttempt
            | Route::ConsoleTopUpMethod
            | Route::Mcp => Self::Caller,
        }
    }

    /// The request headers that an answer depends on.
    fn vary(self) -> Option<&'static str> {
        match self {
            // A key comes in either.
            Self::Caller => Some("authorization, x-api-key"),
            Self::Operator => Some("authorization"),
            Self::Browser | Self::Everybody | Self::Stripe => None,
        }
    }

    /// Puts the headers on an answer. Only what everybody gets may say itself how long it may be kept.
    ///
    /// # Errors
    /// The platform's.
    pub fn mark(self, headers: &Headers) -> worker::Result<()> {
        if self == Self::Browser {
            return Ok(());
        }
        if self != Self::Everybody || !headers.has("cache-control")? {
            headers.set("cache-control", "no-store")?;
        }
        if let Some(vary) = self.vary() {
            headers.append("vary", vary)?;
        }
        headers.set("x-content-type-options", "nosniff")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router;

    #[test]
    fn issue_13_every_route_but_a_known_few_is_private() {
        let open = ["/api/hello", "/health", "/console/api/config", "/console/api/models"];
        let paths = router::tests::paths();
        assert!(paths.len() > 35, "{paths:?}");
        for path in paths {
            let expected = match path.as_str() {
                path if open.contains(&path) => Audience::Everybody,
                path if path.starts_with("/operator/") => Audience::Operator,
                "/webhooks/stripe" => Audience::Stripe,
                _ => Audience::Caller,
            };
            let route = router::known(&path);
            assert!(route.is_some(), "{path}");
            assert_eq!(Audience::of(route.as_ref()), expected, "{path}");
        }
        assert_eq!(Audience::of(router::known("/keys").as_ref()), Audience::Browser);
        assert_eq!(Audience::of(router::known("/v1/nothing").as_ref()), Audience::Everybody);
    }
}
