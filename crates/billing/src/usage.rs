//! What was used, in disjoint counts: no token is counted under two names.
//!
//! Whether a provider's input count includes the cached tokens is decided once, beside that
//! dialect's wire type; here it is already settled.

use serde::{Deserialize, Serialize};

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
    /// All input tokens, which choose the price tier.
    #[must_use]
    pub fn total_input(&self) -> u64 {
        self.input
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write_5m)
            .saturating_add(self.cache_write_1h)
    }
}
