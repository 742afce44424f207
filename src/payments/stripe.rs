//! The client of Stripe's API: the few calls that are made, each with a deadline and a bound.
//!
//! The one rule: no text of Stripe's errors leaves this module. What is kept of one is what may be decided by it.
//! A call that is sent again has the same idempotency key, so it happens once.
//! <https://docs.stripe.com/api>

use js_sys::Uint8Array;
use serde::de::DeserializeOwned;
use worker::{Headers, Method, Request, RequestInit, RequestRedirect};

use super::config::Payments;
use super::form::Form;
use super::wire::{ErrorBody, ErrorEnvelope, VERSION};
use crate::clock;
use crate::error::{ApiError, Code};
use crate::fetch::{Fetched, fetch};

/// How long one attempt may take, in milliseconds. A card's bank answers within seconds; three attempts fit into
/// the half minute that the platform gives what runs after a response.
const ATTEMPT_MS: u64 = 8_000;

/// How often a call is sent before it is given up: as often as Stripe's own libraries do.
const ATTEMPTS: u32 = 3;

/// How long is waited between two attempts, in milliseconds.
const PAUSE_MS: u64 = 400;

/// The largest answer that is read, in bytes: a page of a hundred sessions has under one million.
const MAX_ANSWER_BYTES: usize = 4 << 20;

/// Why Stripe did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StripeError {
    /// No answer, or none that can be read: it may have been done.
    #[error("no answer came in time, or none that can be read")]
    NoAnswer,
    /// It refuses now: too many calls, or trouble of its own.
    #[error("status {0}")]
    Busy(u16),
    /// The card was declined, or needs its owner.
    #[error("the payment was declined: {}", .0.code.as_deref().unwrap_or("no reason"))]
    Declined(ErrorBody),
    /// There is no such object.
    #[error("there is no such object")]
    Missing,
    /// The idempotency key was used for another call.
    #[error("the idempotency key was used for another call")]
    KeyReused,
    /// It refuses for good: what we send is wrong, or what it speaks of does not fit any more.
    #[error("status {status}, {}", .code.as_deref().unwrap_or("no code"))]
    Refused {
        /// Its status.
        status: u16,
        /// As `payment_method_unactivated`.
        code: Option<String>,
    },
}

impl StripeError {
    fn may_pass(&self) -> bool {
        matches!(self, Self::NoAnswer | Self::Busy(_))
    }
}

/// What a caller is told: nothing of Stripe's, which goes to the log.
impl From<StripeError> for ApiError {
    fn from(error: StripeError) -> Self {
        worker::console_error!("stripe: {error}");
        Self::new(Code::UpstreamUnavailable, "Payments are not available right now. Please try again.")
    }
}

/// Stripe, under one key.
#[derive(Debug, Clone, Copy)]
pub struct Stripe<'a>(pub &'a Payments);

impl Stripe<'_> {
    /// Changes something. `idempotency_key` names the change: the same one again has the same answer.
    ///
    /// # Errors
    /// [`StripeError`].
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        form: &Form,
        idempotency_key: &str,
    ) -> Result<T, StripeError> {
        self.call(Method::Post, path, form, Some(idempotency_key)).await
    }

    /// The same, sent once: the caller decides again before it is sent again.
    ///
    /// # Errors
    /// [`StripeError`].
    pub async fn post_once<T: DeserializeOwned>(
        &self,
        path: &str,
        form: &Form,
        idempotency_key: &str,
    ) -> Result<T, StripeError> {
        let text = self.attempt(&Method::Post, path, form, Some(idempotency_key)).await?;
        serde_json::from_str(&text).map_err(|_| StripeError::NoAnswer)
    }

    /// Reads something.
    ///
    /// # Errors
    /// [`StripeError`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str, query: &Form) -> Result<T, StripeError> {
        self.call(Method::Get, path, query, None).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        form: &Form,
        idempotency_key: Option<&str>,
    ) -> Result<T, StripeError> {
        let mut last = StripeError::NoAnswer;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                clock::sleep_ms(PAUSE_MS).await;
            }
            match self.attempt(&method, path, form, idempotency_key).await {
                Ok(text) => return serde_json::from_str(&text).map_err(|_| StripeError::NoAnswer),
                Err(error) if error.may_pass() => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    async fn attempt(
        &self,
        method: &Method,
        path: &str,
        form: &Form,
        idempotency_key: Option<&str>,
    ) -> Result<String, StripeError> {
        let request = self.request(method, path, form, idempotency_key).map_err(|error| {
            worker::console_error!("stripe: no request could be made: {error}");
            StripeError::NoAnswer
        })?;
        let answer = fetch(request, ATTEMPT_MS, MAX_ANSWER_BYTES).await;
        let Fetched { status, text, .. } = answer.map_err(|_| StripeError::NoAnswer)?;
        if (200..300).contains(&status) { Ok(text) } else { Err(refusal(status, &text)) }
    }

    fn request(
        &self,
        method: &Method,
        path: &str,
        form: &Form,
        idempotency_key: Option<&str>,
    ) -> worker::Result<Request> {
        let Payments { api_url, secret_key, .. } = self.0;
        let headers = Headers::new();
        headers.set("authorization", &format!("Bearer {secret_key}"))?;
        headers.set("stripe-version", VERSION)?;
        headers.set("user-agent", "oneinterface")?;
        let mut init = RequestInit::new();
        let mut url = format!("{}{path}", api_url.as_str());
        if *method == Method::Get {
            if !form.as_str().is_empty() {
                url = format!("{url}?{}", form.as_str());
            }
        } else {
            headers.set("content-type", "application/x-www-form-urlencoded")?;
            init.with_body(Some(Uint8Array::from(form.as_str().as_bytes()).into()));
        }
        if let Some(key) = idempotency_key {
            headers.set("idempotency-key", key)?;
        }
        init.with_method(method.clone())
            .with_headers(headers)
            // A redirect would carry the key to where nobody decided to send it.
            .with_redirect(RequestRedirect::Manual);
        Request::new_with_init(&url, &init)
    }
}

/// What a status that is no success means.
fn refusal(status: u16, text: &str) -> StripeError {
    let error = serde_json::from_str::<ErrorEnvelope>(text).unwrap_or_default().error;
    match (status, error.kind.as_deref()) {
        // 409: the same idempotency key is at work elsewhere.
        (409 | 429 | 500.., _) => StripeError::Busy(status),
        (_, Some("idempotency_error")) => StripeError::KeyReused,
        (402, _) => StripeError::Declined(error),
        (404, _) => StripeError::Missing,
        _ if error.code.as_deref() == Some("resource_missing") => StripeError::Missing,
        _ => StripeError::Refused { status, code: error.code },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_known_by_status_and_code_alone() {
        let body =
            |kind: &str, code: &str| format!(r#"{{"error":{{"type":"{kind}","code":"{code}","message":"theirs"}}}}"#);
        let declined =
            ErrorBody { kind: Some("card_error".into()), code: Some("card_declined".into()), decline_code: None };
        for (status, text, expected) in [
            (402, body("card_error", "card_declined"), StripeError::Declined(declined)),
            (400, body("idempotency_error", "x"), StripeError::KeyReused),
            (409, body("idempotency_error", "idempotency_key_in_use"), StripeError::Busy(409)),
            (409, body("invalid_request_error", "lock_timeout"), StripeError::Busy(409)),
            (429, String::new(), StripeError::Busy(429)),
            (503, "<html>".into(), StripeError::Busy(503)),
            (404, body("invalid_request_error", "resource_missing"), StripeError::Missing),
            (400, body("invalid_request_error", "resource_missing"), StripeError::Missing),
            (401, "{}".into(), StripeError::Refused { status: 401, code: None }),
            (302, String::new(), StripeError::Refused { status: 302, code: None }),
        ] {
            let error = refusal(status, &text);
            assert_eq!(error, expected, "{status} {text}");
            assert!(!error.to_string().contains("theirs"));
        }
    }
}
