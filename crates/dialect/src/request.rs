//! Reading requests of any dialect: typed access to members, with errors that name the field.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::canonical::Owner;
use crate::envelope::{Envelope, EnvelopeError};
use crate::measure::InputMeasure;

/// What the gateway decides on in a request of any dialect.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// The model as the client names it.
    pub model: Cow<'a, str>,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether the client asked for the usage of a stream; dialects that always tell it say yes.
    pub include_usage: bool,
    /// How many answers to produce.
    pub n: u64,
    /// The largest output that the client allows, in tokens.
    pub max_output: Option<u64>,
    /// The least to which that may be lowered, in tokens, where the request itself needs some of it.
    pub least_output: Option<u64>,
    /// What it sends.
    pub input: InputMeasure,
    /// Whether a part is marked for the one-hour cache.
    pub one_hour_marks: bool,
    /// Whether it asks for reasoning that may not be shown, from models that would show it.
    pub may_hide_reasoning: bool,
}

/// How a request must be changed for an upstream that speaks its dialect.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outgoing<'a> {
    /// The upstream's own id of the model, where it differs from the client's.
    pub model: Option<&'a str>,
    /// The output limit to set instead of the client's.
    pub lowered_output: Option<u64>,
    /// The field of chat completions for it that the model knows; `None`: it knows both.
    pub limit_field: Option<&'a str>,
    /// The upstream rejects `stream_options` and reports the usage of a stream unasked.
    pub without_stream_options: bool,
    /// Whose state may go there, without our tag; what is of another owner is left out.
    pub owner: Option<&'a Owner>,
    /// The top-level fields beyond those of the dialect's own list that the catalogue lists for the upstream.
    pub passes: &'a [String],
}

/// Why a request is not one: always the caller's fault, and safe to show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RequestError {
    /// A sentence for the caller.
    pub message: String,
    /// The field that is to blame, as a path (`messages[0].content`), if one is.
    pub param: Option<String>,
}

impl RequestError {
    /// An error of one field.
    #[must_use]
    pub fn field(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self { message: message.into(), param: Some(param.into()) }
    }

    /// A field that is needed and absent.
    #[must_use]
    pub fn missing(param: &str) -> Self {
        Self::field(param, format!("the field `{param}` is required"))
    }

    /// A field of the wrong type.
    #[must_use]
    pub fn wrong_type(param: &str, wanted: &str) -> Self {
        Self::field(param, format!("the field `{param}` must be {wanted}"))
    }
}

impl From<EnvelopeError> for RequestError {
    fn from(error: EnvelopeError) -> Self {
        let param = match &error {
            EnvelopeError::Duplicate(key) => Some(key.clone()),
            EnvelopeError::Malformed { .. } => None,
        };
        Self { message: format!("the request body is invalid: {error}"), param }
    }
}

impl<'a> Envelope<'a> {
    /// A string member; `None` when absent or `null`.
    ///
    /// # Errors
    /// [`RequestError`] when it is anything else.
    pub fn string(&self, key: &str) -> Result<Option<Cow<'a, str>>, RequestError> {
        self.present(key)
            .map(|json| as_string(json).ok_or_else(|| RequestError::wrong_type(key, "a string")))
            .transpose()
    }

    /// A boolean member; `None` when absent or `null`.
    ///
    /// # Errors
    /// [`RequestError`] when it is anything else.
    pub fn boolean(&self, key: &str) -> Result<Option<bool>, RequestError> {
        let read = |json| serde_json::from_str(json).map_err(|_| RequestError::wrong_type(key, "true or false"));
        self.present(key).map(read).transpose()
    }

    /// A whole number of at least one; `None` when absent or `null`.
    ///
    /// # Errors
    /// [`RequestError`] when it is anything else.
    pub fn positive(&self, key: &str) -> Result<Option<u64>, RequestError> {
        let Some(json) = self.present(key) else { return Ok(None) };
        match serde_json::from_str::<u64>(json) {
            Ok(number) if number > 0 => Ok(Some(number)),
            _ => Err(RequestError::wrong_type(key, "a whole number of at least 1")),
        }
    }

    /// The JSON texts of an array member; `None` when absent or `null`.
    ///
    /// # Errors
    /// [`RequestError`] when it is anything else.
    pub fn array(&self, key: &str) -> Result<Option<Vec<&'a str>>, RequestError> {
        self.present(key)
            .map(|json| as_array(json).ok_or_else(|| RequestError::wrong_type(key, "an array")))
            .transpose()
    }
}

/// The JSON text as a string, borrowed where it has no escapes.
#[must_use]
pub fn as_string(json: &str) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str::<Text<'_>>(json).ok().map(|text| text.0)
}

/// The JSON texts of an array's items.
#[must_use]
pub fn as_array(json: &str) -> Option<Vec<&str>> {
    let items: Vec<&RawValue> = serde_json::from_str(json).ok()?;
    Some(items.into_iter().map(RawValue::get).collect())
}
