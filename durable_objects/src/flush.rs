//! When what waits for D1 is delivered.
//!
//! The one rule: what is due follows from what is stored, so an object that was asleep finds the same
//! instant again. The oldest row waits for a time within `OUTBOX_FLUSH_SECONDS` that differs from account
//! to account and from one delivery to the next: many quiet accounts must not meet at D1's one writer. A
//! full batch waits no longer. When D1 has failed, everything waits.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::outbox::BATCH;

/// How long D1 is left alone after it failed, in milliseconds.
pub const RETRY_MS: i64 = 60_000;

/// How long rows wait for D1 where nothing else is said, in seconds: from, to.
const DEFAULT_S: (i64, i64) = (60, 600);

/// The next delivery, as far as it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flush {
    /// When what waits is due, in milliseconds since the epoch; `None`: nothing waits, or the object was
    /// asleep.
    pub due_ms: Option<i64>,
    /// Not before this, whatever is due: a delivery runs or has failed.
    pub retry_ms: Option<i64>,
}

impl Flush {
    /// When something is to be delivered that is due at `due_ms`, with so many rows.
    #[must_use]
    pub fn at_ms(&self, due_ms: i64, rows: u64, now_ms: i64) -> i64 {
        let at_ms = if rows >= BATCH { due_ms.min(now_ms) } else { due_ms };
        at_ms.max(self.retry_ms.unwrap_or(at_ms))
    }
}

/// When a row or a key is due that has waited since `since_ms`; `seconds` is the text of
/// `OUTBOX_FLUSH_SECONDS`.
#[must_use]
pub fn due_ms(account_id: &str, since_ms: i64, seconds: &str) -> i64 {
    let (from, to) = flush_seconds(seconds).unwrap_or(DEFAULT_S);
    let span_ms = to.saturating_sub(from).unsigned_abs().saturating_mul(1_000).saturating_add(1);
    let mut hasher = DefaultHasher::new();
    (account_id, since_ms).hash(&mut hasher);
    let within_ms = hasher.finish().checked_rem(span_ms).unwrap_or(0);
    since_ms.saturating_add(from.saturating_mul(1_000)).saturating_add_unsigned(within_ms)
}

/// Reads `60-600` or `60`, seconds within a day; `None` for anything else.
#[must_use]
pub fn flush_seconds(text: &str) -> Option<(i64, i64)> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    match (from.trim().parse::<i64>(), to.trim().parse::<i64>()) {
        (Ok(from), Ok(to)) if 0 <= from && from <= to && to <= 86_400 => Some((from, to)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flush_delay_is_a_range_or_a_number() {
        for (text, range) in [
            ("2", Some((2, 2))),
            ("60-600", Some((60, 600))),
            ("5 - 9", Some((5, 9))),
            ("", None),
            ("9-5", None),
            ("-1", None),
            ("86401", None),
        ] {
            assert_eq!(flush_seconds(text), range, "{text}");
        }
    }

    #[test]
    fn quiet_accounts_are_spread_over_the_whole_range() {
        let due: Vec<i64> = (0..900).map(|n| due_ms(&format!("acct_{n}"), 1_000, "60-600") - 1_000).collect();
        assert!(due.iter().all(|ms| (60_000..=600_000).contains(ms)), "{due:?}");
        for minute in 1..10 {
            let meet = due.iter().filter(|ms| **ms / 60_000 == minute).count();
            assert!((60..=140).contains(&meet), "{meet} of 900 in minute {minute} of nine");
        }
        assert_ne!(due_ms("acct_1", 1_000, "60-600") - 1_000, due_ms("acct_1", 2_000, "60-600") - 2_000);
        assert_eq!(due_ms("acct_1", 1_000, "60-600"), due_ms("acct_1", 1_000, "60-600"), "after a sleep");
        assert_eq!(due_ms("acct_1", 1_000, "2"), 3_000);
        assert_eq!(due_ms("acct_1", 1_000, "soon"), due_ms("acct_1", 1_000, "60-600"));
    }

    #[test]
    fn a_full_batch_waits_for_nothing_but_a_d1_that_failed() {
        let flush = Flush::default();
        assert_eq!(flush.at_ms(300_000, BATCH - 1, 60_000), 300_000, "an alarm for expired holds is too early");
        assert_eq!(flush.at_ms(300_000, BATCH, 60_000), 60_000);
        assert_eq!(flush.at_ms(300_000, 1, 400_000), 300_000, "overdue");
        let failed = Flush { retry_ms: Some(120_000), ..flush };
        for rows in [1, BATCH] {
            assert_eq!(failed.at_ms(50_000, rows, 60_000), 120_000);
        }
        assert_eq!(failed.at_ms(300_000, 1, 60_000), 300_000, "what is due later is not hurried");
    }
}
