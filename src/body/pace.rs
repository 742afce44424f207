//! How slowly a body may be sent by a client, and a large answer be read by one. Pure: the time is an argument.
//!
//! The rule: a body has 10 s at first. Each byte that moves buys more time, 1 s for 16 kB, and 1 s for 128 kB once
//! the body is larger than 1 MB. Nothing buys more than 20 s ahead, so a body that stops near its end is cut as well.

/// How long the first byte may take, and what a body has to begin with, in milliseconds.
const GRACE_MS: u64 = 10_000;
/// The most time that a body can have ahead, in milliseconds.
const MOST_AHEAD_MS: u64 = 20_000;
/// The least bytes in a second, of bodies up to [`SMALL_BYTES`] and of larger ones. Mobile networks at the edge of
/// their range send 16 kB in a second; a large body takes memory from others while it arrives.
const SMALL_RATE: u64 = 16 << 10;
const LARGE_RATE: u64 = 128 << 10;
/// The largest small body, in bytes.
const SMALL_BYTES: u64 = 1 << 20;

/// The pace of one body.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    bytes: u64,
    /// Until when the next bytes must be there, in milliseconds since the epoch.
    until_ms: i64,
}

impl Pace {
    /// A body whose first byte is awaited at `now_ms`.
    #[must_use]
    pub fn new(now_ms: i64) -> Self {
        Self { bytes: 0, until_ms: now_ms.saturating_add_unsigned(GRACE_MS) }
    }

    /// Notes that so many bytes have moved.
    pub fn moved(&mut self, bytes: usize, now_ms: i64) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(bytes);
        let rate = if self.bytes <= SMALL_BYTES { SMALL_RATE } else { LARGE_RATE };
        let bought_ms = bytes.saturating_mul(1_000).checked_div(rate).unwrap_or(0);
        let most = now_ms.saturating_add_unsigned(MOST_AHEAD_MS);
        self.until_ms = self.until_ms.saturating_add_unsigned(bought_ms).min(most);
    }

    /// How long the next bytes may take, in milliseconds; 0: the body is too slow.
    #[must_use]
    pub fn patience_ms(&self, now_ms: i64) -> u64 {
        u64::try_from(self.until_ms.saturating_sub(now_ms)).unwrap_or(0)
    }

    /// Takes up again after a pause that was not the client's.
    pub fn resume(&mut self, paused_ms: u64) {
        self.until_ms = self.until_ms.saturating_add_unsigned(paused_ms);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How long a body lasts of which `bytes` arrive every `every_ms`, in milliseconds; `None`: longer than a day.
    fn lasts_ms(pace: &mut Pace, mut now_ms: i64, bytes: usize, every_ms: i64) -> Option<i64> {
        let began_ms = now_ms;
        while now_ms - began_ms < 86_400_000 {
            if pace.patience_ms(now_ms) < every_ms.unsigned_abs() {
                return Some(now_ms + i64::try_from(pace.patience_ms(now_ms)).unwrap() - began_ms);
            }
            now_ms += every_ms;
            pace.moved(bytes, now_ms);
        }
        None
    }

    #[test]
    fn a_byte_now_and_then_keeps_no_body_alive() {
        for every_ms in [100, 1_000, 5_000, 20_000] {
            assert!(lasts_ms(&mut Pace::new(0), 0, 1, every_ms).unwrap() <= 11_000, "{every_ms}");
        }
        // Nine tenths of a large body arrive at once, and then a byte now and then.
        let mut pace = Pace::new(0);
        pace.moved(29 << 20, 3_000);
        assert!(lasts_ms(&mut pace, 3_000, 1, 5_000).unwrap() <= 20_100);
    }

    #[test]
    fn a_client_at_the_least_rate_comes_through() {
        assert_eq!(lasts_ms(&mut Pace::new(0), 0, 4 << 10, 250).map(|ms| ms > 60_000), Some(true));
        let mut pace = Pace::new(0);
        pace.moved(2 << 20, 0);
        assert_eq!(lasts_ms(&mut pace, 0, 128 << 10, 1_000), None);
    }

    proptest! {
        /// However the bytes come, a body has never more than 20 s ahead, and no more bytes less time.
        #[test]
        fn more_bytes_never_buy_less(steps in prop::collection::vec((0..300_000_usize, 0..9_000_i64), 1..60)) {
            let (mut fast, mut slow, mut now_ms) = (Pace::new(0), Pace::new(0), 0);
            for (bytes, later_ms) in steps {
                now_ms += later_ms;
                fast.moved(bytes, now_ms);
                slow.moved(bytes / 2, now_ms);
                prop_assert!(fast.patience_ms(now_ms) <= MOST_AHEAD_MS);
                if fast.bytes <= SMALL_BYTES {
                    prop_assert!(slow.patience_ms(now_ms) <= fast.patience_ms(now_ms));
                }
            }
        }
    }
}
