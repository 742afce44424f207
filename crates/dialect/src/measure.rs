//! How much input a request carries: the figures from which a hold is computed.

use crate::tokens;

/// The longest value that is taken for a setting, in bytes.
const MAX_SETTING_BYTES: usize = 32;

/// What a request sends to the model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InputMeasure {
    /// Estimated tokens of all text.
    pub text_tokens: u64,
    /// Its UTF-8 bytes: no tokenizer makes more tokens than that.
    pub text_bytes: u64,
    /// Tokens that are certain: token arrays, and what a provider puts around messages and tools.
    pub exact_tokens: u64,
    /// Images, inline or by reference.
    pub images: u64,
    /// Parts whose size nobody knows before the provider has read them: documents, files and media.
    pub unmeasured: u64,
    /// The most tokens of a prediction of the output: what the model does not take over of it is billed as
    /// output, beyond the limit of the output itself. No part of [`Self::bound`].
    pub predicted_tokens: u64,
}

impl InputMeasure {
    /// Adds text.
    pub fn text(&mut self, text: &str) {
        self.text_tokens = self.text_tokens.saturating_add(tokens::estimate(text));
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
        let mut prediction = Self::default();
        prediction.text(text);
        self.predicted_tokens = self.predicted_tokens.saturating_add(prediction.bound(None, 0));
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

    /// The most input tokens that this can be. Text counts a quarter more than estimated, a third of its
    /// bytes at least, and never more than its bytes; an image counts `image_tokens`; what cannot be measured, and an image of
    /// a model without a figure for images, counts the whole context window.
    #[must_use]
    pub fn bound(&self, image_tokens: Option<u64>, context_window: u64) -> u64 {
        let estimated = self.text_tokens.saturating_add(self.text_tokens.div_ceil(4));
        // Letters at random look like words and are cut finer: prose has more than four bytes a token.
        let text = estimated.max(self.text_bytes.div_ceil(3)).min(self.text_bytes);
        let images = image_tokens.map_or(0, |each| each.saturating_mul(self.images));
        let unknown = self.unmeasured > 0 || (image_tokens.is_none() && self.images > 0);
        let unknown = if unknown { context_window } else { 0 };
        text.saturating_add(self.exact_tokens).saturating_add(images).saturating_add(unknown)
    }

    /// What was sent, as far as it can be told: billed for the input of an answer whose provider never
    /// reported its usage.
    #[must_use]
    pub fn likely(&self, image_tokens: Option<u64>) -> u64 {
        let images = image_tokens.unwrap_or(0).saturating_mul(self.images);
        self.text_tokens.saturating_add(self.exact_tokens).saturating_add(images)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_bounded_by_its_bytes_and_unknown_parts_by_the_window() {
        let mut measure = InputMeasure::default();
        measure.text("aaaa");
        assert_eq!(measure.bound(Some(1_105), 128_000), 2);
        measure.image();
        assert_eq!(measure.bound(Some(1_105), 128_000), 1_107);
        assert_eq!(measure.bound(None, 128_000), 128_002);
        measure.unmeasured();
        assert_eq!(measure.bound(Some(1_105), 128_000), 129_107);
    }

    #[test]
    fn a_prediction_is_bounded_as_text_is_and_is_no_input() {
        let mut measure = InputMeasure::default();
        measure.prediction("aaaa");
        assert_eq!((measure.predicted_tokens, measure.bound(None, 128_000), measure.likely(None)), (2, 0, 0));
    }
}
