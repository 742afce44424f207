//! JSON strings as text, where a stream may cut a character in two.
//!
//! A provider may split an emoji over two chunks, so that one ends with the escape of a high surrogate
//! and the next begins with that of the low one. Neither is a string that Rust can hold, and `serde_json`
//! refuses both; joined they are the character.

use std::borrow::Cow;
use std::str::Chars;

use crate::request::as_string;

/// Joins JSON strings that follow one another into one text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Joiner {
    /// A high surrogate whose other half has not come.
    half: Option<u16>,
}

/// What stands for half a character whose other half never came.
const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

impl Joiner {
    /// The text of the next JSON string, which may be empty; `None` when `json` is no string.
    /// `json` is a valid JSON text.
    pub fn push(&mut self, json: &str) -> Option<String> {
        let inner = json.strip_prefix('"')?.strip_suffix('"')?;
        if self.half.is_none() && !inner.contains('\\') {
            return Some(inner.to_owned());
        }
        let mut text = String::with_capacity(inner.len());
        let mut chars = inner.chars();
        while let Some(c) = chars.next() {
            match if c == '\\' { escape(&mut chars) } else { Unit::Char(c) } {
                Unit::Char(c) => {
                    self.flush(&mut text);
                    text.push(c);
                }
                Unit::Code(code) => self.code(code, &mut text),
            }
        }
        Some(text)
    }

    /// No more comes: what stands for a half that is left.
    pub fn finish(&mut self) -> Option<char> {
        self.half.take().map(|_| REPLACEMENT)
    }

    fn flush(&mut self, text: &mut String) {
        text.extend(self.finish());
    }

    /// One UTF-16 code unit.
    fn code(&mut self, code: u16, text: &mut String) {
        let units = self.half.take().into_iter().chain([code]);
        for unit in char::decode_utf16(units) {
            match unit {
                Ok(c) => text.push(c),
                Err(lone) => {
                    // A high surrogate at the very end waits for its other half.
                    let waits = lone.unpaired_surrogate() == code && (0xd800..0xdc00).contains(&code);
                    if waits && self.half.is_none() {
                        self.half = Some(code);
                    } else {
                        text.push(REPLACEMENT);
                    }
                }
            }
        }
    }
}

/// The text of one JSON string, borrowed where it has no escapes, with a replacement for half a character;
/// `None` when `json` is no string.
#[must_use]
pub fn borrowed(json: &str) -> Option<Cow<'_, str>> {
    as_string(json).or_else(|| {
        let mut joiner = Joiner::default();
        let mut text = joiner.push(json)?;
        text.extend(joiner.finish());
        Some(Cow::Owned(text))
    })
}

/// As [`borrowed`], owned.
#[must_use]
pub fn text(json: &str) -> Option<String> {
    borrowed(json).map(Cow::into_owned)
}

/// What a character or an escape of a JSON string stands for.
enum Unit {
    Char(char),
    Code(u16),
}

/// Reads what follows a backslash.
fn escape(chars: &mut Chars<'_>) -> Unit {
    let c = match chars.next() {
        Some('b') => '\u{8}',
        Some('f') => '\u{c}',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('u') => {
            let digits = chars.by_ref().take(4).filter_map(|c| c.to_digit(16));
            let code = digits.fold(0_u32, |code, digit| code.wrapping_mul(16).wrapping_add(digit));
            return Unit::Code(u16::try_from(code).unwrap_or_default());
        }
        Some(other) => other,
        None => REPLACEMENT,
    };
    Unit::Char(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn joined(pieces: &[&str]) -> String {
        let mut joiner = Joiner::default();
        let mut text: String = pieces.iter().map(|piece| joiner.push(piece).unwrap()).collect();
        text.extend(joiner.finish());
        text
    }

    #[test]
    fn halves_of_a_character_are_joined_and_a_lone_one_is_replaced() {
        for (pieces, expected) in [
            (&[r#""\ud83d\udc67""#][..], "\u{1f467}"),
            (&[r#""a\ud83d""#, r#""\udc67b""#], "a\u{1f467}b"),
            (&[r#""a\ud83d""#, r#""""#, r#""\udc67b""#], "a\u{1f467}b"),
            (&[r#""\ud83d""#, r#""b""#], "\u{fffd}b"),
            (&[r#""\ud83d\ud83d""#, r#""\udc67""#], "\u{fffd}\u{1f467}"),
            (&[r#""\udc67""#], "\u{fffd}"),
            (&[r#""\ud83d""#], "\u{fffd}"),
            (&[r#""\ud83d\u0041""#], "\u{fffd}A"),
            (&[r#""\"\\\/\b\f\n\r\t\u00e9""#], "\"\\/\u{8}\u{c}\n\r\t\u{e9}"),
        ] {
            assert_eq!(joined(pieces), expected, "{pieces:?}");
        }
        assert_eq!((text("null"), text("[1]"), text(r#""x""#)), (None, None, Some("x".into())));
    }

    proptest! {
        #[test]
        fn what_serde_reads_is_read_alike(given in ".*") {
            let json = serde_json::to_string(&given).unwrap();
            prop_assert_eq!(text(&json), Some(given.clone()));
            let escaped: String = given.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            prop_assert_eq!(text(&format!("\"{escaped}\"")), Some(given));
        }

        #[test]
        fn any_split_between_code_units_gives_the_same_text(given in ".*", at in 0_usize..20) {
            let units: Vec<String> = given.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            let (left, right) = units.split_at(at.min(units.len()));
            let pieces = [format!("\"{}\"", left.concat()), format!("\"{}\"", right.concat())];
            prop_assert_eq!(joined(&[&pieces[0], &pieces[1]]), given);
        }
    }
}
