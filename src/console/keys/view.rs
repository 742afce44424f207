//! Keys as the API shows and takes them.

use billing::ledger::{AllowError, Budget, KeyLimits, KeyView, Models, Networks, Period, Permission};
use billing::money::NanoUsd;
use chrono::DateTime;
use dialect::typed::{Whole, positive};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::console::page::invalid;
use crate::console::rfc3339;
use crate::error::ApiError;

/// The longest grace of a rotation, in seconds: a week.
const MAX_GRACE_S: u32 = 604_800;

/// A key to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// For people: 1 to 100 characters.
    pub name: String,
    /// As much as the caller when absent.
    pub permissions: Option<Vec<Permission>>,
    /// None when absent.
    #[serde(default)]
    pub limits: LimitsView,
}

/// How a key is to be replaced.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// How much longer the old secret counts, in seconds: up to a week, 0 when absent.
    #[schema(value_type = Option<u32>, maximum = 604_800)]
    pub grace_seconds: Option<Whole<0, MAX_GRACE_S>>,
}

/// How much a key may do; what is absent is as much as the account may.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsView {
    /// Requests that are admitted within any 60 seconds.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "positive")]
    #[schema(minimum = 1)]
    pub requests_per_minute: Option<u32>,
    /// Requests that run at once.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "positive")]
    #[schema(minimum = 1)]
    pub max_running: Option<u32>,
    /// Money.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetView>,
    /// When the key ends by itself, a time to come.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
    /// Ids of models, the only ones that may be asked for; a `*` at an end stands for whatever follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// Networks (CIDR) and addresses, the only ones that the key may be used from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<String>>,
}

/// Money that a key may spend in a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetView {
    /// Decimal USD.
    pub usd: String,
    /// Periods begin at 00:00 UTC: of the day, of Monday, of the first of the month.
    pub period: Period,
}

/// A key that was made; `key` is shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct MadeView {
    /// Its public id.
    pub id: String,
    /// The key itself.
    pub key: String,
    /// Its first characters, by which it is recognised later.
    pub start: String,
    /// For people.
    pub name: String,
    /// What it may do.
    pub permissions: Vec<Permission>,
    /// How much of it.
    pub limits: LimitsView,
}

/// A key that takes another one's place; `key` is shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct RotatedView {
    /// The new key.
    #[serde(flatten)]
    pub made: MadeView,
    /// The id of the old one.
    pub replaces: String,
    /// When the old one ends.
    #[schema(format = DateTime)]
    pub old_key_ends_at: String,
}

/// A key in the list.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListedView {
    /// Its public id, by which the list is ordered.
    pub id: String,
    /// Its first characters; empty for one that was made before they were kept.
    pub start: String,
    /// For people.
    pub name: String,
    /// What it may do.
    pub permissions: Vec<Permission>,
    /// How much of it.
    pub limits: LimitsView,
    /// The key that made it, or that replaces it.
    #[schema(required)]
    pub parent_id: Option<String>,
    /// The key that replaces it, once it was rotated.
    #[schema(required)]
    pub replaced_by: Option<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it was ended, if it was.
    #[schema(format = DateTime, required)]
    pub revoked_at: Option<String>,
    /// When it last sent a request that was admitted.
    #[schema(format = DateTime, required)]
    pub last_used_at: Option<String>,
    /// In the present period of its budget, else since ever; decimal USD.
    pub spent_usd: String,
    /// Requests of its own and of keys that descend from it that run now.
    pub running: u64,
}

/// All keys.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListView {
    /// By id.
    pub data: Vec<ListedView>,
}

/// What a revocation ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct RevokedView {
    /// The key and those that it made, as far as they had not ended before.
    pub revoked: Vec<String>,
}

impl LimitsView {
    /// As the account keeps them.
    ///
    /// # Errors
    /// `invalid_request` that names the limit. An expiry must lie behind `now_ms`: a key that has ended cannot be
    /// brought back.
    pub fn limits(&self, now_ms: i64) -> Result<KeyLimits, ApiError> {
        let budget = self.budget.as_ref().map(|budget| {
            let amount = NanoUsd::from_usd(&budget.usd)
                .map_err(|_| invalid("limits.budget.usd", "The budget must be a decimal number of USD."))?;
            Ok::<_, ApiError>(Budget { amount, period: budget.period })
        });
        let expires_at_ms = self.expires_at.as_ref().map(|text| {
            let at = DateTime::parse_from_rfc3339(text)
                .map_err(|_| invalid("limits.expires_at", "The expiry must be a date and time of RFC 3339."))?;
            let at_ms = Some(at.timestamp_millis()).filter(|at_ms| *at_ms > now_ms);
            at_ms.ok_or_else(|| {
                invalid("limits.expires_at", "The expiry must lie in the future: to end a key, revoke it.")
            })
        });
        Ok(KeyLimits {
            requests_per_minute: self.requests_per_minute,
            max_running: self.max_running,
            budget: budget.transpose()?,
            expires_at_ms: expires_at_ms.transpose()?,
            models: allowed("limits.models", self.models.as_deref(), Models::new)?,
            addresses: allowed("limits.addresses", self.addresses.as_deref(), Networks::new)?,
        })
    }
}

/// An allow-list, with what is wrong of it said of `param`.
fn allowed<T>(
    param: &str,
    entries: Option<&[String]>,
    read: fn(&[String]) -> Result<T, AllowError>,
) -> Result<Option<T>, ApiError> {
    let wrong = |error: AllowError| invalid(param, &format!("`{param}` cannot be taken: {error}."));
    entries.map(|entries| read(entries).map_err(wrong)).transpose()
}

impl From<&KeyLimits> for LimitsView {
    fn from(limits: &KeyLimits) -> Self {
        Self {
            requests_per_minute: limits.requests_per_minute,
            max_running: limits.max_running,
            budget: limits.budget.map(|budget| BudgetView { usd: budget.amount.to_string(), period: budget.period }),
            expires_at: limits.expires_at_ms.map(rfc3339),
            models: limits.models.as_ref().map(|models| models.entries().to_vec()),
            addresses: limits.addresses.as_ref().map(Networks::entries),
        }
    }
}

impl ListedView {
    /// The key at `now_ms`.
    #[must_use]
    pub fn new(view: &KeyView, now_ms: i64) -> Self {
        let key = &view.key;
        let period = key.limits.budget.map_or(Period::Total, |budget| budget.period);
        Self {
            id: key.key_id.clone(),
            start: key.start.clone(),
            name: key.name.clone(),
            permissions: key.permissions.clone(),
            limits: LimitsView::from(&key.limits),
            parent_id: key.parent.clone(),
            replaced_by: key.replaced_by.clone(),
            created_at: rfc3339(key.created_at_ms),
            revoked_at: key.revoked_at_ms.map(rfc3339),
            last_used_at: view.last_used_ms.map(rfc3339),
            spent_usd: view.spend.within(period, now_ms).to_string(),
            running: view.running,
        }
    }
}

#[cfg(test)]
mod tests {
    use dialect::typed::{typed, typed_change};

    use super::*;
    use crate::console::keys::change::ChangedKey;

    const NOW_MS: i64 = 1_795_000_000_000;

    #[test]
    fn limits_read_back_as_they_were_given() {
        let given = r#"{"requests_per_minute":60,"max_running":2,"budget":{"usd":"5.5","period":"monthly"},"expires_at":"2027-01-01T00:00:00.000Z","models":["gpt-4o","claude-*"],"addresses":["203.0.113.0/24","2001:db8::1"]}"#;
        let view: LimitsView = typed(given).unwrap();
        let limits = view.limits(NOW_MS).unwrap();
        assert_eq!(serde_json::to_string(&LimitsView::from(&limits)).unwrap(), given);
    }

    /// What is wrong with limits, in a key to make and in a change of one alike.
    fn wrong(limits: &str) -> ApiError {
        let body = format!(r#"{{"name":"x","limits":{limits}}}"#);
        let made = typed::<NewKey>(&body).map_err(ApiError::from).and_then(|new| new.limits.limits(NOW_MS));
        let changed = typed_change::<ChangedKey>(&body).map_err(ApiError::from);
        let changed = changed.and_then(|changed| changed.limits.unwrap().change(NOW_MS));
        let error = made.unwrap_err();
        assert_eq!(error, changed.unwrap_err(), "{limits}");
        error
    }

    #[test]
    fn wrong_limits_name_the_field() {
        for (limits, param) in [
            (r#"{"requests_per_minute":0}"#, "limits.requests_per_minute"),
            (r#"{"max_running":0.0}"#, "limits.max_running"),
            (r#"{"budget":{"usd":"-1","period":"daily"}}"#, "limits.budget.usd"),
            (r#"{"budget":{"usd":"1"}}"#, "limits.budget.period"),
            (r#"{"budget":{"usd":"","period":"daily"}}"#, "limits.budget.usd"),
            (r#"{"expires_at":"tomorrow"}"#, "limits.expires_at"),
            (r#"{"models":[]}"#, "limits.models"),
            (r#"{"models":["a*b"]}"#, "limits.models"),
            (r#"{"addresses":["203.0.113.7/24"]}"#, "limits.addresses"),
            (r#"{"requests_per_hour":1}"#, "limits.requests_per_hour"),
        ] {
            assert_eq!(wrong(limits).param.as_deref(), Some(param), "{limits}");
        }
    }

    #[test]
    fn issue_13_an_expiry_in_the_past_is_refused() {
        for past in ["2020-01-01T00:00:00Z", "1969-01-01T00:00:00Z", &rfc3339(NOW_MS), &rfc3339(NOW_MS - 1)] {
            let error = wrong(&format!(r#"{{"expires_at":"{past}"}}"#));
            assert_eq!((error.status, error.param.as_deref()), (400, Some("limits.expires_at")), "{past}");
            assert!(error.message.contains("in the future"), "{}", error.message);
        }
        let near: LimitsView = typed(&format!(r#"{{"expires_at":"{}"}}"#, rfc3339(NOW_MS + 1))).unwrap();
        assert_eq!(near.limits(NOW_MS).unwrap().expires_at_ms, Some(NOW_MS + 1));
    }

    #[test]
    fn issue_13_null_is_absent_where_a_key_is_made_or_rotated() {
        let new = typed::<NewKey>(r#"{"name":"x","permissions":null,"limits":{"budget":null,"models":null}}"#).unwrap();
        assert_eq!((new.permissions, new.limits), (None, LimitsView::default()));
        assert_eq!(typed::<NewKey>(r#"{"name":"x","limits":null}"#).unwrap().limits, LimitsView::default());
        for none in ["{}", r#"{"grace_seconds":null}"#] {
            assert_eq!(typed::<Rotation>(none).unwrap().grace_seconds, None, "{none}");
        }
        assert_eq!(typed::<Rotation>(r#"{"grace_seconds":60.0}"#).unwrap().grace_seconds, Some(Whole(60)));
        assert!(typed::<Rotation>(r#"{"grace_seconds":604801}"#).is_err());
    }
}
