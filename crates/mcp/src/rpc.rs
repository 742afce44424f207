//! JSON-RPC 2.0: one message in, one out. <https://www.jsonrpc.org/specification>
//!
//! The one rule: a request's id goes back as it came, byte for byte, and nothing is taken for an id that
//! is neither a short string nor a whole number.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// The longest id and the longest progress token, in bytes of JSON: both come back to the client, the token
/// with each progress.
pub const MAX_TOKEN_BYTES: usize = 256;

/// A message that a client sent.
#[derive(Debug)]
pub enum Message<'a> {
    /// It wants an answer.
    Request {
        /// As JSON text.
        id: Box<RawValue>,
        /// What is asked for.
        method: Cow<'a, str>,
        /// As JSON text; `None`: none were sent.
        params: Option<&'a RawValue>,
    },
    /// It wants none.
    Notification {
        /// What has happened.
        method: Cow<'a, str>,
        /// As JSON text.
        params: Option<&'a RawValue>,
    },
    /// An answer to a request of ours; we make none.
    Answer,
}

/// What is answered over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// JSON; `None`: the body is empty.
    pub body: Option<String>,
}

/// A JSON-RPC error.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// The HTTP status that goes with it.
    pub status: u16,
    /// JSON-RPC's code.
    pub code: i32,
    /// A sentence for the caller.
    pub message: String,
    /// What a program may read.
    pub data: Option<Value>,
}

impl Fault {
    fn new(status: u16, code: i32, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), data: None }
    }

    /// The body is no JSON.
    #[must_use]
    pub fn parse() -> Self {
        Self::new(400, -32700, "The body is not valid JSON.")
    }

    /// The body is no request.
    #[must_use]
    pub fn invalid_request(message: &str) -> Self {
        Self::new(400, -32600, message)
    }

    /// The server has no such method.
    #[must_use]
    pub fn method_not_found(method: &str) -> Self {
        let shown: String = method.chars().take(64).collect();
        Self::new(404, -32601, format!("There is no method {shown}."))
    }

    /// The parameters are wrong.
    #[must_use]
    pub fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(400, -32602, message)
    }

    /// Something of ours failed.
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(200, -32603, message)
    }

    /// The headers say other than the body.
    #[must_use]
    pub fn header_mismatch(message: impl Into<String>) -> Self {
        Self::new(400, -32020, message)
    }

    /// No such revision of the protocol is spoken here.
    #[must_use]
    pub fn unsupported_version(requested: &str) -> Self {
        let requested: String = requested.chars().take(64).collect();
        let data = serde_json::json!({ "supported": super::version::supported(), "requested": requested });
        let message = "This version of the protocol is not supported.";
        Self { data: Some(data), ..Self::new(400, -32022, message) }
    }

    /// The answer to the request with this id; `None`: it is not known.
    #[must_use]
    pub fn reply(&self, id: Option<&RawValue>) -> Reply {
        #[derive(Serialize)]
        struct Wire<'a> {
            jsonrpc: &'static str,
            id: Option<&'a RawValue>,
            error: Error<'a>,
        }
        #[derive(Serialize)]
        struct Error<'a> {
            code: i32,
            message: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            data: Option<&'a Value>,
        }
        let error = Error { code: self.code, message: &self.message, data: self.data.as_ref() };
        // Strings and JSON: there is nothing in it that could fail.
        let body = serde_json::to_string(&Wire { jsonrpc: "2.0", id, error }).unwrap_or_default();
        Reply { status: self.status, body: Some(body) }
    }
}

/// The text of an answer.
#[must_use]
pub fn result(id: &RawValue, result: &Value) -> String {
    #[derive(Serialize)]
    struct Wire<'a> {
        jsonrpc: &'static str,
        id: &'a RawValue,
        result: &'a Value,
    }
    serde_json::to_string(&Wire { jsonrpc: "2.0", id, result }).unwrap_or_default()
}

/// The text of a notification of progress; `message` may be empty.
#[must_use]
pub fn progress(token: &RawValue, progress: u64, message: &str) -> String {
    #[derive(Serialize)]
    struct Wire<'a> {
        jsonrpc: &'static str,
        method: &'static str,
        params: Params<'a>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Params<'a> {
        progress_token: &'a RawValue,
        progress: u64,
        #[serde(skip_serializing_if = "str::is_empty")]
        message: &'a str,
    }
    let params = Params { progress_token: token, progress, message };
    serde_json::to_string(&Wire { jsonrpc: "2.0", method: "notifications/progress", params }).unwrap_or_default()
}

/// Reads a body.
///
/// # Errors
/// A fault, and the id that it answers where one could be read.
pub fn parse(body: &str) -> Result<Message<'_>, (Fault, Option<Box<RawValue>>)> {
    #[derive(Deserialize)]
    struct Wire<'a> {
        #[serde(borrow, default)]
        jsonrpc: Option<&'a RawValue>,
        #[serde(borrow, default, deserialize_with = "present")]
        id: Option<&'a RawValue>,
        #[serde(borrow, default)]
        method: Option<&'a RawValue>,
        #[serde(borrow, default)]
        params: Option<&'a RawValue>,
        #[serde(borrow, default)]
        result: Option<&'a RawValue>,
        #[serde(borrow, default)]
        error: Option<&'a RawValue>,
    }
    let bare = |fault| (fault, None);
    let whole: &RawValue = serde_json::from_str(body).map_err(|_| bare(Fault::parse()))?;
    if whole.get().starts_with('[') {
        return Err(bare(Fault::invalid_request("Batches are not taken: send one message in a body.")));
    }
    let shape = "A message must be a JSON object with jsonrpc \"2.0\", a method and, for requests, an id.";
    let wire: Wire<'_> = serde_json::from_str(whole.get()).map_err(|_| bare(Fault::invalid_request(shape)))?;
    let id = match wire.id.map(RawValue::get) {
        None => None,
        Some(text) if is_id(text) => wire.id.map(ToOwned::to_owned),
        Some(_) => return Err(bare(Fault::invalid_request("An id must be a whole number or a short string."))),
    };
    let fail = |id: &Option<Box<RawValue>>| (Fault::invalid_request(shape), id.clone());
    if wire.jsonrpc.is_none_or(|version| version.get() != "\"2.0\"") {
        return Err(fail(&id));
    }
    let Some(method) = wire.method else {
        return if wire.result.is_some() || wire.error.is_some() { Ok(Message::Answer) } else { Err(fail(&id)) };
    };
    let method = text(method).ok_or_else(|| fail(&id))?;
    let params = wire.params;
    if params.is_some_and(|params| !params.get().starts_with('{')) {
        return Err((Fault::invalid_params("The params must be an object."), id));
    }
    Ok(match id {
        Some(id) => Message::Request { id, method, params },
        None => Message::Notification { method, params },
    })
}

/// A member that is there, also where it is `null`.
pub(crate) fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Whether the JSON text can name a request: a string or a whole number, and short.
#[must_use]
pub fn is_id(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let names = text.starts_with('"') || (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()));
    names && text.len() <= MAX_TOKEN_BYTES
}

/// A JSON string that borrows where it has no escapes.
pub(crate) fn text(json: &RawValue) -> Option<Cow<'_, str>> {
    match serde_json::from_str::<&str>(json.get()) {
        Ok(text) => Some(Cow::Borrowed(text)),
        Err(_) => serde_json::from_str::<String>(json.get()).ok().map(Cow::Owned),
    }
}
