//! How large a hold is: an upper bound of what a request can cost.
//!
//! Input bound × the dearest input-class price that the request can trigger, plus the output bound ×
//! the output price. The output part is a wish: the account grants as much of it as it can afford, but
//! never less than `least`, and the caller lowers the request's own limit to what was granted.

use serde::{Deserialize, Serialize};

use crate::money::{MoneyError, NanoUsd, PicoUsd};
use crate::price::Price;
use crate::usage::MAX_COUNT;

/// The least output that a lowered limit may leave, in tokens: an answer shorter than this is worth
/// less to a caller than a clear refusal.
pub const LEAST_OUTPUT_TOKENS: u64 = 256;

/// Output tokens that may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputBound {
    /// The most that the request may produce for each choice, in tokens.
    pub wanted: u64,
    /// The least for each choice that is worth dispatching, in tokens; never more than `wanted`.
    pub least: u64,
    /// How many choices are produced (`n`).
    pub choices: u64,
}

/// What must be reserved before a request may be dispatched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldRequest {
    /// The part that does not depend on the output: input bound, per-request price.
    pub fixed: NanoUsd,
    /// What one more output token in every choice costs, in pico-USD.
    pub per_output: PicoUsd,
    /// The output; `None` when the model produces none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputBound>,
}

/// What an account can give of a [`HoldRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granted {
    /// The amount to reserve.
    pub amount: NanoUsd,
    /// The output tokens for each choice that the amount covers.
    pub output: Option<u64>,
}

impl HoldRequest {
    /// The bound for an input of at most `input_tokens`.
    ///
    /// # Errors
    /// [`MoneyError::TooLarge`] where the bound is beyond 2^53 − 1 nano-USD.
    pub fn new(
        price: &Price,
        input_tokens: u64,
        one_hour_marks: bool,
        output: Option<OutputBound>,
    ) -> Result<Self, MoneyError> {
        // The tier is known only when the provider has counted: reserve the dearer of the two.
        let tiers = [price.tier(0), price.tier(input_tokens)];
        let most = |of: fn(&crate::price::Rates) -> PicoUsd| tiers.into_iter().map(of).max().unwrap_or_default();
        let input = if one_hour_marks { most(|r| r.dearest_input(true)) } else { most(|r| r.dearest_input(false)) };
        let request = most(|r| r.request.unwrap_or_default());
        let fixed = NanoUsd::ceil_from_pico(input.times(input_tokens).saturating_add(request.times(1)))?;
        let choices = output.map_or(1, |o| o.choices.max(1));
        let per_output = most(|r| r.output.unwrap_or_default()).times(choices);
        let per_output = PicoUsd::new(u64::try_from(per_output).map_err(|_| MoneyError::TooLarge)?)?;
        Ok(Self { fixed, per_output, output })
    }

    /// The same with room for `tokens` in every choice that are billed as output beyond its limit, whatever
    /// is granted of that.
    ///
    /// # Errors
    /// [`MoneyError::TooLarge`] beyond 2^53 − 1 nano-USD.
    pub fn beyond_output(self, tokens: u64) -> Result<Self, MoneyError> {
        Ok(Self { fixed: self.amount(tokens)?, ..self })
    }

    /// The amount for `output` tokens in every choice.
    ///
    /// # Errors
    /// [`MoneyError::TooLarge`] beyond 2^53 − 1 nano-USD.
    pub fn amount(&self, output: u64) -> Result<NanoUsd, MoneyError> {
        self.fixed.plus(NanoUsd::ceil_from_pico(self.per_output.times(output))?)
    }

    /// The least amount with which the request is worth dispatching.
    ///
    /// # Errors
    /// [`MoneyError::TooLarge`] beyond 2^53 − 1 nano-USD.
    pub fn least(&self) -> Result<NanoUsd, MoneyError> {
        self.amount(self.output.map_or(0, |o| o.least.min(o.wanted)))
    }

    /// As much of the request as `available` covers, or `None` when that is less than [`Self::least`].
    #[must_use]
    pub fn grant(&self, available: NanoUsd) -> Option<Granted> {
        let least = self.least().ok()?;
        if available < least {
            return None;
        }
        match self.output {
            Some(bound) => self.up_to(bound.wanted, available),
            None => Some(Granted { amount: self.fixed, output: None }),
        }
    }

    /// As much of `wanted` output tokens in every choice as `available` covers; `None` when it does not
    /// even cover the fixed part.
    #[must_use]
    pub fn up_to(&self, wanted: u64, available: NanoUsd) -> Option<Granted> {
        self.output?;
        // A free model's price bounds nothing.
        let wanted = wanted.min(MAX_COUNT);
        if available < self.fixed {
            return None;
        }
        let output = match self.amount(wanted) {
            Ok(all) if all <= available => wanted,
            _ => self.affordable_output(available).min(wanted),
        };
        Some(Granted { amount: self.amount(output).ok()?, output: Some(output) })
    }

    /// How many output tokens in every choice fit into `available`, in whole nano-USD.
    fn affordable_output(&self, available: NanoUsd) -> u64 {
        let rest = available.nano().saturating_sub(self.fixed.nano());
        let rest_pico = u128::try_from(rest).unwrap_or(0).saturating_mul(1_000);
        let tokens = rest_pico.checked_div(u128::from(self.per_output.pico())).unwrap_or(u128::MAX);
        u64::try_from(tokens).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::price::Rates;

    fn price(input: u64, output: u64) -> Price {
        Price {
            effective_at_ms: 0,
            rates: Rates {
                input: PicoUsd::new(input).unwrap(),
                output: Some(PicoUsd::new(output).unwrap()),
                ..Rates::default()
            },
            long_input: None,
        }
    }

    fn bound(wanted: u64) -> Option<OutputBound> {
        Some(OutputBound { wanted, least: LEAST_OUTPUT_TOKENS.min(wanted), choices: 1 })
    }

    #[test]
    fn gpt_4o_with_its_whole_output() {
        let hold = HoldRequest::new(&price(2_500_000, 10_000_000), 1_000, false, bound(16_384)).unwrap();
        assert_eq!(hold.grant(NanoUsd::from_usd("5").unwrap()).unwrap().amount.to_string(), "0.16634");
    }

    #[test]
    fn trap_16_a_small_balance_lowers_the_output_instead_of_refusing() {
        let hold = HoldRequest::new(&price(2_500_000, 10_000_000), 1_000, false, bound(16_384)).unwrap();
        let granted = hold.grant(NanoUsd::from_usd("0.02").unwrap()).unwrap();
        assert_eq!((granted.output, granted.amount.to_string()), (Some(1_750), "0.02".to_owned()));
        assert_eq!(hold.grant(NanoUsd::from_usd("0.005").unwrap()), None, "under 256 tokens is a refusal");
    }

    #[test]
    fn the_dearer_tier_is_reserved() {
        let mut price = price(1, 10);
        let dear = Rates { input: PicoUsd::new(2_000).unwrap(), ..price.rates };
        price.long_input = Some(crate::price::LongInput { above_input: 10, rates: dear });
        assert_eq!(HoldRequest::new(&price, 11, false, None).unwrap().fixed.nano(), 22);
        assert_eq!(HoldRequest::new(&price, 10, false, None).unwrap().fixed.nano(), 1);
    }

    #[test]
    fn n_multiplies_the_output() {
        let output = Some(OutputBound { wanted: 1_000, least: 256, choices: 3 });
        let hold = HoldRequest::new(&price(0, 1_000), 0, false, output).unwrap();
        assert_eq!(hold.grant(NanoUsd::from_usd("1").unwrap()).unwrap().amount.nano(), 3_000);
    }

    #[test]
    fn what_is_billed_beyond_the_limit_is_no_part_of_the_grant() {
        let output = Some(OutputBound { wanted: 1_000, least: 256, choices: 2 });
        let hold = HoldRequest::new(&price(5, 1_000), 1_000, false, output).unwrap().beyond_output(500).unwrap();
        assert_eq!((hold.fixed.nano(), hold.least().unwrap().nano()), (5 + 1_000, 5 + 1_000 + 512));
        let granted = hold.grant(NanoUsd::new(5 + 1_000 + 600).unwrap()).unwrap();
        assert_eq!(granted.output, Some(300));
    }

    proptest! {
        #[test]
        fn a_grant_is_affordable_and_maximal(
            input in 0u64..1 << 40, output in 0u64..1 << 40, tokens in 0u64..2_000_000,
            wanted in 1u64..200_000, choices in 1u64..8, available in 0i64..1 << 50,
        ) {
            let bound = Some(OutputBound { wanted, least: LEAST_OUTPUT_TOKENS.min(wanted), choices });
            let Ok(hold) = HoldRequest::new(&price(input, output), tokens, true, bound) else { return Ok(()) };
            let available = NanoUsd::new(available).unwrap();
            if let Some(granted) = hold.grant(available) {
                prop_assert!(granted.amount <= available);
                let given = granted.output.unwrap();
                prop_assert!(given <= wanted && given >= LEAST_OUTPUT_TOKENS.min(wanted));
                if given < wanted {
                    prop_assert!(hold.amount(given + 1).map_or(true, |more| more > available));
                }
            } else {
                prop_assert!(hold.least().map_or(true, |least| least > available));
            }
        }
    }
}
