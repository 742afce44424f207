//! Sending a request to an upstream: where to, with which credentials, and what its silence or its
//! refusal means.

use std::cell::Cell;
use std::collections::BTreeSet;

use catalog::{Auth, Catalog, Dialect, Model, Route, Upstream};
use dialect::rejection::{self, Rejection};
use js_sys::Uint8Array;
use worker::{AbortController, Fetch, Headers, Method, Request, RequestInit, RequestRedirect, Response, Url};

use crate::breaker::{Kind, Verdict};
use crate::clock;
pub use crate::clock::within;
use crate::context::Context;
use crate::inference::stream::Source;
use crate::retry_after;

/// How long the connection and the headers of a stream may take together, in milliseconds: the platform
/// does not tell them apart.
const HEADERS_MS: u64 = 60_000;
/// How long a silence in a stream may be, in milliseconds.
const IDLE_MS: u64 = 120_000;
/// The same for a model that reasons out of sight: it may be silent as long as it reasons, and the client is
/// kept informed meanwhile.
const HIDDEN_IDLE_MS: u64 = 600_000;
/// How long a whole answer may take, in milliseconds: as long as SDKs wait for one.
const TOTAL_MS: u64 = 600_000;
/// How long a stream may take from its first to its last byte, in milliseconds: 128,000 tokens at 40 a second.
const STREAM_MS: u64 = 3_600_000;

/// How much of a refusal's body is read, and for how long, in bytes and milliseconds.
const MAX_REFUSAL_BYTES: usize = 64 << 10;
const REFUSAL_MS: u64 = 2_000;

/// An upstream that can serve a model now.
pub struct Candidate<'a> {
    /// Where.
    pub upstream: &'a Upstream,
    /// Under which id.
    pub route: &'a Route,
    secret: Option<String>,
}

/// What is sent to an upstream.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Decides how the key is sent.
    pub dialect: Dialect,
    /// Behind the base URL.
    pub path: &'a str,
    /// JSON.
    pub body: &'a str,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Sent with bodies of Anthropic's dialect.
    pub anthropic: &'a AnthropicHeaders,
}

/// An answer that has begun.
pub struct Exchange {
    /// Its headers are here, its body is not read.
    pub response: Response,
    /// The connection that it comes by.
    pub connection: Connection,
    /// When its headers came, in milliseconds since the epoch.
    pub answered_ms: i64,
}

/// A connection to an upstream. It ends when this is dropped: whatever ends an attempt, a panic too, nobody
/// reads any more of it, and nothing more is made for nobody.
pub struct Connection(Cell<Option<AbortController>>);

impl Connection {
    /// Ends it.
    pub fn end(&self) {
        if let Some(abort) = self.0.take() {
            abort.abort();
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.end();
    }
}

/// The headers that belong to a body of Anthropic's dialect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnthropicHeaders {
    /// `anthropic-version`
    pub version: Option<String>,
    /// `anthropic-beta`, an open list that travels with fields of the body.
    pub beta: Option<String>,
}

/// The longest header of a client that is passed on, in bytes.
const MAX_HEADER_BYTES: usize = 4_096;

impl AnthropicHeaders {
    /// Those that a client sent.
    ///
    /// # Errors
    /// The platform's.
    pub fn read(headers: &Headers) -> worker::Result<Self> {
        let get = |name| Ok::<_, worker::Error>(headers.get(name)?.filter(|text| text.len() <= MAX_HEADER_BYTES));
        Ok(Self { version: get("anthropic-version")?, beta: get("anthropic-beta")? })
    }
}

/// Why an upstream gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No connection, or it broke.
    #[error("the connection failed")]
    Unreachable,
    /// Too slow.
    #[error("the deadline passed")]
    TimedOut,
    /// A status that is no success.
    #[error("status {status}")]
    Status {
        /// The upstream's.
        status: u16,
        /// Its `retry-after`, in seconds.
        retry_after_s: Option<u64>,
    },
    /// It says that it cannot do what is asked, in a way that the caller's tools act on.
    #[error("status {status}: {}", rejection.sentence())]
    Rejected {
        /// The upstream's.
        status: u16,
        /// What it cannot do.
        rejection: Rejection,
    },
    /// Success, and a body that is no answer.
    #[error("the body is no answer")]
    NotAnAnswer,
    /// Success, and more of it than can be handed over whole.
    #[error("the answer is too large")]
    TooLarge,
    /// The isolate has no memory for the answer now.
    #[error("there is no memory for the answer")]
    NoRoom,
}

impl Failure {
    /// Whether another upstream may be asked. A whole answer that was too slow was perhaps made.
    #[must_use]
    pub fn may_fail_over(&self, stream: bool) -> bool {
        match self {
            Self::Unreachable | Self::NotAnAnswer => true,
            Self::TimedOut => stream,
            // What is too large from one is too large from the next.
            Self::Rejected { .. } | Self::TooLarge | Self::NoRoom => false,
            // 401 to 404 speak of the operator's key, account and route there, not of the request.
            Self::Status { status, .. } => matches!(status, 401..=404 | 408 | 425 | 429 | 500..),
        }
    }

    /// What it says of the upstream. 403 and 404 can be provoked by a request (a policy of a reseller, an
    /// input that none of its providers takes), so they say nothing, as every other refusal.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let (kind, retry_after_s) = match self {
            Self::Unreachable => (Kind::Unreachable, None),
            Self::TimedOut => (Kind::TimedOut, None),
            Self::NotAnAnswer => (Kind::NotAnAnswer, None),
            Self::Rejected { .. } | Self::TooLarge | Self::NoRoom => return Verdict::Nothing,
            Self::Status { status: 429, retry_after_s } => (Kind::RateLimited, *retry_after_s),
            Self::Status { status: 401 | 402, .. } => (Kind::Credentials, None),
            Self::Status { status: 408 | 500.., retry_after_s } => (Kind::ServerError, *retry_after_s),
            Self::Status { .. } => return Verdict::Nothing,
        };
        Verdict::Failed { kind, retry_after_s }
    }

    /// Whether the upstream found fault with the request itself.
    #[must_use]
    pub fn is_rejection(&self) -> bool {
        matches!(self, Self::Rejected { .. } | Self::Status { status: 400..500, .. }) && !self.may_fail_over(true)
    }
}

/// The upstreams that can serve `model` in `dialect`, the one to try first first. One whose secret is
/// not set, or may not be sent to its host, is none of them.
#[must_use]
pub fn candidates<'a>(
    catalog: &'a Catalog,
    model: &'a Model,
    dialect: Dialect,
    context: &Context,
) -> Vec<Candidate<'a>> {
    let usable = |(upstream, route): (&'a Upstream, &'a Route)| {
        Some(Candidate { upstream, route, secret: credentials(upstream, context)? })
    };
    catalog.candidates(model, dialect).into_iter().filter_map(usable).collect()
}

/// The secret of an upstream, where it needs one; `None`: it must not be called.
fn credentials(upstream: &Upstream, context: &Context) -> Option<Option<String>> {
    let Some(name) = &upstream.secret else { return Some(None) };
    let secret = context.env.secret(name).ok().map(|secret| secret.to_string()).filter(|text| !text.is_empty())?;
    if !context.config.may_send(name, upstream.base_url.host()) {
        worker::console_error!("upstream {}: {name} is not bound to its host in SECRET_HOSTS", upstream.id);
        return None;
    }
    Some(Some(secret))
}

/// Whether an upstream can be called at all: it is enabled, and has its secret.
#[must_use]
pub fn is_usable(upstream: &Upstream, context: &Context) -> bool {
    upstream.enabled && credentials(upstream, context).is_some()
}

/// The ids of the upstreams that can be called.
#[must_use]
pub fn usable<'a>(catalog: &'a Catalog, context: &Context) -> BTreeSet<&'a str> {
    let upstreams = catalog.upstreams.values();
    upstreams.filter(|upstream| is_usable(upstream, context)).map(|upstream| upstream.id.as_str()).collect()
}

impl Candidate<'_> {
    /// Sends `body` and waits for the headers of a success.
    ///
    /// # Errors
    /// [`Failure`]; of a refusal's body is kept only what kind of refusal it is, so none of its text can
    /// go anywhere.
    pub async fn send(&self, call: &Call<'_>) -> Result<Exchange, Failure> {
        let request = self.request(call).map_err(|error| {
            worker::console_error!("upstream {}: no request could be made: {error}", self.upstream.id);
            Failure::Unreachable
        })?;
        let abort = AbortController::default();
        let signal = abort.signal();
        let connection = Connection(Cell::new(Some(abort)));
        let fetch = Fetch::Request(request);
        let deadline_ms =
            if call.stream { self.upstream.timeouts_ms.headers.unwrap_or(HEADERS_MS) } else { self.total_ms() };
        let sent = within(deadline_ms, fetch.send_with_signal(&signal)).await;
        let response = match sent {
            Some(Ok(response)) => response,
            Some(Err(_)) => return Err(Failure::Unreachable),
            None => return Err(Failure::TimedOut),
        };
        match response.status_code() {
            200..300 => Ok(Exchange { response, connection, answered_ms: clock::now_ms() }),
            status => {
                let header = |name| response.headers().get(name).ok().flatten();
                let (retry_after, retry_after_ms) = (header("retry-after"), header("retry-after-ms"));
                let rejection = rejection_of(status, &response, call.anthropic).await;
                if let Some(rejection) = rejection {
                    return Err(Failure::Rejected { status, rejection });
                }
                let now_ms = clock::now_ms();
                let retry_after_s = retry_after::seconds(retry_after.as_deref(), retry_after_ms.as_deref(), now_ms);
                Err(Failure::Status { status, retry_after_s })
            }
        }
    }

    /// How long the first event of a stream may take from its headers on, in milliseconds; `None`: as long
    /// as any other, see [`Self::idle_ms`].
    #[must_use]
    pub fn first_token_ms(&self) -> Option<u64> {
        self.upstream.timeouts_ms.first_token
    }

    /// The longest silence of a stream, in milliseconds; `hides`: it may be one of reasoning.
    #[must_use]
    pub fn idle_ms(&self, hides: bool) -> u64 {
        self.upstream.timeouts_ms.idle.unwrap_or(if hides { HIDDEN_IDLE_MS } else { IDLE_MS })
    }

    /// The longest time of a stream, in milliseconds.
    #[must_use]
    pub fn stream_ms(&self) -> u64 {
        self.upstream.timeouts_ms.total.unwrap_or(STREAM_MS)
    }

    /// The longest time of a whole answer, in milliseconds.
    #[must_use]
    pub fn total_ms(&self) -> u64 {
        self.upstream.timeouts_ms.total.unwrap_or(TOTAL_MS)
    }

    fn request(&self, call: &Call<'_>) -> worker::Result<Request> {
        let Call { dialect, path, body, stream, anthropic } = *call;
        let mut url = Url::parse(&format!("{}{path}", self.upstream.base_url.for_model(&self.route.model)))?;
        let headers = Headers::new();
        headers.set("content-type", "application/json")?;
        headers.set("accept", if stream { "text/event-stream" } else { "application/json" })?;
        headers.set("accept-encoding", "identity")?;
        headers.set("user-agent", "oneinterface")?;
        if dialect == Dialect::AnthropicMessages {
            let given = [("anthropic-version", &anthropic.version), ("anthropic-beta", &anthropic.beta)];
            given.into_iter().try_for_each(|(name, text)| text.iter().try_for_each(|text| headers.set(name, text)))?;
        }
        if !self.upstream.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.upstream.query);
        }
        if let Some(secret) = &self.secret {
            match self.upstream.auth_for(dialect) {
                Auth::Bearer => headers.set("authorization", &format!("Bearer {secret}"))?,
                Auth::XApiKey => headers.set("x-api-key", secret)?,
                Auth::ApiKey => headers.set("api-key", secret)?,
                Auth::Query => {
                    url.query_pairs_mut().append_pair("key", secret);
                }
            }
        }
        let mut init = RequestInit::new();
        init.with_method(Method::Post)
            .with_headers(headers)
            .with_body(Some(Uint8Array::from(body.as_bytes()).into()))
            // A redirect would carry the key, and the prompt, to where nobody decided to send it.
            .with_redirect(RequestRedirect::Manual);
        Request::new_with_init(url.as_str(), &init)
    }
}

/// What a refusal is about, where its body says so in time.
async fn rejection_of(status: u16, response: &Response, anthropic: &AnthropicHeaders) -> Option<Rejection> {
    if !matches!(status, 400 | 413 | 422) {
        return None;
    }
    rejection::classify(status, &refusal_text(response).await?, anthropic.beta.as_deref())
}

/// What a success is about whose body says that it is none.
pub async fn rejection_in(response: &Response, betas: Option<&str>) -> Option<Rejection> {
    rejection::classify(400, &refusal_text(response).await?, betas)
}

async fn refusal_text(response: &Response) -> Option<String> {
    let source = Source::new(response.body())?;
    within(REFUSAL_MS, source.text(MAX_REFUSAL_BYTES, |_| true)).await?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_over_and_what_is_the_callers_fault() {
        let status = |status| Failure::Status { status, retry_after_s: None };
        for code in [401, 402, 403, 404, 408, 425, 429, 500, 502, 529] {
            assert!(status(code).may_fail_over(false) && !status(code).is_rejection(), "{code}");
        }
        for code in [400, 405, 413, 422] {
            assert!(!status(code).may_fail_over(true) && status(code).is_rejection(), "{code}");
        }
        assert!(!status(302).may_fail_over(true) && !status(302).is_rejection());
        assert!(Failure::TimedOut.may_fail_over(true) && !Failure::TimedOut.may_fail_over(false));
        assert!(!Failure::TooLarge.may_fail_over(false) && !Failure::NoRoom.may_fail_over(true));
    }

    #[test]
    fn what_a_request_can_provoke_says_nothing_of_the_upstream() {
        let status = |status| Failure::Status { status, retry_after_s: Some(3) };
        for code in [302, 400, 403, 404, 405, 413, 422, 425] {
            assert_eq!(status(code).verdict(), Verdict::Nothing, "{code}");
        }
        let rejected = Failure::Rejected { status: 400, rejection: Rejection::ContextLength };
        assert_eq!(
            [rejected, Failure::TooLarge, Failure::NoRoom].map(|failure| failure.verdict()),
            [Verdict::Nothing; 3]
        );
        for (failure, kind, retry_after_s) in [
            (status(401), Kind::Credentials, None),
            (status(402), Kind::Credentials, None),
            (status(408), Kind::ServerError, Some(3)),
            (status(429), Kind::RateLimited, Some(3)),
            (status(503), Kind::ServerError, Some(3)),
            (Failure::Unreachable, Kind::Unreachable, None),
            (Failure::TimedOut, Kind::TimedOut, None),
            (Failure::NotAnAnswer, Kind::NotAnAnswer, None),
        ] {
            assert_eq!(failure.verdict(), Verdict::Failed { kind, retry_after_s }, "{failure:?}");
        }
    }
}
