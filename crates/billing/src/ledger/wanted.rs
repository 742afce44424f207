//! What the owner wants of automatic top-ups, with which method, and what ends them.

use serde::{Deserialize, Serialize};

use crate::money::NanoUsd;

/// What the owner wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AutoSettings {
    /// Whether there are any.
    pub enabled: bool,
    /// Money is asked for when the balance is below this.
    pub threshold: NanoUsd,
    /// How much.
    pub amount: NanoUsd,
    /// The most in a calendar month.
    pub monthly_cap: NanoUsd,
}

/// A method that its owner agreed to have charged while away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedMethod {
    /// Whose, at the payment provider.
    pub customer: String,
    /// Which, there.
    pub method: String,
    /// As `visa`.
    pub brand: String,
    /// The last four digits.
    pub last4: String,
    /// When it was entered, in milliseconds since the epoch.
    pub created_at_ms: i64,
}

/// Why nothing is attempted any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// What happened.
    pub reason: StopReason,
    /// Milliseconds since the epoch.
    pub at_ms: i64,
}

/// What ends automatic top-ups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The method was declined.
    Declined,
    /// The bank wants its owner to confirm the payment.
    AuthenticationRequired,
    /// The method cannot be charged any more.
    MethodUnusable,
    /// A payment was disputed.
    Disputed,
    /// The owner cancelled an attempt.
    Cancelled,
}

impl StopReason {
    /// Whether the saved method is the cause, so that another one may mend it.
    pub(super) fn is_of_method(self) -> bool {
        match self {
            Self::Declined | Self::AuthenticationRequired | Self::MethodUnusable => true,
            Self::Disputed | Self::Cancelled => false,
        }
    }
}

impl AutoSettings {
    /// The balance below which money is asked for.
    pub(super) fn short_below(&self) -> NanoUsd {
        self.threshold.min(self.amount)
    }
}
