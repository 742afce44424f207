//! Errors of a stream of responses, with our own texts. The envelope of a whole answer is that of chat
//! completions: [`crate::openai_chat::error`].

use super::item::object;
use crate::envelope::quoted;
use crate::openai_chat::error::ERROR_TYPE;

/// What is said of an upstream that failed in the middle of its answer.
pub const MESSAGE: &str = "The upstream provider ended the stream before the answer was complete.";
/// Its code.
pub const CODE: &str = "upstream_unavailable";

/// The members of the flat `error` event, without its type and number.
#[must_use]
pub fn event() -> Vec<(&'static str, String)> {
    vec![("code", quoted(CODE)), ("message", quoted(MESSAGE)), ("param", "null".to_owned())]
}

/// A stream that failed before it had begun.
#[must_use]
pub fn failed_stream() -> Vec<u8> {
    let mut bytes = Vec::new();
    super::stream::event(&mut bytes, &mut 0, "error", &event());
    bytes
}

/// The `error` of a response that failed.
#[must_use]
pub fn of_response() -> String {
    object(&[("code", quoted(CODE)), ("message", quoted(MESSAGE)), ("type", quoted(ERROR_TYPE))])
}
