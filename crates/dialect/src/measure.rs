//! How much input a request carries: the figures from which a hold is computed.
//!
//! A request is measured before its model is known, so the measure gives its figures for any family of vocabularies.

use crate::tokens::{Scan, Vocabulary};

/// The longest value that is taken for a setting, in bytes.
const MAX_SETTING_BYTES: usize = 32;

/// What a request sends to the model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InputMeasure {
    text: Scan,
    /// A prediction of the output: the provider bills as output what the model does not take over of it, beyond the
    /// limit of the output itself. No part of [`Self::bound`].
    prediction: Scan,
    /// UTF-8 bytes of all text: no tokenizer makes more tokens than that.
    pub text_bytes: u64,
    /// Tokens that are certain: token arrays, and what a provider puts around messages and tools.
    pub exact_tokens: u64,
    /// Images, inline or by reference.
    pub images: u64,
    /// Parts whose size nobody knows before the provider has read them: documents, files and media.
    pub unmeasured: u64,
}

impl InputMeasure {
    /// Adds text.
    pub fn text(&mut self, text: &str) {
        self.text.push(text);
        // The next text is no continuation of this one: something always stands between them in the prompt.
        self.text.end();
        self.text_bytes = self.text_bytes.saturating_add(u64::try_from(text.len()).unwrap_or(u64::MAX));
    }

    /// Adds a value that is no prompt by itself: a setting, a label, an id. A short number or word counts
    /// nothing; whatever is longer counts as text, for nobody knows what a provider makes of it.
    pub fn beside(&mut self, json: &str) {
        if json.len() > MAX_SETTING_BYTES {
            self.text(json);
        }
    }

    /// Adds a prediction of the output.
    pub fn prediction(&mut self, text: &str) {
        self.prediction.push(text);
        self.prediction.end();
    }

    /// Adds tokens that are certain.
    pub fn exact(&mut self, tokens: u64) {
        self.exact_tokens = self.exact_tokens.saturating_add(tokens);
    }

    /// Adds an image.
    pub fn image(&mut self) {
        self.images = self.images.saturating_add(1);
    }

    /// Adds a part that cannot be measured.
    pub fn unmeasured(&mut self) {
        self.unmeasured = self.unmeasured.saturating_add(1);
    }

    /// The most input tokens that this can be. Text counts its upper bound; an image counts `image_tokens`; what
    /// cannot be measured, and an image of a model without a figure for images, counts the whole context window.
    #[must_use]
    pub fn bound(&self, vocabulary: Vocabulary, image_tokens: Option<u64>, context_window: u64) -> u64 {
        let text = self.text.figures(vocabulary).upper;
        let images = image_tokens.map_or(0, |each| each.saturating_mul(self.images));
        let unknown = self.unmeasured > 0 || (image_tokens.is_none() && self.images > 0);
        let unknown = if unknown { context_window } else { 0 };
        text.saturating_add(self.exact_tokens).saturating_add(images).saturating_add(unknown)
    }

    /// What was sent, as far as it can be told: billed for the input of an answer whose provider never
    /// reported its usage.
    #[must_use]
    pub fn likely(&self, vocabulary: Vocabulary, image_tokens: Option<u64>) -> u64 {
        let images = image_tokens.unwrap_or(0).saturating_mul(self.images);
        self.text.figures(vocabulary).estimate.saturating_add(self.exact_tokens).saturating_add(images)
    }

    /// The most tokens of the predictions of the output.
    #[must_use]
    pub fn predicted(&self, vocabulary: Vocabulary) -> u64 {
        self.prediction.figures(vocabulary).upper
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMON: Vocabulary = Vocabulary::Common;

    #[test]
    fn text_is_bounded_by_its_bytes_and_unknown_parts_by_the_window() {
        let mut measure = InputMeasure::default();
        measure.text("一");
        let text = measure.bound(COMMON, Some(1_105), 128_000);
        assert!((1..=3).contains(&text), "{text}");
        measure.image();
        assert_eq!(measure.bound(COMMON, Some(1_105), 128_000), text + 1_105);
        assert_eq!(measure.bound(COMMON, None, 128_000), text + 128_000);
        measure.unmeasured();
        assert_eq!(measure.bound(COMMON, Some(1_105), 128_000), text + 129_105);
    }

    #[test]
    fn a_prediction_is_bounded_as_text_is_and_is_no_input() {
        let mut measure = InputMeasure::default();
        measure.prediction("12345");
        let bounds = [COMMON, Vocabulary::Qwen].map(|vocabulary| measure.predicted(vocabulary));
        assert_eq!((bounds, measure.bound(COMMON, None, 128_000), measure.likely(COMMON, None)), ([3, 5], 0, 0));
    }

    /// $2.25 of digits passed for $1: a vocabulary that makes a token of each digit needs a hold of all of them.
    #[test]
    fn issue_13_digits_are_held_as_the_model_counts_them() {
        let mut measure = InputMeasure::default();
        measure.text(&"8271".repeat(1_000));
        let [common, qwen, unknown] =
            [COMMON, Vocabulary::Qwen, Vocabulary::Unknown].map(|vocabulary| measure.bound(vocabulary, None, 0));
        assert!((1_334..1_500).contains(&common), "{common}");
        assert_eq!((qwen, unknown), (4_000, 4_000));
    }

    #[test]
    fn texts_are_measured_each_by_itself() {
        let mut measure = InputMeasure::default();
        for _ in 0..100 {
            measure.text("1");
        }
        assert_eq!(measure.likely(COMMON, None), 100);
    }
}
