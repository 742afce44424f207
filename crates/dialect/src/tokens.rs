//! How many tokens a text is, in one pass and without a tokenizer.
//!
//! Three figures are used where no provider has counted: a hold reserves the upper bound, a bill of a stream that
//! was cut uses the estimate, and a stream is stopped for passing its limit by the lower bound alone. A provider's
//! own count is always preferred. No tokenizer makes more tokens than the text has UTF-8 bytes, but for the few
//! characters that normal forms take apart.

use serde::{Deserialize, Serialize};

mod class;
mod common;
mod feature;
mod ground;
mod scan;
mod weights;

use feature::{Counts, Feature};
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

/// What a text counts: `lower` <= `estimate` <= `upper` <= its UTF-8 bytes (see [`PARTED_BYTES`] for an exception).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// No tokenizer of the family makes fewer tokens of this very text. A text that a server wrote anew (escaped,
    /// re-indented) is not what the model made.
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

impl Figures {
    fn of(counts: &Counts, bytes: u64, vocabulary: Vocabulary) -> Self {
        let lower = vocabulary.least(counts).max(u64::from(bytes > 0)).min(bytes);
        let estimate = sum(counts, &weights::ESTIMATE, vocabulary).clamp(lower, bytes);
        // A byte-level tokenizer without a fitting token makes one token of each byte, after the text is normalised.
        let parted = u64::from(counts.of(Feature::PartedChars)).saturating_mul(PARTED_BYTES);
        let upper = sum(counts, &weights::UPPER, vocabulary).clamp(estimate, bytes.saturating_add(parted));
        Self { lower, estimate, upper }
    }
}

impl Vocabulary {
    /// The tokens that a text has at least.
    fn least(self, counts: &Counts) -> u64 {
        let digits = match self {
            Self::SingleDigit | Self::Qwen | Self::Mistral | Self::Command => Feature::Digits,
            Self::Common | Self::Llama | Self::Deepseek | Self::Cl100k => Feature::DigitGroups,
            Self::Unknown => Feature::DigitRuns,
        };
        let counted = u64::from(counts.of(Feature::Starts)) + u64::from(counts.of(Feature::Stretches));
        // A token may hold a word and the first digit behind it.
        counted + u64::from(counts.of(digits).saturating_sub(counts.of(Feature::WordDigits)))
    }
}

/// The most bytes that the normal form NFC adds to one character.
const PARTED_BYTES: u64 = 8;

/// The weighted sum of the features in tokens, rounded up.
fn sum(counts: &Counts, weights: &[[i16; feature::FEATURES]], vocabulary: Vocabulary) -> u64 {
    let row = weights.get(vocabulary as usize);
    let hundredths = row.into_iter().flat_map(|row| row.iter().zip(counts.all()));
    let hundredths: i64 = hundredths.map(|(weight, count)| i64::from(*weight).saturating_mul(i64::from(*count))).sum();
    hundredths.max(0).unsigned_abs().div_ceil(100)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVERY: [Vocabulary; 9] = [
        Vocabulary::Common,
        Vocabulary::SingleDigit,
        Vocabulary::Qwen,
        Vocabulary::Llama,
        Vocabulary::Deepseek,
        Vocabulary::Mistral,
        Vocabulary::Command,
        Vocabulary::Cl100k,
        Vocabulary::Unknown,
    ];

    #[test]
    fn the_weights_stand_in_the_order_of_the_families() {
        for (at, vocabulary) in EVERY.into_iter().enumerate() {
            assert_eq!(vocabulary as usize, at);
        }
        assert_eq!((weights::ESTIMATE.len(), weights::UPPER.len()), (EVERY.len(), EVERY.len()));
    }

    #[test]
    fn each_digit_is_a_token_where_the_family_says_so() {
        let text = "12345678901234567890";
        for vocabulary in [Vocabulary::SingleDigit, Vocabulary::Qwen, Vocabulary::Mistral, Vocabulary::Command] {
            assert_eq!(figures(text, vocabulary), Figures { lower: 20, estimate: 20, upper: 20 });
        }
        let common = figures(text, Vocabulary::Common);
        assert_eq!((common.lower, common.estimate), (7, 7), "{common:?}");
        let unknown = figures(text, Vocabulary::Unknown);
        assert_eq!((unknown.lower, unknown.upper), (1, 20), "{unknown:?}");
    }

    #[test]
    fn an_empty_text_has_no_tokens() {
        for vocabulary in EVERY {
            assert_eq!(figures("", vocabulary), Figures::default());
        }
    }

    /// Texts of every kind of character that the scanner knows, with the borders between them.
    fn text() -> impl Strategy<Value = String> {
        let pieces = "[a-zA-Z]{0,12}|[0-9]{0,7}|[ \t\r\n]{0,5}|[!-/:-@]{0,4}|[éüßŒƀ]{0,3}|[α-ω]{0,5}|[а-я]{0,5}|[א-ת]{0,4}\
            |[ا-ي،؟]{0,5}|[अ-ह।ा]{0,4}|[ก-๎]{0,4}|[ぁ-ヿ]{0,4}|[一-龥。「」]{0,4}|[가-힣]{0,4}|[😀-🙏❤️☀]{0,3}|\\PC{0,3}";
        proptest::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn the_figures_do_not_depend_on_how_the_text_is_split(text in text(), cuts in proptest::collection::vec(0..200_usize, 0..9)) {
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| text.is_char_boundary(*cut)).collect();
            cuts.push(text.len());
            cuts.sort_unstable();
            for vocabulary in EVERY {
                let mut counter = Counter::new(vocabulary);
                let mut from = 0;
                for cut in &cuts {
                    counter.push(&text[from..*cut]);
                    // Reading the figures changes nothing.
                    _ = counter.figures();
                    from = *cut;
                }
                prop_assert_eq!(counter.figures(), figures(&text, vocabulary));
            }
        }

        #[test]
        fn the_figures_are_in_order_and_no_more_than_the_bytes(text in text()) {
            for vocabulary in EVERY {
                let Figures { lower, estimate, upper } = figures(&text, vocabulary);
                prop_assert!(lower <= estimate && estimate <= upper, "{lower} {estimate} {upper}");
                prop_assert_eq!(lower == 0, text.is_empty());
                prop_assert!(upper <= most_tokens(text.chars()));
            }
        }

        #[test]
        fn the_lower_bound_of_a_text_is_no_more_than_those_of_its_parts(text in text(), cut in 0..200_usize) {
            let cut = (0..=cut.min(text.len())).rev().find(|cut| text.is_char_boundary(*cut)).unwrap();
            for vocabulary in EVERY {
                let lower = |text| figures(text, vocabulary).lower;
                prop_assert!(lower(&text) <= lower(&text[..cut]) + lower(&text[cut..]), "{:?} {cut}", text);
            }
        }
    }

    /// The bytes of a text, and those that normal forms add.
    fn most_tokens(text: impl Iterator<Item = char>) -> u64 {
        let parted = |c| class::class_of(c) == class::Class::Parted;
        text.map(|c| c.len_utf8() as u64 + if parted(c) { PARTED_BYTES } else { 0 }).sum()
    }
}
