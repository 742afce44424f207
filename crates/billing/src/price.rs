//! Prices of a model, and the cost of a usage.
//!
//! A price class that is absent is not free. What the absence means is decided here once:
//! a cached token without a cached price costs the plain input price, a one-hour write without a
//! price of its own costs the five-minute one, and output without a price cannot be asked for.

use serde::{Deserialize, Serialize};

use crate::money::{MoneyError, NanoUsd, PicoUsd};
use crate::usage::Usage;

/// Unit prices of one tier. `None`: the provider lists no such price.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rates {
    /// A plain input token.
    pub input: PicoUsd,
    /// An output token; `None` for models that only embed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<PicoUsd>,
    /// An input token read from the cache; `None`: as `input`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<PicoUsd>,
    /// An input token written to the cache for five minutes; `None`: as `input`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_5m: Option<PicoUsd>,
    /// An input token written to the cache for an hour; `None`: as `cache_write_5m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<PicoUsd>,
    /// Every request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<PicoUsd>,
    /// Every web search; `None`: searches may not be asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_search: Option<PicoUsd>,
}

impl Rates {
    /// The price of a token read from the cache.
    #[must_use]
    pub fn cache_read(&self) -> PicoUsd {
        self.cache_read.unwrap_or(self.input)
    }

    /// The price of a token written to the cache for five minutes.
    #[must_use]
    pub fn cache_write_5m(&self) -> PicoUsd {
        self.cache_write_5m.unwrap_or(self.input)
    }

    /// The price of a token written to the cache for an hour.
    #[must_use]
    pub fn cache_write_1h(&self) -> PicoUsd {
        self.cache_write_1h.unwrap_or_else(|| self.cache_write_5m())
    }

    /// The dearest price that one input token can cost. `one_hour_marks` says whether the request
    /// may write to the one-hour cache; a provider may write to the short one unasked.
    #[must_use]
    pub fn dearest_input(&self, one_hour_marks: bool) -> PicoUsd {
        let plain = self.input.max(self.cache_read()).max(self.cache_write_5m());
        if one_hour_marks { plain.max(self.cache_write_1h()) } else { plain }
    }

    fn cost_pico(&self, usage: &Usage) -> u128 {
        let output = self.output.unwrap_or_default();
        [
            self.input.times(usage.input),
            self.cache_read().times(usage.cache_read),
            self.cache_write_5m().times(usage.cache_write_5m),
            self.cache_write_1h().times(usage.cache_write_1h),
            output.times(usage.output),
            self.web_search.unwrap_or_default().times(usage.web_searches),
            self.request.unwrap_or_default().times(1),
        ]
        .into_iter()
        .fold(0, u128::saturating_add)
    }
}

/// A second set of prices for requests whose input is longer than `above_input` tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LongInput {
    /// The longest input, in tokens, that still has the base price.
    pub above_input: u64,
    /// What every token of a longer request costs.
    pub rates: Rates,
}

/// The prices of a model from one instant on. Pinned in the hold at admission, so that a change of
/// price never touches a request that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// From when it counts, in milliseconds since the epoch. With the model's id it is also the
    /// version that a usage row names.
    pub effective_at_ms: i64,
    /// The base tier.
    pub rates: Rates,
    /// The tier of long inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long_input: Option<LongInput>,
}

impl Price {
    /// The tier that an input of `total_input` tokens is billed at.
    #[must_use]
    pub fn tier(&self, total_input: u64) -> &Rates {
        match &self.long_input {
            Some(long) if total_input > long.above_input => &long.rates,
            _ => &self.rates,
        }
    }

    /// The exact cost: multiplied and summed in pico-USD, rounded up once.
    ///
    /// # Errors
    /// [`MoneyError::TooLarge`] above 2^53 − 1 nano-USD.
    pub fn cost(&self, usage: &Usage) -> Result<NanoUsd, MoneyError> {
        NanoUsd::ceil_from_pico(self.tier(usage.total_input()).cost_pico(usage))
    }

    /// Whether nothing that this price covers costs anything.
    #[must_use]
    pub fn is_free(&self) -> bool {
        let free = |rates: &Rates| {
            let Rates { input, output, cache_read, cache_write_5m, cache_write_1h, request, web_search } = *rates;
            [Some(input), output, cache_read, cache_write_5m, cache_write_1h, request, web_search]
                .into_iter()
                .flatten()
                .all(|price| price == PicoUsd::ZERO)
        };
        free(&self.rates) && self.long_input.is_none_or(|long| free(&long.rates))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each class of usage at a price of its own, in nano-USD a token.
    fn rates() -> Rates {
        let nano = |n: u64| PicoUsd::new(n * 1_000).unwrap();
        Rates {
            input: nano(2),
            output: Some(nano(3)),
            cache_read: Some(nano(5)),
            cache_write_5m: Some(nano(7)),
            cache_write_1h: Some(nano(11)),
            request: Some(nano(13)),
            web_search: Some(nano(17)),
        }
    }

    fn price(rates: Rates) -> Price {
        Price { effective_at_ms: 0, rates, long_input: None }
    }

    #[test]
    fn a_stored_price_with_a_class_that_is_gone_still_loads() {
        let stored = r#"{"effective_at_ms":7,"rates":{"input":2,"output":3,"audio_input":40,"audio_output":80}}"#;
        let rates =
            Rates { input: PicoUsd::new(2).unwrap(), output: Some(PicoUsd::new(3).unwrap()), ..Rates::default() };
        let price = Price { effective_at_ms: 7, ..price(rates) };
        assert_eq!(serde_json::from_str::<Price>(stored).unwrap(), price);
    }

    #[test]
    fn trap_03_each_class_of_usage_has_its_own_price() {
        let none = Usage::default();
        for (usage, nano) in [
            (none, 13),
            (Usage { input: 100, ..none }, 213),
            (Usage { output: 100, ..none }, 313),
            (Usage { cache_read: 100, ..none }, 513),
            (Usage { cache_write_5m: 100, ..none }, 713),
            (Usage { cache_write_1h: 100, ..none }, 1_113),
            (Usage { web_searches: 100, ..none }, 1_713),
            (Usage { reasoning: 100, ..none }, 13),
        ] {
            assert_eq!(price(rates()).cost(&usage).unwrap().nano(), nano, "{usage:?}");
        }
        assert_eq!(rates().dearest_input(true).pico(), 11_000);
        assert_eq!(rates().dearest_input(false).pico(), 7_000);
    }

    #[test]
    fn trap_23_a_class_without_a_price_is_not_free() {
        let bare = Rates { cache_read: None, cache_write_5m: None, cache_write_1h: None, ..rates() };
        let usage = Usage { cache_read: 1, cache_write_5m: 10, cache_write_1h: 100, ..Usage::default() };
        assert_eq!(price(bare).cost(&usage).unwrap().nano(), 13 + 111 * 2);
        let five_minutes = Rates { cache_write_1h: None, ..rates() };
        assert_eq!(price(five_minutes).cost(&usage).unwrap().nano(), 13 + 5 + 70 + 700);
        assert!(!price(Rates { request: rates().request, ..Rates::default() }).is_free());
        assert!(price(Rates::default()).is_free());
    }
}
