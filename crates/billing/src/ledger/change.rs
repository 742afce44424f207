//! A change of a key's limits, limit by limit.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::key::KeyLimits;

/// Limits to set and limits to lift; all others stay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitsChange {
    /// Each limit that is named here takes the place of the key's own.
    #[serde(default)]
    pub set: KeyLimits,
    /// These end.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub lift: BTreeSet<Limit>,
}

/// A limit by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// [`KeyLimits::requests_per_minute`]
    RequestsPerMinute,
    /// [`KeyLimits::max_running`]
    MaxRunning,
    /// [`KeyLimits::budget`]
    Budget,
    /// [`KeyLimits::expires_at_ms`]
    ExpiresAt,
    /// [`KeyLimits::models`]
    Models,
    /// [`KeyLimits::addresses`]
    Addresses,
}

impl LimitsChange {
    /// Whether it changes nothing, whatever the limits are.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What limits become by it.
    #[must_use]
    pub fn applied(&self, before: &KeyLimits) -> KeyLimits {
        let Self { set, lift } = self;
        KeyLimits {
            requests_per_minute: one(
                lift,
                Limit::RequestsPerMinute,
                &set.requests_per_minute,
                &before.requests_per_minute,
            ),
            max_running: one(lift, Limit::MaxRunning, &set.max_running, &before.max_running),
            budget: one(lift, Limit::Budget, &set.budget, &before.budget),
            expires_at_ms: one(lift, Limit::ExpiresAt, &set.expires_at_ms, &before.expires_at_ms),
            models: one(lift, Limit::Models, &set.models, &before.models),
            addresses: one(lift, Limit::Addresses, &set.addresses, &before.addresses),
        }
    }
}

fn one<T: Clone>(lift: &BTreeSet<Limit>, limit: Limit, set: &Option<T>, before: &Option<T>) -> Option<T> {
    set.clone().or_else(|| before.clone().filter(|_| !lift.contains(&limit)))
}
