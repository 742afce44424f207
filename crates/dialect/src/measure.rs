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
        measure.text("aaaa");
        assert_eq!(measure.bound(COMMON, Some(1_105), 128_000), 2);
        measure.image();
        assert_eq!(measure.bound(COMMON, Some(1_105), 128_000), 1_107);
        assert_eq!(measure.bound(COMMON, None, 128_000), 128_002);
        measure.unmeasured();
        assert_eq!(measure.bound(COMMON, Some(1_105), 128_000), 129_107);
    }

    #[test]
    fn a_prediction_is_bounded_as_text_is_and_is_no_input() {
        let mut measure = InputMeasure::default();
        measure.prediction("aaaa");
        assert_eq!(
            (measure.predicted(COMMON), measure.bound(COMMON, None, 128_000), measure.likely(COMMON, None)),
            (2, 0, 0)
        );
    }
}
