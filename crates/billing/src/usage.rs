//! What was used, in disjoint counts: no token is counted under two names.
//!
//! Whether a provider's input count includes the cached tokens is decided once, beside that
//! dialect's wire type; here it is already settled.

use serde::{Deserialize, Serialize};

/// The largest count that may cross into JavaScript, and so into SQL: 2^53 − 1.
pub const MAX_COUNT: u64 = (1 << 53) - 1;

/// Tokens and calls of one request. The four input counts and `output` are disjoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Input tokens that were neither read from nor written to a prompt cache.
    pub input: u64,
    /// Input tokens read from a prompt cache.
    pub cache_read: u64,
    /// Input tokens written to a prompt cache for five minutes, or for the provider's only duration.
    pub cache_write_5m: u64,
    /// Input tokens written to a prompt cache for one hour.
    pub cache_write_1h: u64,
    /// Output tokens, reasoning included.
    pub output: u64,
    /// Those of `output` that were reasoning. Informative: never billed beside `output`.
    pub reasoning: u64,
    /// Web searches that the provider ran.
    pub web_searches: u64,
}

impl Usage {
    /// No count above [`MAX_COUNT`]: D1 refuses a row with a larger one.
    #[must_use]
    pub fn bounded(&self) -> Self {
        Self {
            input: self.input.min(MAX_COUNT),
            cache_read: self.cache_read.min(MAX_COUNT),
            cache_write_5m: self.cache_write_5m.min(MAX_COUNT),
            cache_write_1h: self.cache_write_1h.min(MAX_COUNT),
            output: self.output.min(MAX_COUNT),
            reasoning: self.reasoning.min(MAX_COUNT),
            web_searches: self.web_searches.min(MAX_COUNT),
        }
    }

    /// All input tokens, which choose the price tier.
    #[must_use]
    pub fn total_input(&self) -> u64 {
        self.input
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write_5m)
            .saturating_add(self.cache_write_1h)
    }
}
