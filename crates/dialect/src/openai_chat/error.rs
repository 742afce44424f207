//! The error envelope of the OpenAI dialects.

use serde::Serialize;

/// The one `type` of our errors.
pub const ERROR_TYPE: &str = "oneinterface_error";

/// What an error says. Every text is ours: none is a provider's.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ErrorBody<'a> {
    /// A sentence for the caller.
    pub message: &'a str,
    /// Always [`ERROR_TYPE`].
    pub r#type: &'static str,
    /// One of the seven codes.
    pub code: &'a str,
    /// The field that is to blame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub param: Option<&'a str>,
    /// Why the money was not enough: `balance`, `held` or `key_budget`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    /// What running requests hold, in decimal USD.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<&'a str>,
}

impl<'a> ErrorBody<'a> {
    /// An error with nothing but what every error has.
    #[must_use]
    pub fn new(code: &'a str, message: &'a str) -> Self {
        Self { message, r#type: ERROR_TYPE, code, param: None, reason: None, held: None }
    }

    /// `{"error":{"message","type","code",…}}`
    #[must_use]
    pub fn envelope(&self) -> String {
        #[derive(Serialize)]
        struct Envelope<'a> {
            error: &'a ErrorBody<'a>,
        }
        // Strings and options of strings: there is nothing in it that could fail.
        serde_json::to_string(&Envelope { error: self }).unwrap_or_default()
    }
}

/// The error in a stream that broke off, whatever the upstream said of it.
#[must_use]
pub fn broken_stream() -> String {
    let message = "The upstream provider ended the stream before the answer was complete.";
    ErrorBody::new("upstream_unavailable", message).envelope()
}
