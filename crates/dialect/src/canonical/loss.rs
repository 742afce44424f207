//! What a dialect could not hold. Nothing is lost in silence: a loss that changes what the request means
//! is refused, any other is counted and named to the caller.

use std::collections::BTreeMap;
use std::fmt;

use crate::request::RequestError;

/// The most names that are told; what is beyond is counted under `other`.
const MAX_NAMES: usize = 16;

/// How often each thing was left out, by its name in the dialect of the caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Losses(BTreeMap<String, u64>);

impl Losses {
    /// Counts one more.
    pub fn add(&mut self, name: &str) {
        // A client's own field names end up in a header: only what is a plain word does so by name.
        let is_word =
            |name: &str| name.len() <= 48 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
        let known = self.0.contains_key(name) || self.0.len() < MAX_NAMES;
        let name = if !name.is_empty() && is_word(name) && known { name } else { "other" };
        let count = self.0.entry(name.to_owned()).or_default();
        *count = count.saturating_add(1);
    }

    /// Adds those of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (name, count) in &other.0 {
            let sum = self.0.entry(name.clone()).or_default();
            *sum = sum.saturating_add(*count);
        }
    }

    /// Whether nothing was lost.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Losses {
    /// `cache_control=2, thinking=1`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, count)) in self.0.iter().enumerate() {
            write!(f, "{}{name}={count}", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// The error of a loss that would change what the request means.
#[must_use]
pub fn refused(param: &str) -> RequestError {
    RequestError::field(param, format!("`{param}` is not possible with this model through this endpoint"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_counted_by_name_and_no_odd_name_is_repeated() {
        let mut losses = Losses::default();
        for name in ["thinking", "cache_control", "thinking", "x\r\ny: z", ""] {
            losses.add(name);
        }
        assert_eq!(losses.to_string(), "cache_control=1, other=2, thinking=2");
    }
}
