//! What a caller is told when a request fails: a stable code, a status, a sentence of our own.
//!
//! The one rule: no provider's text, no key and no body is ever part of an error.

use dialect::anthropic_messages;
use dialect::openai_chat::error::ErrorBody;
use dialect::request::RequestError;
use dialect::request_limits::BadShape;
use worker::{Headers, Response};

/// The seven codes of the public documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The bearer token is missing, revoked or invalid, or may not do this.
    InvalidApiKey,
    /// The balance is too low.
    InsufficientCredit,
    /// The model is not in the curated priced catalogue.
    ModelNotAvailable,
    /// The body or parameters are malformed.
    InvalidRequest,
    /// Retry after a short delay.
    RateLimitExceeded,
    /// No configured upstream provider gave an answer.
    UpstreamUnavailable,
    /// Ours.
    InternalError,
}

impl Code {
    /// As it stands in the envelope.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::InvalidApiKey => "invalid_api_key",
            Self::InsufficientCredit => "insufficient_credit",
            Self::ModelNotAvailable => "model_not_available",
            Self::InvalidRequest => "invalid_request",
            Self::RateLimitExceeded => "rate_limit_exceeded",
            Self::UpstreamUnavailable => "upstream_unavailable",
            Self::InternalError => "internal_error",
        }
    }

    fn status(self) -> u16 {
        match self {
            Self::InvalidApiKey => 401,
            Self::InsufficientCredit => 402,
            Self::ModelNotAvailable => 404,
            Self::InvalidRequest => 400,
            Self::RateLimitExceeded => 429,
            Self::UpstreamUnavailable => 503,
            Self::InternalError => 500,
        }
    }

    /// Whether the same request can succeed a moment later. SDKs obey `x-should-retry`.
    fn retry_can_help(self) -> bool {
        matches!(self, Self::RateLimitExceeded | Self::UpstreamUnavailable | Self::InternalError)
    }
}

/// How errors are written: each caller reads its own dialect's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Envelope {
    /// `{"error":{"message","type","code"}}`
    OpenAi,
    /// `{"type":"error","error":{"type","message"},"request_id"}`
    Anthropic,
}

impl Envelope {
    /// The one that callers of `path` read.
    #[must_use]
    pub fn of(path: &str) -> Self {
        let mut segments = path.split('/').filter(|segment| !segment.is_empty());
        let messages = segments.next() == Some("v1") && segments.next() == Some("messages");
        if messages { Self::Anthropic } else { Self::OpenAi }
    }
}

/// An error on its way to a caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code:?} ({status}): {message}")]
pub struct ApiError {
    /// Which of the seven.
    pub code: Code,
    /// The HTTP status.
    pub status: u16,
    /// A sentence for the caller.
    pub message: String,
    /// The field that is to blame.
    pub param: Option<String>,
    /// Seconds after which a retry is worth while.
    pub retry_after_s: Option<u64>,
    /// The methods that a route has, for 405.
    pub allow: Option<&'static str>,
    /// Why the money was not enough.
    pub shortage: Option<Box<ShortageView>>,
}

/// Why the money was not enough, as the caller reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShortageView {
    /// `balance`, `held` or `key_budget`.
    pub reason: &'static str,
    /// What running requests hold, in decimal USD.
    pub held: String,
    /// Whether the same request can succeed once running ones have ended.
    pub passes: bool,
}

impl ApiError {
    /// An error with the status of its code.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            status: code.status(),
            message: message.into(),
            param: None,
            retry_after_s: None,
            allow: None,
            shortage: None,
        }
    }

    /// The same with another status.
    #[must_use]
    pub fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// No key, or one that is none.
    #[must_use]
    pub fn invalid_api_key() -> Self {
        Self::new(Code::InvalidApiKey, "The API key is missing, revoked or invalid. Make one in Console.")
    }

    /// No such model, or one that is not for sale.
    #[must_use]
    pub fn model_not_available() -> Self {
        let error = Self::new(Code::ModelNotAvailable, "The requested model is not available.");
        Self { param: Some("model".into()), ..error }
    }

    /// There is no room for it now.
    #[must_use]
    pub fn busy() -> Self {
        let error = Self::new(Code::RateLimitExceeded, "The gateway has no room for this request right now.");
        Self { retry_after_s: Some(1), ..error.with_status(503) }
    }

    /// Something of ours failed; the reason goes to the log, not to the caller.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(Code::InternalError, "Something went wrong on our side. Please try again.")
    }

    /// The answer in the caller's envelope.
    ///
    /// # Errors
    /// The platform's, when it takes no header.
    pub fn into_response(self, envelope: Envelope, request_id: &str) -> worker::Result<Response> {
        let headers = Headers::new();
        headers.set("content-type", "application/json")?;
        let passes = self.shortage.as_ref().is_some_and(|shortage| shortage.passes);
        // Too much at once: not what a status of 5xx says by itself.
        let is_full = self.status == 503 && self.code == Code::RateLimitExceeded;
        if passes || is_full {
            headers.set("x-should-retry", "true")?;
        } else if !self.code.retry_can_help() {
            headers.set("x-should-retry", "false")?;
        }
        if let Some(seconds) = self.retry_after_s {
            headers.set("retry-after", &seconds.to_string())?;
        }
        if self.status == 401 {
            // RFC 9110, section 15.5.2
            headers.set("www-authenticate", "Bearer")?;
        }
        if let Some(methods) = self.allow {
            headers.set("allow", methods)?;
        }
        let body = ErrorBody {
            param: self.param.as_deref(),
            reason: self.shortage.as_ref().map(|shortage| shortage.reason),
            held: self.shortage.as_ref().map(|shortage| shortage.held.as_str()),
            ..ErrorBody::new(self.code.text(), &self.message)
        };
        let body = match envelope {
            Envelope::OpenAi => body.envelope(),
            Envelope::Anthropic => anthropic_messages::error::envelope(self.status, &body, Some(request_id)),
        };
        Ok(Response::ok(body)?.with_status(self.status).with_headers(headers))
    }
}

impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        let mut sentence = error.message;
        if let Some(first) = sentence.get(..1) {
            sentence.replace_range(..1, &first.to_ascii_uppercase());
        }
        Self { param: error.param, ..Self::new(Code::InvalidRequest, format!("{sentence}.")) }
    }
}

/// A body with too much in it is too large, whatever its bytes.
impl From<BadShape> for ApiError {
    fn from(shape: BadShape) -> Self {
        let error = Self::from(RequestError::from(shape));
        if shape.is_too_large() { error.with_status(413) } else { error }
    }
}

/// A failure of the platform: it is logged where it is turned into this.
impl From<worker::Error> for ApiError {
    fn from(error: worker::Error) -> Self {
        worker::console_error!("platform: {error}");
        Self::internal()
    }
}
