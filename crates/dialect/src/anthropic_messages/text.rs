//! Reading what an upstream writes: objects, and strings that may hold half an emoji, which JSON can say
//! and Rust cannot hold.

use std::borrow::Cow;

use serde::Deserialize;

use crate::request::as_string;

/// The length of `\ud83d`.
const ESCAPE_BYTES: usize = 6;

/// Joins the pieces of a text that comes as JSON strings: half an emoji at the end of one piece waits
/// for its other half.
#[derive(Debug, Clone, Default)]
pub struct Pieces {
    /// The escape of the first half.
    held: Option<String>,
}

impl Pieces {
    /// The text of one more piece, a JSON string; empty where it is none.
    pub fn push(&mut self, json: &str) -> String {
        let Some(inner) = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
            return String::new();
        };
        let held = self.held.take();
        let (inner, half) = split_half(inner);
        self.held = half.map(str::to_owned);
        if held.is_none() && half.is_none() {
            return lossy(json).into_owned();
        }
        lossy(&format!("\"{}{inner}\"", held.unwrap_or_default())).into_owned()
    }
}

/// The JSON object as a `T`; `None` where it is none. (Alone, `serde` takes an array for a struct too.)
pub fn object<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
    if json.trim_start().starts_with('{') { serde_json::from_str(json).ok() } else { None }
}

/// The text of a JSON string, halves of emojis that stand alone replaced as every reader of UTF-8 does;
/// empty where it is no string.
#[must_use]
pub fn lossy(json: &str) -> Cow<'_, str> {
    as_string(json).unwrap_or_else(|| Cow::Owned(as_string(&without_halves(json)).unwrap_or_default().into_owned()))
}

/// Cuts the escape of the first half of an emoji from the end of the inside of a JSON string.
fn split_half(inner: &str) -> (&str, Option<&str>) {
    let Some(at) = inner.len().checked_sub(ESCAPE_BYTES) else { return (inner, None) };
    let (Some(before), Some(escape)) = (inner.get(..at), inner.get(at..)) else { return (inner, None) };
    // An escaped backslash before a `u` is no escape of a character.
    let backslashes = before.bytes().rev().take_while(|b| *b == b'\\').count();
    match unit(escape) {
        Some(0xd800..=0xdbff) if backslashes.is_multiple_of(2) => (before, Some(escape)),
        _ => (inner, None),
    }
}

/// The UTF-16 unit of the escape that `text` begins with.
fn unit(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

/// The JSON text with `\ufffd` for every half that stands alone.
fn without_halves(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let second = escape.get(ESCAPE_BYTES..).and_then(unit);
        let (replaced, length) = match (unit(escape), second) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (None, ESCAPE_BYTES.saturating_mul(2)),
            (Some(0xd800..=0xdfff), _) => (Some("\\ufffd"), ESCAPE_BYTES),
            (Some(_), _) => (None, ESCAPE_BYTES),
            (None, _) => (None, 2),
        };
        out.push_str(replaced.or(escape.get(..length)).unwrap_or(escape));
        rest = escape.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_joined_over_pieces() {
        let mut pieces = Pieces::default();
        let said: String = [r#""a\ud83d""#, r#""\ude00b""#, r#""é\\ud83d""#, "7"]
            .into_iter()
            .map(|piece| pieces.push(piece))
            .collect();
        assert_eq!(said, "a\u{1f600}bé\\ud83d");
    }

    #[test]
    fn a_half_that_stays_alone_is_replaced_and_hides_nothing() {
        assert_eq!(lossy(r#""a\ud83d b\udc00\n\ud83d\ude00""#), "a\u{fffd} b\u{fffd}\n\u{1f600}");
        let mut pieces = Pieces::default();
        assert_eq!(pieces.push(r#""x\ud83d""#) + &pieces.push(r#""y""#), "x\u{fffd}y");
        assert_eq!(lossy("[]"), "");
    }
}
