//! Decodes `\uXXXX` in the arguments of a tool's call, for counting alone.
//!
//! Some servers write a model's arguments anew, with every character beyond ASCII as an escape. The model made none of
//! these escapes, so they must not count as its tokens. The one rule: the decoded text depends on the whole text alone,
//! never on where the text is split.

/// Decodes a text that arrives in pieces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decoder {
    /// The beginning of an escape that is not complete: a backslash, `u`, and up to three digits.
    begun: String,
    /// A high surrogate whose other half has not arrived.
    half: Option<u16>,
}

/// How many characters an escape has.
const ESCAPE_CHARS: usize = 6;

impl Decoder {
    /// Whether `piece` is its own decoded text: nothing is begun, and nothing begins in the piece.
    pub fn is_plain(&self, piece: &str) -> bool {
        self.begun.is_empty() && self.half.is_none() && !piece.contains('\\')
    }

    /// The text that `piece` completes.
    pub fn push(&mut self, piece: &str) -> String {
        let mut text = String::with_capacity(piece.len());
        for c in piece.chars() {
            self.next(c, &mut text);
        }
        text
    }

    fn next(&mut self, c: char, text: &mut String) {
        let goes_on = match self.begun.len() {
            0 => c == '\\',
            1 => c == 'u',
            _ => c.is_ascii_hexdigit(),
        };
        if goes_on {
            self.begun.push(c);
            if self.begun.len() == ESCAPE_CHARS {
                let unit = self.begun.get(2..).and_then(|digits| u16::from_str_radix(digits, 16).ok());
                self.begun.clear();
                self.unit(unit.unwrap_or_default(), text);
            }
            return;
        }
        // An escaped backslash, or another escape: what follows the backslash begins no escape.
        let is_pair = self.begun.len() == 1;
        self.flush(text);
        text.push_str(&std::mem::take(&mut self.begun));
        if c == '\\' && !is_pair {
            self.begun.push(c);
        } else {
            text.push(c);
        }
    }

    /// One UTF-16 code unit.
    fn unit(&mut self, unit: u16, text: &mut String) {
        if (0xd800..0xdc00).contains(&unit) {
            self.flush(text);
            self.half = Some(unit);
            return;
        }
        let units = self.half.take().into_iter().chain([unit]);
        text.extend(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
    }

    /// A half that stays alone.
    fn flush(&mut self, text: &mut String) {
        text.extend(self.half.take().map(|_| char::REPLACEMENT_CHARACTER));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(pieces: &[&str]) -> String {
        let mut decoder = Decoder::default();
        pieces.iter().map(|piece| decoder.push(piece)).collect()
    }

    #[test]
    fn escapes_become_characters_and_nothing_else_changes() {
        for (text, expected) in [
            (r#"{"city":"\u041c\u043e"}"#, r#"{"city":"Мо"}"#),
            (r"\ud83d\udc67!", "\u{1f467}!"),
            (r"\ud83dx", "\u{fffd}x"),
            (r"\udc67", "\u{fffd}"),
            (r"a\n\t\\u0041", r"a\n\t\\u0041"),
            (r"\\\u0041", r"\\A"),
            (r"\u00g1", r"\u00g1"),
            (r"\u00\u0041", r"\u00A"),
            ("данные", "данные"),
        ] {
            assert_eq!(decoded(&[text]), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_text(text in r"(\\|u|[0-9a-f]|é|\\u04[0-9a-f]{2}|\\ud83d|\\udc67){0,24}", at in 0_usize..60) {
            let chars: Vec<char> = text.chars().collect();
            let (left, right) = chars.split_at(at.min(chars.len()));
            let (left, right): (String, String) = (left.iter().collect(), right.iter().collect());
            prop_assert_eq!(decoded(&[&left, &right]), decoded(&[&text]));
        }
    }
}
