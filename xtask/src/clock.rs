//! The only place of this package that knows the time.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since the epoch; 0 on a machine whose clock stands before it.
#[expect(clippy::disallowed_methods, reason = "the one clock of the native commands; everything else takes an instant")]
pub fn now_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}
