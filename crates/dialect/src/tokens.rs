//! How many tokens a text is, in one pass and without a tokenizer.
//!
//! Three figures are used where no provider has counted: a hold reserves the upper bound, a bill of a stream that
//! was cut uses the estimate, and a stream is stopped for passing its limit by the lower bound alone. A provider's
//! own count is always preferred. No tokenizer makes more tokens than the text has UTF-8 bytes.

use serde::{Deserialize, Serialize};

/// Which family of vocabularies a model's tokenizer belongs to, as far as counts differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vocabulary {
    /// Up to three digits share a token, and most scripts have tokens of whole words.
    #[default]
    Common,
    /// Each digit is a token; most scripts have tokens of whole words.
    SingleDigit,
    /// Up to three digits share a token; scripts other than Latin, Cyrillic and Han are cut finely.
    Narrow,
    /// Each digit is a token, and scripts other than Latin, Cyrillic and Han are cut finely.
    NarrowSingleDigit,
}

impl Vocabulary {
    /// The family's name in the catalogue.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Common => "common",
            Self::SingleDigit => "single_digit",
            Self::Narrow => "narrow",
            Self::NarrowSingleDigit => "narrow_single_digit",
        }
    }
}

/// What a text counts: `lower` <= `estimate` <= `upper` <= its UTF-8 bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// No tokenizer of the family makes fewer tokens.
    pub lower: u64,
    /// The likely number of tokens.
    pub estimate: u64,
    /// No tokenizer of the family makes more tokens.
    pub upper: u64,
}

/// The figures of a text that arrives in pieces. They do not depend on where the text is split.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counter {
    vocabulary: Vocabulary,
    tally: Tally,
}

impl Counter {
    /// The counter of an empty text.
    #[must_use]
    pub fn new(vocabulary: Vocabulary) -> Self {
        Self { vocabulary, tally: Tally::default() }
    }

    /// Appends a piece of the text.
    pub fn push(&mut self, text: &str) {
        self.tally.push(text);
    }

    /// The figures of the text so far.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.tally.figures(self.vocabulary)
    }
}

/// The figures of a whole text.
#[must_use]
pub fn figures(text: &str, vocabulary: Vocabulary) -> Figures {
    let mut tally = Tally::default();
    tally.push(text);
    tally.figures(vocabulary)
}

/// An estimate of the tokens of `text` in the common vocabularies.
#[must_use]
pub fn estimate(text: &str) -> u64 {
    figures(text, Vocabulary::default()).estimate
}

/// What has been seen of a text, from which the figures of every family follow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    tenths: u64,
    digits: u64,
    digit_tenths: u64,
    bytes: u64,
    run: Option<Run>,
}

impl Tally {
    pub(crate) fn push(&mut self, text: &str) {
        self.bytes = self.bytes.saturating_add(u64::try_from(text.len()).unwrap_or(u64::MAX));
        for c in text.chars() {
            let class = classify(c);
            let bytes = u64::try_from(c.len_utf8()).unwrap_or(4);
            match &mut self.run {
                Some(open) if open.class == class => {
                    open.chars = open.chars.saturating_add(1);
                    open.bytes = open.bytes.saturating_add(bytes);
                }
                _ => {
                    self.close(Some(class));
                    self.run = Some(Run { class, chars: 1, bytes });
                }
            }
        }
    }

    /// Ends the run that is open, before a character of the class `next` or before another text.
    pub(crate) fn close(&mut self, next: Option<Class>) {
        let Some(run) = self.run.take() else { return };
        if run.class == Class::Digit {
            self.digits = self.digits.saturating_add(run.chars);
            self.digit_tenths = self.digit_tenths.saturating_add(cost(run, next));
        } else {
            self.tenths = self.tenths.saturating_add(cost(run, next));
        }
    }

    pub(crate) fn figures(&self, vocabulary: Vocabulary) -> Figures {
        let mut whole = *self;
        whole.close(None);
        let digits = match vocabulary {
            Vocabulary::Common | Vocabulary::Narrow => whole.digit_tenths,
            Vocabulary::SingleDigit | Vocabulary::NarrowSingleDigit => whole.digits.saturating_mul(10),
        };
        let bytes = whole.bytes;
        let estimate = whole.tenths.saturating_add(digits).div_ceil(10).max(u64::from(bytes > 0)).min(bytes);
        // Letters at random look like words and are cut finer: prose has more than four bytes a token.
        let upper = estimate.saturating_add(estimate.div_ceil(4)).max(bytes.div_ceil(3)).min(bytes);
        Figures { lower: bytes.div_ceil(128).min(estimate), estimate, upper }
    }
}

/// Runs of one class share tokens; costs are tenths of a token, fitted to what common byte-pair
/// vocabularies make of prose, code and JSON. What they seldom hold, they cut into bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Word,
    Digit,
    Space,
    Tab,
    Newline,
    Punctuation,
    Alphabet,
    Kana,
    Han,
    /// Hangul syllables, and the quotes and dashes of print: about a token each.
    Whole,
    Other,
}

/// One run of characters of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    class: Class,
    chars: u64,
    bytes: u64,
}

fn classify(c: char) -> Class {
    match c {
        'a'..='z' | 'A'..='Z' => Class::Word,
        '0'..='9' => Class::Digit,
        '\n' | '\r' => Class::Newline,
        ' ' => Class::Space,
        '\t' => Class::Tab,
        '!'..='~' => Class::Punctuation,
        // The everyday letters of Latin-1, Greek, Cyrillic, Hebrew, Arabic, Devanagari and Thai.
        '\u{c0}'..='\u{ff}'
        | '\u{386}'..='\u{3ce}'
        | '\u{401}'..='\u{45f}'
        | '\u{5d0}'..='\u{5ea}'
        | '\u{620}'..='\u{652}'
        | '\u{900}'..='\u{94d}'
        | '\u{e01}'..='\u{e4e}' => Class::Alphabet,
        // With the punctuation that is written between Han.
        '\u{3000}'..='\u{30ff}' | '\u{ff00}'..='\u{ff5e}' => Class::Kana,
        '\u{4e00}'..='\u{9fff}' => Class::Han,
        '\u{ac00}'..='\u{d7a3}' | '\u{2010}'..='\u{203a}' => Class::Whole,
        _ => Class::Other,
    }
}

/// Tenths of a token of one run; `next` is the class behind it.
fn cost(run: Run, next: Option<Class>) -> u64 {
    let Run { class, chars, bytes } = run;
    match class {
        // A common word with the space before it is one token; a longer one is cut about every five
        // letters, and what is longer than words are is no word.
        Class::Word => {
            let cut = chars.min(LONGEST_WORD).saturating_sub(5).saturating_mul(17).div_ceil(10);
            let beyond = chars.saturating_sub(LONGEST_WORD).saturating_mul(6);
            cut.saturating_add(beyond).saturating_add(10)
        }
        Class::Digit => chars.div_ceil(3).saturating_mul(10),
        // One space belongs to the word behind it; an indent is a token or two.
        Class::Space if chars == 1 && matches!(next, Some(Class::Word | Class::Alphabet)) => 0,
        Class::Space | Class::Tab => chars.saturating_sub(1).saturating_add(8),
        Class::Newline => chars.saturating_sub(1).saturating_add(10),
        Class::Punctuation => chars.saturating_mul(6).max(8),
        Class::Alphabet => chars.saturating_mul(4).max(8),
        Class::Kana => chars.saturating_mul(8),
        Class::Han => chars.saturating_mul(11),
        Class::Whole => chars.saturating_mul(10),
        Class::Other => bytes.saturating_mul(10),
    }
}

/// The longest run of letters that is taken for a word; longer ones are names, hashes and base64.
const LONGEST_WORD: u64 = 12;

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

    /// Texts that a tokenizer cuts finer than prose, with the tokens that o200k makes of them.
    #[test]
    fn what_is_no_prose_is_not_cheap() {
        for (text, tokens) in [
            (" \t".repeat(2_000), 1_999),
            ("\n".repeat(4_000), 250),
            ("ƀƁƂƃ".repeat(100), 400),
            ("\u{12000}".repeat(100), 300),
            ("Ꭰ".repeat(100), 200),
            ("qzxvkjwpmf".repeat(100), 450),
        ] {
            let estimate = estimate(&text);
            assert!(estimate >= tokens, "{:?}…: {estimate}, really {tokens}", &text[..12]);
        }
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
