//! `/console/api/keys`: make, list, change and revoke keys.

use std::collections::BTreeSet;

use billing::ledger::{Answer, Budget, Command, CreateKey, KeyLimits, KeyView, Period, Permission, Refusal, UpdateKey};
use billing::money::NanoUsd;
use chrono::{DateTime, SecondsFormat, Utc};
use dialect::typed::typed;
use serde::{Deserialize, Serialize};
use worker::{Headers, Response};

use super::caller::Caller;
use super::random;
use crate::context::Context;
use crate::error::{ApiError, Code};
use crate::{auth, ids, keys};

/// The longest name of a key, in characters.
const MAX_NAME_CHARS: usize = 100;

/// A key to make.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    name: String,
    /// As much as the caller when absent.
    permissions: Option<Vec<Permission>>,
    #[serde(default)]
    limits: LimitsView,
}

/// What a key is to become; what is absent stays. `limits` replaces all of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangedKey {
    name: Option<String>,
    limits: Option<LimitsView>,
}

/// How much a key may do; what is absent is as much as the account may.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LimitsView {
    #[serde(skip_serializing_if = "Option::is_none")]
    requests_per_minute: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_running: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<BudgetView>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BudgetView {
    /// Decimal USD.
    usd: String,
    period: Period,
}

/// A key that was made; `key` is shown this once.
#[derive(Serialize)]
pub struct MadeView {
    id: String,
    key: String,
    name: String,
    permissions: Vec<Permission>,
    limits: LimitsView,
}

/// A key in the list.
#[derive(Serialize)]
pub struct ListedView {
    /// Its public id, by which the list is ordered.
    pub id: String,
    name: String,
    permissions: Vec<Permission>,
    limits: LimitsView,
    /// The key that made it.
    parent_id: Option<String>,
    created_at: String,
    /// When it was ended, if it was.
    pub revoked_at: Option<String>,
    /// In the present period of its budget, else since ever; decimal USD.
    spent_usd: String,
    running: u64,
}

#[derive(Serialize)]
struct ListView {
    data: Vec<ListedView>,
}

/// What a revocation ended.
#[derive(Serialize)]
pub struct RevokedView {
    /// The key and those that it made, as far as they had not ended before.
    revoked: Vec<String>,
}

/// Makes a key.
///
/// # Errors
/// `invalid_request` for a body of another shape; `invalid_api_key` with 403 for a key that would do
/// more than the one that makes it.
pub async fn create(headers: &Headers, body: &str, context: &Context) -> Result<Response, ApiError> {
    let caller = Caller::new(headers, Permission::KeysWrite, context).await?;
    let new = typed(body)?;
    Ok(Response::from_json(&make(&caller, new, context).await?)?.with_status(201))
}

/// Makes a key in the name of `caller`.
///
/// # Errors
/// As [`create`].
pub async fn make(caller: &Caller, new: NewKey, context: &Context) -> Result<MadeView, ApiError> {
    check_name(&new.name)?;
    let pepper = context.config.peppers.first().ok_or_else(ApiError::internal)?;
    let (key, stored) = keys::mint(pepper, &caller.routing_id, random()?);
    let limits = new.limits.limits()?;
    let permissions = new.permissions.unwrap_or_else(|| caller.permissions());
    let permissions: Vec<Permission> = BTreeSet::from_iter(permissions).into_iter().collect();
    let create = CreateKey {
        key_id: format!("key_{}", ids::encode(&random::<10>()?)),
        digest: stored.digest,
        name: new.name.clone(),
        permissions: permissions.clone(),
        limits,
        by: caller.by(),
    };
    let id = create.key_id.clone();
    match caller.client.call(Command::CreateKey(create)).await.map_err(auth::unanswered)? {
        Ok(_) => {}
        Err(Refusal::TooManyKeys) => {
            return Err(ApiError::new(Code::InvalidRequest, "This account has as many keys as an account may have."));
        }
        Err(other) => return Err(auth::refused(&other)),
    }
    Ok(MadeView { id, key, name: new.name, permissions, limits: LimitsView::from(&limits) })
}

/// Lists all keys.
///
/// # Errors
/// `invalid_api_key`.
pub async fn list(headers: &Headers, context: &Context) -> Result<Response, ApiError> {
    let caller = Caller::new(headers, Permission::AccountRead, context).await?;
    Ok(Response::from_json(&ListView { data: all(&caller, context).await? })?)
}

/// All keys of the caller's account, by id.
///
/// # Errors
/// As [`list`].
pub async fn all(caller: &Caller, context: &Context) -> Result<Vec<ListedView>, ApiError> {
    match caller.run(Command::Keys).await? {
        Answer::Keys(keys) => Ok(keys.iter().map(|view| ListedView::new(view, context.started_ms)).collect()),
        other => Err(auth::unexpected(&other)),
    }
}

/// Changes a key's name or limits.
///
/// # Errors
/// `invalid_request` with 404 for an unknown key, 409 for one that has ended.
pub async fn update(id: &str, headers: &Headers, body: &str, context: &Context) -> Result<Response, ApiError> {
    let caller = Caller::new(headers, Permission::KeysWrite, context).await?;
    let changed: ChangedKey = typed(body)?;
    if let Some(name) = &changed.name {
        check_name(name)?;
    }
    let limits = changed.limits.map(|limits| limits.limits()).transpose()?;
    let update = UpdateKey { key_id: id.to_owned(), name: changed.name, limits, by: caller.by() };
    match caller.client.call(Command::UpdateKey(update)).await.map_err(auth::unanswered)? {
        Ok(_) => Ok(Response::empty()?.with_status(204)),
        Err(refusal) => Err(of_key(&refusal)),
    }
}

/// Ends a key and those that it made.
///
/// # Errors
/// `invalid_request` with 404 for an unknown key.
pub async fn revoke(id: &str, headers: &Headers, context: &Context) -> Result<Response, ApiError> {
    let caller = Caller::new(headers, Permission::KeysWrite, context).await?;
    Ok(Response::from_json(&end(&caller, id).await?)?)
}

/// Ends a key in the name of `caller`.
///
/// # Errors
/// As [`revoke`].
pub async fn end(caller: &Caller, id: &str) -> Result<RevokedView, ApiError> {
    let revoke = Command::RevokeKey { key_id: id.to_owned(), by: caller.by() };
    match caller.client.call(revoke).await.map_err(auth::unanswered)? {
        Ok(Answer::KeyRevoked { key_ids }) => Ok(RevokedView { revoked: key_ids }),
        Ok(other) => Err(auth::unexpected(&other)),
        Err(refusal) => Err(of_key(&refusal)),
    }
}

/// Refusals that speak of the key in the path, not of the caller's.
fn of_key(refusal: &Refusal) -> ApiError {
    match refusal {
        Refusal::UnknownKey => ApiError::new(Code::InvalidRequest, "There is no such key.").with_status(404),
        Refusal::RevokedKey | Refusal::ExpiredKey => {
            ApiError::new(Code::InvalidRequest, "This key has ended and cannot be changed.").with_status(409)
        }
        other => auth::refused(other),
    }
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let length = name.chars().count();
    if length == 0 || length > MAX_NAME_CHARS {
        return Err(invalid("name", &format!("The name must have 1 to {MAX_NAME_CHARS} characters.")));
    }
    Ok(())
}

fn invalid(param: &str, sentence: &str) -> ApiError {
    ApiError { param: Some(param.into()), ..ApiError::new(Code::InvalidRequest, sentence) }
}

impl LimitsView {
    fn limits(&self) -> Result<KeyLimits, ApiError> {
        if self.requests_per_minute == Some(0) || self.max_running == Some(0) {
            return Err(invalid("limits", "A limit must be at least 1: to end a key, revoke it."));
        }
        let budget = self.budget.as_ref().map(|budget| {
            let amount = NanoUsd::from_usd(&budget.usd)
                .map_err(|_| invalid("limits.budget.usd", "The budget must be a decimal number of USD."))?;
            Ok::<_, ApiError>(Budget { amount, period: budget.period })
        });
        let expires_at_ms = self.expires_at.as_ref().map(|text| {
            DateTime::parse_from_rfc3339(text)
                .map(|at| at.timestamp_millis())
                .map_err(|_| invalid("limits.expires_at", "The expiry must be a date and time of RFC 3339."))
        });
        Ok(KeyLimits {
            requests_per_minute: self.requests_per_minute,
            max_running: self.max_running,
            budget: budget.transpose()?,
            expires_at_ms: expires_at_ms.transpose()?,
        })
    }
}

impl From<&KeyLimits> for LimitsView {
    fn from(limits: &KeyLimits) -> Self {
        Self {
            requests_per_minute: limits.requests_per_minute,
            max_running: limits.max_running,
            budget: limits.budget.map(|budget| BudgetView { usd: budget.amount.to_string(), period: budget.period }),
            expires_at: limits.expires_at_ms.map(rfc3339),
        }
    }
}

impl ListedView {
    fn new(view: &KeyView, now_ms: i64) -> Self {
        let key = &view.key;
        let period = key.limits.budget.map_or(Period::Total, |budget| budget.period);
        Self {
            id: key.key_id.clone(),
            name: key.name.clone(),
            permissions: key.permissions.clone(),
            limits: LimitsView::from(&key.limits),
            parent_id: key.parent.clone(),
            created_at: rfc3339(key.created_at_ms),
            revoked_at: key.revoked_at_ms.map(rfc3339),
            spent_usd: view.spend.within(period, now_ms).to_string(),
            running: view.running,
        }
    }
}

fn rfc3339(ms: i64) -> String {
    DateTime::<Utc>::from_timestamp_millis(ms).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_read_back_as_they_were_given() {
        let given = r#"{"requests_per_minute":60,"max_running":2,"budget":{"usd":"5.5","period":"monthly"},"expires_at":"2027-01-01T00:00:00.000Z"}"#;
        let view: LimitsView = serde_json::from_str(given).unwrap();
        let limits = view.limits().unwrap();
        assert_eq!(serde_json::to_string(&LimitsView::from(&limits)).unwrap(), given);
    }

    #[test]
    fn wrong_limits_name_the_field() {
        for (given, param) in [
            (r#"{"requests_per_minute":0}"#, "limits"),
            (r#"{"budget":{"usd":"-1","period":"daily"}}"#, "limits.budget.usd"),
            (r#"{"budget":{"usd":"much","period":"daily"}}"#, "limits.budget.usd"),
            (r#"{"expires_at":"tomorrow"}"#, "limits.expires_at"),
        ] {
            let view: LimitsView = serde_json::from_str(given).unwrap();
            assert_eq!(view.limits().unwrap_err().param.as_deref(), Some(param), "{given}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (given, param, message) in [
            (r#"{"requests_per_hour":1}"#, "requests_per_hour", "There is no field `requests_per_hour`; there are "),
            (r#"{"budget":{"usd":5,"period":"daily"}}"#, "budget.usd", "The field `budget.usd` must be a string."),
            (r#"{"budget":5}"#, "budget", "The field `budget` must be an object."),
            (r#"{"budget":{"usd":"5"}}"#, "budget.period", "The field `budget.period` is required."),
        ] {
            let error = ApiError::from(typed::<LimitsView>(given).err().unwrap());
            assert_eq!(error.param.as_deref(), Some(param), "{given}");
            assert!(error.message.starts_with(message), "{given}: {}", error.message);
        }
    }
}
