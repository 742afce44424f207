//! Whole numbers with bounds, which the error names as the schema has them.

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

/// A whole number from `LEAST` to `MOST`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole<const LEAST: u32, const MOST: u32>(pub u32);

impl<'de, const LEAST: u32, const MOST: u32> Deserialize<'de> for Whole<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reads<const LEAST: u32, const MOST: u32>;

        impl<const LEAST: u32, const MOST: u32> Visitor<'_> for Reads<LEAST, MOST> {
            type Value = Whole<LEAST, MOST>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "a whole number from {LEAST} to {MOST}")
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
                let whole = u32::try_from(value).ok().filter(|whole| (LEAST..=MOST).contains(whole));
                whole.map(Whole).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(value), &self))
            }
        }

        deserializer.deserialize_u64(Reads)
    }
}

/// Reads a limit that is a [`Whole`] number of at least 1, where it is given.
///
/// # Errors
/// Those of the deserializer.
pub fn positive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    Ok(Option::<Whole<1, { u32::MAX }>>::deserialize(deserializer)?.map(|whole| whole.0))
}
