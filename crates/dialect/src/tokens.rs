//! How many tokens a text is, roughly, in one pass and without a tokenizer.
//!
//! Used where no provider has counted: for the size of a hold and for what a cut stream produced. A
//! provider's own count is always preferred. The hard bound is that no tokenizer makes more tokens
//! than the text has UTF-8 bytes.

/// Runs of one class share tokens; the weights are tenths of a token for each character, fitted to
/// what common byte-pair vocabularies make of prose, code and JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Word,
    Digit,
    Space,
    Newline,
    Punctuation,
    Cyrillic,
    Kana,
    Han,
    Hangul,
    OtherScript,
    Symbol,
}

/// An estimate of the tokens of `text`; never more than its bytes, never zero unless it is empty.
#[must_use]
pub fn estimate(text: &str) -> u64 {
    let mut tenths: u64 = 0;
    let mut run: Option<(Class, u64)> = None;
    for c in text.chars() {
        let class = classify(c);
        run = match run {
            Some((open, length)) if open == class => Some((open, length.saturating_add(1))),
            other => {
                tenths = tenths.saturating_add(other.map_or(0, cost));
                Some((class, 1))
            }
        };
    }
    tenths = tenths.saturating_add(run.map_or(0, cost));
    let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
    tenths.div_ceil(10).max(u64::from(!text.is_empty())).min(bytes)
}

fn classify(c: char) -> Class {
    match c {
        'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{24f}' => Class::Word,
        '0'..='9' => Class::Digit,
        '\n' | '\r' => Class::Newline,
        ' ' | '\t' => Class::Space,
        '!'..='~' => Class::Punctuation,
        '\u{370}'..='\u{52f}' => Class::Cyrillic,
        '\u{3040}'..='\u{30ff}' => Class::Kana,
        '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' => Class::Han,
        '\u{ac00}'..='\u{d7a3}' | '\u{1100}'..='\u{11ff}' => Class::Hangul,
        _ if c.is_alphabetic() => Class::OtherScript,
        _ => Class::Symbol,
    }
}

/// Tenths of a token of one run.
fn cost((class, length): (Class, u64)) -> u64 {
    match class {
        // A common word with the space before it is one token; a long one is cut about every five letters.
        Class::Word => length.saturating_sub(5).saturating_mul(17).div_ceil(10).saturating_add(10),
        Class::Digit => length.div_ceil(3).saturating_mul(10),
        // One space belongs to the word behind it; an indent is one token.
        Class::Space => {
            if length == 1 {
                0
            } else {
                10
            }
        }
        Class::Newline => 10,
        Class::Punctuation => length.saturating_mul(6).max(8),
        Class::Cyrillic => length.saturating_mul(3).max(10),
        Class::Kana => length.saturating_mul(7),
        Class::Han => length.saturating_mul(9),
        Class::Hangul => length.saturating_mul(7),
        Class::OtherScript => length.saturating_mul(5),
        Class::Symbol => length.saturating_mul(25),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Counts of the o200k vocabulary.
    #[test]
    fn estimates_stay_near_a_real_tokenizer() {
        for (text, tokens) in [
            ("The quick brown fox jumps over the lazy dog.", 10),
            ("Write a one-line haiku about APIs.", 9),
            ("{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}", 21),
            ("fn main() {\n    println!(\"{}\", 1 + 2);\n}\n", 17),
            ("Привет, как дела сегодня?", 7),
            ("今天天气很好，我们去公园吧。", 10),
        ] {
            let estimate = estimate(text);
            assert!((tokens * 7..=tokens * 16).contains(&(estimate * 10)), "{text:?}: {estimate}, really {tokens}");
        }
        assert_eq!(estimate(""), 0);
    }

    proptest! {
        #[test]
        fn never_more_than_the_bytes(text in "\\PC{0,80}") {
            let bytes = text.len() as u64;
            prop_assert!(estimate(&text) <= bytes);
            prop_assert_eq!(estimate(&text) == 0, bytes == 0);
        }
    }
}
