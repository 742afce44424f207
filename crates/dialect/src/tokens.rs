//! How many tokens a text is, in one pass and without a tokenizer.
//!
//! Three figures are used where no provider has counted: a hold reserves the upper bound, a bill of a stream that
//! was cut uses the estimate, and a stream is stopped for passing its limit by the lower bound alone. A provider's
//! own count is always preferred. No tokenizer makes more tokens than the text has UTF-8 bytes.

use serde::{Deserialize, Serialize};

mod class;
mod common;
mod feature;
mod scan;
mod weights;

use feature::Counts;
pub(crate) use scan::Scan;

/// Which family of vocabularies a model's tokenizer belongs to, as far as counts differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vocabulary {
    /// o200k of OpenAI: up to three digits share a token.
    #[default]
    Common,
    /// Gemini and Gemma: each digit is a token.
    SingleDigit,
    /// Qwen: each digit is a token, and Greek, Hindi and other scripts are cut finely.
    Qwen,
    /// Llama 3 and later.
    Llama,
    /// DeepSeek V3 and later.
    Deepseek,
    /// Mistral's Tekken: each digit is a token.
    Mistral,
    /// Cohere's Command: each digit is a token.
    Command,
    /// cl100k of OpenAI's models before GPT-4o, which cuts all scripts but Latin finely.
    Cl100k,
    /// A vocabulary that its maker has not published: its upper bound is that of all others together.
    Unknown,
}

impl Vocabulary {
    /// The family's name in the catalogue.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Common => "common",
            Self::SingleDigit => "single_digit",
            Self::Qwen => "qwen",
            Self::Llama => "llama",
            Self::Deepseek => "deepseek",
            Self::Mistral => "mistral",
            Self::Command => "command",
            Self::Cl100k => "cl100k",
            Self::Unknown => "unknown",
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
    scan: Scan,
}

impl Counter {
    /// The counter of an empty text.
    #[must_use]
    pub fn new(vocabulary: Vocabulary) -> Self {
        Self { vocabulary, scan: Scan::default() }
    }

    /// Appends a piece of the text.
    pub fn push(&mut self, text: &str) {
        self.scan.push(text);
    }

    /// The figures of the text so far.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.scan.figures(self.vocabulary)
    }
}

/// The figures of a whole text.
#[must_use]
pub fn figures(text: &str, vocabulary: Vocabulary) -> Figures {
    let mut scan = Scan::default();
    scan.push(text);
    scan.figures(vocabulary)
}

/// An estimate of the tokens of `text` in the common vocabularies.
#[must_use]
pub fn estimate(text: &str) -> u64 {
    figures(text, Vocabulary::default()).estimate
}

impl Figures {
    fn of(counts: &Counts, bytes: u64, vocabulary: Vocabulary) -> Self {
        let limit = i64::try_from(bytes).unwrap_or(i64::MAX);
        let least = i64::from(bytes > 0);
        let estimate = sum(counts, &weights::ESTIMATE, vocabulary).clamp(least, limit.max(least));
        let upper = sum(counts, &weights::UPPER, vocabulary).clamp(estimate, limit.max(estimate));
        let lower = bytes.div_ceil(LONGEST_TOKEN);
        let estimate = estimate.unsigned_abs().max(lower);
        Self { lower, estimate, upper: upper.unsigned_abs().max(estimate) }
    }
}

/// The longest token of the vocabularies, in bytes.
const LONGEST_TOKEN: u64 = 128;

/// The weighted sum of the features in tokens, rounded up.
fn sum(counts: &Counts, weights: &[[i16; feature::FEATURES]], vocabulary: Vocabulary) -> i64 {
    let row = weights.get(vocabulary as usize);
    let hundredths = row.into_iter().flat_map(|row| row.iter().zip(counts.all()));
    let hundredths: i64 = hundredths.map(|(weight, count)| i64::from(*weight).saturating_mul(i64::from(*count))).sum();
    hundredths.saturating_add(99).div_euclid(100)
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
