//! What becomes of a key: its name, and its limits one by one.

use std::collections::BTreeSet;

use billing::ledger::{Limit, LimitsChange};
use dialect::typed::Whole;
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::view::{BudgetView, LimitsView};
use crate::error::ApiError;

/// What a key is to become; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangedKey {
    /// For people: 1 to 100 characters.
    pub name: Option<String>,
    /// Each limit by itself.
    pub limits: Option<ChangedLimits>,
}

/// Single limits to change: a value sets one, `null` lifts it, and those that are absent stay.
#[derive(Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangedLimits {
    /// Requests that are admitted within any 60 seconds.
    #[serde(default)]
    #[schema(value_type = Option<u32>, minimum = 1)]
    pub requests_per_minute: Change<Whole<1, { u32::MAX }>>,
    /// Requests that run at once.
    #[serde(default)]
    #[schema(value_type = Option<u32>, minimum = 1)]
    pub max_running: Change<Whole<1, { u32::MAX }>>,
    /// Money: amount and period together.
    #[serde(default)]
    #[schema(value_type = Option<BudgetView>)]
    pub budget: Change<BudgetView>,
    /// When the key ends by itself, a time to come.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Change<String>,
    /// Ids of models, the only ones that may be asked for; a `*` at an end stands for whatever follows.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    pub models: Change<Vec<String>>,
    /// Networks (CIDR) and addresses, the only ones that the key may be used from.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    pub addresses: Change<Vec<String>>,
}

/// What becomes of a limit.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Change<T> {
    /// The limit is not named.
    #[default]
    Stays,
    /// The limit is `null`.
    Ends,
    /// The limit has this value from now on.
    Becomes(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Ends, Self::Becomes))
    }
}

impl<T> Change<T> {
    /// The value, or the limit among those that are lifted.
    fn noted(self, limit: Limit, lift: &mut BTreeSet<Limit>) -> Option<T> {
        match self {
            Self::Stays => None,
            Self::Ends => {
                lift.insert(limit);
                None
            }
            Self::Becomes(value) => Some(value),
        }
    }
}

impl ChangedLimits {
    /// As the account takes it.
    ///
    /// # Errors
    /// `invalid_request` that names the limit.
    pub fn change(self, now_ms: i64) -> Result<LimitsChange, ApiError> {
        let mut lift = BTreeSet::new();
        let set = LimitsView {
            requests_per_minute: self.requests_per_minute.noted(Limit::RequestsPerMinute, &mut lift).map(|most| most.0),
            max_running: self.max_running.noted(Limit::MaxRunning, &mut lift).map(|most| most.0),
            budget: self.budget.noted(Limit::Budget, &mut lift),
            expires_at: self.expires_at.noted(Limit::ExpiresAt, &mut lift),
            models: self.models.noted(Limit::Models, &mut lift),
            addresses: self.addresses.noted(Limit::Addresses, &mut lift),
        };
        Ok(LimitsChange { set: set.limits(now_ms)?, lift })
    }
}

#[cfg(test)]
mod tests {
    use billing::ledger::KeyLimits;
    use dialect::typed::typed_change;

    use super::*;

    const NOW_MS: i64 = 1_795_000_000_000;

    #[test]
    fn issue_13_a_change_tells_null_from_absent() {
        let change = |text: &str| typed_change::<ChangedKey>(text).unwrap().limits.map(|it| it.change(NOW_MS).unwrap());
        assert_eq!((change("{}"), change(r#"{"name":null,"limits":null}"#)), (None, None));
        assert_eq!(change(r#"{"limits":{}}"#), Some(LimitsChange::default()));
        let empty = change(r#"{"limits":{"expires_at":"","requests_per_minute":""}}"#);
        assert_eq!(empty, Some(LimitsChange::default()), "an empty string is absent");
        let LimitsChange { set, lift } =
            change(r#"{"limits":{"max_running":2.0,"budget":null,"models":null}}"#).unwrap();
        assert_eq!(
            (set, lift),
            (KeyLimits { max_running: Some(2), ..KeyLimits::default() }, [Limit::Budget, Limit::Models].into(),)
        );
        let all = r#"{"limits":{"requests_per_minute":null,"max_running":null,"budget":null,"expires_at":null,"models":null,"addresses":null}}"#;
        let lifted = change(all).unwrap();
        let before = KeyLimits {
            requests_per_minute: Some(1),
            max_running: Some(1),
            expires_at_ms: Some(NOW_MS + 1),
            ..KeyLimits::default()
        };
        assert_eq!((lifted.lift.len(), lifted.applied(&before)), (6, KeyLimits::default()));
    }
}
