//! The only module of xtask that reads the clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// The time in Unix milliseconds; 0 if the machine's clock is set to a time before 1970.
#[expect(clippy::disallowed_methods, reason = "the one clock of the native commands; everything else takes an instant")]
pub fn now_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}
