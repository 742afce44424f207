//! The platform's clock, and the only caller of it. Everything else is told the time.

use std::time::Duration;

use futures::future::{Either, select};
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

/// The future's result, unless it takes longer than `ms`.
pub async fn within<T>(ms: u64, future: impl Future<Output = T>) -> Option<T> {
    before(sleep_ms(ms), future).await
}

/// The future's result, unless the timer ends first.
pub async fn before<T>(timer: impl Future<Output = ()>, future: impl Future<Output = T>) -> Option<T> {
    match select(std::pin::pin!(future), std::pin::pin!(timer)).await {
        Either::Left((value, _)) => Some(value),
        Either::Right(_) => None,
    }
}
