//! What keys have done: what they have spent, by period, and when they asked of late.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::key::Period;
use super::{MINUTE_MS, calendar};
use crate::money::NanoUsd;

/// What a key and its descendants have spent, by the period in which each request was admitted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spend {
    daily: Window,
    weekly: Window,
    monthly: Window,
    total: NanoUsd,
    /// When the key itself last had a request admitted that has ended since, in milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "is_default")]
    pub last_used_ms: i64,
}

/// The last period in which anything was charged and its sum, and the one before it: requests that
/// began there still run, and a clock that is set back lies there again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Window {
    start_ms: i64,
    amount: NanoUsd,
    #[serde(skip_serializing_if = "is_default")]
    before_ms: i64,
    #[serde(skip_serializing_if = "is_default")]
    before: NanoUsd,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Spend {
    /// Adds a charge of a request that was admitted at `admitted_at_ms`.
    pub fn add(&mut self, amount: NanoUsd, admitted_at_ms: i64) {
        for (window, period) in
            [(&mut self.daily, Period::Daily), (&mut self.weekly, Period::Weekly), (&mut self.monthly, Period::Monthly)]
        {
            let start_ms = calendar::start_of(period, admitted_at_ms);
            let Window { start_ms: last_ms, amount: last, .. } = *window;
            if start_ms > last_ms {
                *window = Window { start_ms, amount, before_ms: last_ms, before: last };
            } else if start_ms == last_ms {
                window.amount = last.plus(amount).unwrap_or(last);
            } else if start_ms > window.before_ms {
                (window.before_ms, window.before) = (start_ms, amount);
            } else if start_ms == window.before_ms {
                window.before = window.before.plus(amount).unwrap_or(window.before);
            }
        }
        self.total = self.total.plus(amount).unwrap_or(self.total);
    }

    /// What was spent in the period that `at_ms` lies in, one of the last two in which anything was.
    #[must_use]
    pub fn within(&self, period: Period, at_ms: i64) -> NanoUsd {
        let window = match period {
            Period::Daily => self.daily,
            Period::Weekly => self.weekly,
            Period::Monthly => self.monthly,
            Period::Total => return self.total,
        };
        match calendar::start_of(period, at_ms) {
            start_ms if start_ms == window.start_ms => window.amount,
            start_ms if start_ms == window.before_ms => window.before,
            _ => NanoUsd::ZERO,
        }
    }
}

/// When requests of the last minute were admitted, the oldest first. A window that slides: no minute,
/// wherever it begins, holds more than the limit. Open holds and the journal's last minute restore it exactly.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rate(VecDeque<i64>);

impl Rate {
    /// Whether one more request is admitted at `now_ms`; else how long to wait, in milliseconds.
    ///
    /// # Errors
    /// The time to wait.
    pub fn check(&self, per_minute: u32, now_ms: i64) -> Result<(), u64> {
        let begin_ms = now_ms.saturating_sub(MINUTE_MS);
        let mut recent = self.0.iter().rev().take_while(|at_ms| **at_ms > begin_ms);
        let most = usize::try_from(per_minute).unwrap_or(usize::MAX);
        // The request whose leaving the window makes room.
        match most.checked_sub(1).map(|before| recent.nth(before)) {
            Some(None) => Ok(()),
            Some(Some(at_ms)) => Err(at_ms.saturating_sub(begin_ms).unsigned_abs()),
            None => Err(MINUTE_MS.unsigned_abs()),
        }
    }

    /// Counts one admitted request.
    pub fn count(&mut self, now_ms: i64) {
        let begin_ms = now_ms.saturating_sub(MINUTE_MS);
        while self.0.front().is_some_and(|at_ms| *at_ms <= begin_ms) {
            self.0.pop_front();
        }
        self.0.push_back(now_ms);
    }

    /// When requests were admitted behind `after_ms`, in order, as far as they are still known.
    #[must_use]
    pub fn admitted_since(&self, after_ms: i64) -> Vec<i64> {
        let mut times: Vec<i64> = self.0.iter().copied().filter(|at_ms| *at_ms > after_ms).collect();
        times.sort_unstable();
        times
    }
}
