//! Units of money. Integers only; the unit is in the type's name.
//!
//! A unit price is [`PicoUsd`] (10⁻¹² USD): listed per-token costs need more than nine decimals of a
//! dollar. A balance, a hold and a cost are [`NanoUsd`] (10⁻⁹ USD). Multiplication comes first, in
//! `u128`; the one division, in [`NanoUsd::ceil_from_pico`], rounds up and happens once a request.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// The largest amount that may cross into JavaScript, in nano-USD: 2^53 − 1, about $9.0 million.
/// Above it a JavaScript number (and so a bound SQL parameter) silently loses the last digits.
pub const MAX_NANO_USD: i64 = 9_007_199_254_740_991;

const PICO_PER_NANO: u128 = 1_000;
const NANO_DECIMALS: usize = 9;
const PICO_DECIMALS: usize = 12;

/// Why a number is not an amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Beyond 2^53 − 1 units in either direction.
    #[error("the amount is beyond 2^53 - 1 units")]
    TooLarge,
    /// Not a plain decimal number (`12`, `0.05`): no sign, exponent, separator or white space.
    #[error("not a plain decimal number")]
    NotDecimal,
    /// More decimals than the unit can hold.
    #[error("more than {0} decimals")]
    OverPrecise(usize),
}

/// A unit price: 10⁻¹² USD per token, or per counted call. At most 2^53 − 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PicoUsd(u64);

/// An amount: 10⁻⁹ USD, signed, within ±(2^53 − 1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct NanoUsd(i64);

impl PicoUsd {
    /// Free.
    pub const ZERO: Self = Self(0);

    /// A price of `pico` × 10⁻¹² USD.
    ///
    /// # Errors
    /// [`MoneyError::TooLarge`] above 2^53 − 1.
    pub fn new(pico: u64) -> Result<Self, MoneyError> {
        if pico > MAX_NANO_USD.unsigned_abs() { Err(MoneyError::TooLarge) } else { Ok(Self(pico)) }
    }

    /// USD per million tokens as listed by providers (`"2.50"`): one millionth of a dollar a million
    /// tokens is exactly one pico-USD a token.
    ///
    /// # Errors
    /// [`MoneyError::OverPrecise`] with more than six decimals, else as [`PicoUsd::new`].
    pub fn from_usd_per_million(decimal: &str) -> Result<Self, MoneyError> {
        Self::new(parse_decimal(decimal, 6)?)
    }

    /// USD per call (`"0.01"` a web search).
    ///
    /// # Errors
    /// [`MoneyError::OverPrecise`] with more than six decimals, else as [`PicoUsd::new`].
    pub fn from_usd_per_call(decimal: &str) -> Result<Self, MoneyError> {
        let micro = parse_decimal(decimal, 6)?;
        Self::new(micro.checked_mul(1_000_000).ok_or(MoneyError::TooLarge)?)
    }

    /// The number of pico-USD.
    #[must_use]
    pub fn pico(self) -> u64 {
        self.0
    }

    /// USD for a million tokens, as providers list it (`2.5`).
    #[must_use]
    pub fn usd_per_million(self) -> String {
        decimal(u128::from(self.0), PICO_DECIMALS.saturating_sub(6))
    }

    /// `count` × this price, in pico-USD.
    #[must_use]
    pub fn times(self, count: u64) -> u128 {
        u128::from(self.0).saturating_mul(u128::from(count))
    }
}

/// The exact decimal number of USD: OpenRouter's convention for `pricing` (`"0.0000025"`).
impl fmt::Display for PicoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&decimal(u128::from(self.0), PICO_DECIMALS))
    }
}

impl NanoUsd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// An amount of `nano` × 10⁻⁹ USD.
    ///
    /// # Errors
    /// [`MoneyError::TooLarge`] outside ±(2^53 − 1).
    pub fn new(nano: i64) -> Result<Self, MoneyError> {
        if nano.unsigned_abs() > MAX_NANO_USD.unsigned_abs() { Err(MoneyError::TooLarge) } else { Ok(Self(nano)) }
    }

    /// A plain decimal number of USD (`"10.00"`).
    ///
    /// # Errors
    /// [`MoneyError::OverPrecise`] with more than nine decimals, else as [`NanoUsd::new`].
    pub fn from_usd(text: &str) -> Result<Self, MoneyError> {
        let nano = parse_decimal(text, NANO_DECIMALS)?;
        Self::new(i64::try_from(nano).map_err(|_| MoneyError::TooLarge)?)
    }

    /// The one rounding of a request: pico-USD up to the next nano-USD.
    ///
    /// # Errors
    /// [`MoneyError::TooLarge`] above 2^53 − 1 nano-USD.
    pub fn ceil_from_pico(pico: u128) -> Result<Self, MoneyError> {
        let nano = pico.div_ceil(PICO_PER_NANO);
        Self::new(i64::try_from(nano).map_err(|_| MoneyError::TooLarge)?)
    }

    /// The number of nano-USD.
    #[must_use]
    pub fn nano(self) -> i64 {
        self.0
    }

    /// `self + other`.
    ///
    /// # Errors
    /// [`MoneyError::TooLarge`] outside ±(2^53 − 1).
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        Self::new(self.0.saturating_add(other.0))
    }

    /// `self − other`.
    ///
    /// # Errors
    /// [`MoneyError::TooLarge`] outside ±(2^53 − 1).
    pub fn minus(self, other: Self) -> Result<Self, MoneyError> {
        Self::new(self.0.saturating_sub(other.0))
    }

    /// The same amount with the other sign. Both ends of the range are symmetric, so it always fits.
    #[must_use]
    pub fn negated(self) -> Self {
        Self(0_i64.saturating_sub(self.0))
    }
}

/// Checked, so that an amount that could not survive JavaScript never enters from JSON or SQL.
impl<'de> Deserialize<'de> for NanoUsd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(i64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// The exact decimal number of USD (`0.0000039`).
impl fmt::Display for NanoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 {
            f.write_str("-")?;
        }
        f.write_str(&decimal(u128::from(self.0.unsigned_abs()), NANO_DECIMALS))
    }
}

/// `units` × 10^−`decimals` without trailing zeros.
fn decimal(units: u128, decimals: usize) -> String {
    let digits = format!("{units:0>width$}", width = decimals.saturating_add(1));
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(decimals));
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

/// A plain decimal number in units of 10^−`decimals`.
fn parse_decimal(text: &str, decimals: usize) -> Result<u64, MoneyError> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return Err(MoneyError::NotDecimal);
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > decimals {
        return Err(MoneyError::OverPrecise(decimals));
    }
    format!("{whole}{fraction:0<decimals$}").parse().map_err(|_| MoneyError::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_prices_are_exact() {
        for (listed, pico, usd) in [
            ("2.50", 2_500_000, "0.0000025"),
            ("0.000001", 1, "0.000000000001"),
            ("150", 150_000_000, "0.00015"),
            ("0", 0, "0"),
            ("0.0750000", 75_000, "0.000000075"),
        ] {
            let price = PicoUsd::from_usd_per_million(listed).unwrap();
            assert_eq!((price.pico(), price.to_string().as_str()), (pico, usd), "{listed}");
            assert_eq!(PicoUsd::from_usd_per_million(&price.usd_per_million()), Ok(price), "{listed}");
        }
        assert_eq!(PicoUsd::from_usd_per_call("0.01").unwrap().to_string(), "0.01");
    }

    #[test]
    fn what_is_not_a_price_is_refused() {
        for (text, error) in [
            ("-1", MoneyError::NotDecimal),
            ("+1", MoneyError::NotDecimal),
            ("1e3", MoneyError::NotDecimal),
            ("", MoneyError::NotDecimal),
            (".5", MoneyError::NotDecimal),
            ("1.", MoneyError::NotDecimal),
            ("1.2.3", MoneyError::NotDecimal),
            ("1,5", MoneyError::NotDecimal),
            ("0.1234567", MoneyError::OverPrecise(6)),
            ("99999999999", MoneyError::TooLarge),
            ("99999999999999999999999", MoneyError::TooLarge),
        ] {
            assert_eq!(PicoUsd::from_usd_per_million(text), Err(error), "{text}");
        }
    }

    #[test]
    fn amounts_stop_at_the_border_of_javascript() {
        assert_eq!(NanoUsd::new(MAX_NANO_USD + 1), Err(MoneyError::TooLarge));
        let max = NanoUsd::new(MAX_NANO_USD).unwrap();
        assert_eq!(max.plus(NanoUsd::new(1).unwrap()), Err(MoneyError::TooLarge));
        assert_eq!(max.negated().minus(NanoUsd::new(1).unwrap()), Err(MoneyError::TooLarge));
        assert_eq!(max.to_string(), "9007199.254740991");
        assert!(serde_json::from_str::<NanoUsd>("9007199254740992").is_err());
    }

    #[test]
    fn a_fraction_of_a_nano_costs_one() {
        assert_eq!(NanoUsd::ceil_from_pico(0), Ok(NanoUsd::ZERO));
        assert_eq!(NanoUsd::ceil_from_pico(1).unwrap().nano(), 1);
        assert_eq!(NanoUsd::ceil_from_pico(1_000).unwrap().nano(), 1);
        assert_eq!(NanoUsd::ceil_from_pico(1_001).unwrap().nano(), 2);
    }

    #[test]
    fn usd_round_trips() {
        for text in ["0", "10", "0.02", "5.123456789", "0.0000039"] {
            assert_eq!(NanoUsd::from_usd(text).unwrap().to_string(), text);
        }
    }
}
