//! The platform's clock, and the only caller of it. Everything else is told the time.

use std::time::Duration;

use worker::{Date, Delay};

/// Milliseconds since the epoch. In production it stands still while code runs, and moves with I/O.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn now_ms() -> i64 {
    i64::try_from(Date::now().as_millis()).unwrap_or(i64::MAX)
}

/// Waits for so many milliseconds.
pub async fn sleep_ms(ms: u64) {
    Delay::from(Duration::from_millis(ms)).await;
}
