//! Counts of tokens as providers write them in a usage object.

use serde_json::value::RawValue;

/// No request has more tokens than this: a larger count is a provider's error.
pub(crate) const MAX_TOKENS: u64 = 1 << 40;

/// The whole number; some servers write `7.0`. A value that is none is as if it were not there.
pub(crate) fn count(json: Option<&RawValue>) -> Option<u64> {
    let text = json?.get();
    let whole = text.split_once('.').filter(|(_, zeros)| zeros.bytes().all(|b| b == b'0')).map_or(text, |(n, _)| n);
    whole.parse::<u64>().ok().map(|count| count.min(MAX_TOKENS))
}
