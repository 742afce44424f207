//! One automatic payment, from its beginning to its end.
//!
//! The one rule: a charge that the payment provider may have taken is looked up, and never asked for again without
//! that. An attempt is [`Stage::Waiting`] until the Worker is told to charge it. From then on
//! ([`Stage::Charging`]) the provider may have taken the money, so a change of the owner's mind only withdraws the
//! attempt ([`Stage::Withdrawn`]): the Worker looks it up, and the account credits it if it was charged.

use serde::{Deserialize, Serialize};

use super::auto::{ATTEMPT_LIFE_MS, ATTEMPT_STALE_MS};
use super::wanted::{AutoSettings, SavedMethod};
use crate::money::NanoUsd;

/// One payment to attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Attempt {
    /// Names the payment everywhere.
    pub id: String,
    /// How much is charged.
    pub amount: NanoUsd,
    /// The owner of the method, at the payment provider.
    pub customer: String,
    /// The method that is charged, at the payment provider.
    pub method: String,
    /// Milliseconds since the epoch.
    pub began_at_ms: i64,
    /// The settings under which it began; `None`: a version began it that did not keep them.
    pub terms: Option<AutoSettings>,
    /// When a Worker was last told to look after it, in milliseconds since the epoch.
    pub told_at_ms: Option<i64>,
    /// How far it has come.
    pub stage: Stage,
}

/// How far an attempt has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Nobody was told to charge it, so nothing can have been charged.
    Waiting,
    /// The Worker was told to charge it: the provider may have taken the money.
    Charging {
        /// When the Worker was last told, in milliseconds since the epoch.
        handed_at_ms: i64,
    },
    /// Withdrawn after the Worker was told to charge it. It is not asked for any more, only looked up.
    Withdrawn {
        /// When the Worker was last told, in milliseconds since the epoch.
        handed_at_ms: i64,
    },
}

/// What the Worker does about an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Asks the payment provider for the money, once, under the attempt's id.
    Charge(Box<Attempt>),
    /// Asks the payment provider whether it has the payment.
    LookUp(Box<Attempt>),
    /// Nothing now.
    Leave,
}

impl Step {
    /// What an account's answer asks for: `charge` is the attempt that it allows to be charged.
    #[must_use]
    pub fn of(charge: Option<&Attempt>, in_flight: Option<&Attempt>, now_ms: i64) -> Self {
        match (charge, in_flight) {
            (Some(attempt), _) => Self::Charge(Box::new(attempt.clone())),
            (None, Some(attempt)) if attempt.is_answer_lost(now_ms) => Self::LookUp(Box::new(attempt.clone())),
            _ => Self::Leave,
        }
    }
}

impl Attempt {
    /// When somebody is to look after it, in milliseconds since the epoch.
    #[must_use]
    pub fn due_at_ms(&self) -> i64 {
        let last_ms = self.handed_at_ms().max(self.told_at_ms);
        last_ms.map_or(self.began_at_ms, |at_ms| at_ms.saturating_add(ATTEMPT_STALE_MS))
    }

    /// When the Worker was last told to charge it, in milliseconds since the epoch; `None`: it never was.
    #[must_use]
    pub fn handed_at_ms(&self) -> Option<i64> {
        match self.stage {
            Stage::Waiting => None,
            Stage::Charging { handed_at_ms } | Stage::Withdrawn { handed_at_ms } => Some(handed_at_ms),
        }
    }

    /// Whether the Worker that was told to charge it must have given up: what the provider does not have now, it
    /// never gets.
    #[must_use]
    pub fn is_answer_lost(&self, now_ms: i64) -> bool {
        self.handed_at_ms().is_some_and(|at_ms| at_ms.saturating_add(ATTEMPT_STALE_MS) <= now_ms)
    }

    /// Whether it is asked for again, under the same id, where the provider does not have it.
    pub(super) fn may_be_asked_again(&self, now_ms: i64) -> bool {
        matches!(self.stage, Stage::Charging { .. }) && now_ms.saturating_sub(self.began_at_ms) <= ATTEMPT_LIFE_MS
    }

    /// When it was last counted in a month, in milliseconds since the epoch.
    pub(super) fn counted_at_ms(&self) -> i64 {
        self.handed_at_ms().map_or(self.began_at_ms, |at_ms| at_ms.max(self.began_at_ms))
    }

    /// Whether it is what these settings and this method would begin now.
    pub(super) fn is_of(&self, settings: &AutoSettings, method: Option<&SavedMethod>) -> bool {
        let same_terms = self.terms.map_or(self.amount == settings.amount, |terms| terms == *settings);
        let same_method = |method: &SavedMethod| method.method == self.method && method.customer == self.customer;
        settings.enabled && same_terms && method.is_some_and(same_method)
    }

    /// The attempt once it may not be charged any more; `None`: nothing is left of it.
    pub(super) fn withdrawn(self) -> Option<Self> {
        let handed_at_ms = self.handed_at_ms()?;
        Some(Self { stage: Stage::Withdrawn { handed_at_ms }, ..self })
    }
}

/// An attempt as it is stored and told. The first six fields were there before it had stages.
#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    id: String,
    amount: NanoUsd,
    customer: String,
    method: String,
    began_at_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    handed_at_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    withdrawn: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    terms: Option<AutoSettings>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    told_at_ms: Option<i64>,
}

impl From<Stored> for Attempt {
    fn from(stored: Stored) -> Self {
        let Stored { id, amount, customer, method, began_at_ms, handed_at_ms, withdrawn, terms, told_at_ms } = stored;
        let stage = match (handed_at_ms, withdrawn) {
            (None, _) => Stage::Waiting,
            (Some(handed_at_ms), false) => Stage::Charging { handed_at_ms },
            (Some(handed_at_ms), true) => Stage::Withdrawn { handed_at_ms },
        };
        Self { id, amount, customer, method, began_at_ms, terms, told_at_ms, stage }
    }
}

impl From<Attempt> for Stored {
    fn from(attempt: Attempt) -> Self {
        let handed_at_ms = attempt.handed_at_ms();
        let withdrawn = matches!(attempt.stage, Stage::Withdrawn { .. });
        let Attempt { id, amount, customer, method, began_at_ms, terms, told_at_ms, stage: _ } = attempt;
        Self { id, amount, customer, method, began_at_ms, handed_at_ms, withdrawn, terms, told_at_ms }
    }
}
