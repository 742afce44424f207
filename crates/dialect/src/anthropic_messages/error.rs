//! The errors of this dialect. Every text is ours: none is a provider's.

use serde::Serialize;

use crate::openai_chat::error::ErrorBody;

/// What is said where an upstream broke off.
pub const BROKE_OFF: ErrorBody<'static> = ErrorBody {
    message: "The upstream provider ended the stream before the answer was complete.",
    r#type: crate::openai_chat::error::ERROR_TYPE,
    code: "upstream_unavailable",
    param: None,
    reason: None,
    held: None,
};

#[derive(Serialize)]
struct Envelope<'a> {
    r#type: &'static str,
    error: Inner<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Inner<'a> {
    r#type: &'static str,
    message: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<&'a str>,
}

/// The `error.type` of a status.
#[must_use]
pub fn error_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        409 => "conflict_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        503 | 529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

/// `{"type":"error","error":{"type","message","code",…},"request_id"}`
#[must_use]
pub fn envelope(status: u16, body: &ErrorBody<'_>, request_id: Option<&str>) -> String {
    let inner = Inner {
        r#type: error_type(status),
        message: body.message,
        code: body.code,
        param: body.param,
        reason: body.reason,
        held: body.held,
    };
    // Strings and options of strings: there is nothing in it that could fail.
    serde_json::to_string(&Envelope { r#type: "error", error: inner, request_id }).unwrap_or_default()
}

/// The event that ends a stream which failed after its status was sent.
#[must_use]
pub fn event(status: u16, body: &ErrorBody<'_>) -> String {
    format!("event: error\ndata: {}\n\n", envelope(status, body, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_is_that_of_the_dialect() {
        let body = ErrorBody { reason: Some("balance"), ..ErrorBody::new("insufficient_credit", "No.") };
        assert_eq!(
            envelope(402, &body, Some("req_1")),
            r#"{"type":"error","error":{"type":"billing_error","message":"No.","code":"insufficient_credit","reason":"balance"},"request_id":"req_1"}"#
        );
    }

    #[test]
    fn every_status_has_its_type() {
        for (status, expected) in [
            (400, "invalid_request_error"),
            (401, "authentication_error"),
            (402, "billing_error"),
            (403, "permission_error"),
            (404, "not_found_error"),
            (409, "conflict_error"),
            (413, "request_too_large"),
            (422, "invalid_request_error"),
            (429, "rate_limit_error"),
            (500, "api_error"),
            (502, "api_error"),
            (503, "overloaded_error"),
            (504, "timeout_error"),
            (529, "overloaded_error"),
        ] {
            assert_eq!(error_type(status), expected, "{status}");
        }
    }
}
