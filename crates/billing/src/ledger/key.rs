//! Keys: what each may do, and how much of it. What it has done is in `spend.rs`.
//!
//! A key made by a key descends from it. Every limit of an ancestor counts for what its descendants do
//! too, and a descendant ends with its ancestor, so no key can do more through another than by itself.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::allow::{Models, Networks};
use super::answer::{Answer, Decision, KeyView, Refusal};
use super::command::{CreateKey, UpdateKey};
use super::state::{Event, State};
use super::{MAX_GENERATIONS, MAX_KEYS, calendar};
use crate::money::NanoUsd;

/// What a key may be used for.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Permission {
    /// Run models and list them.
    #[serde(rename = "inference")]
    Inference,
    /// Read balance, usage and keys.
    #[serde(rename = "account:read")]
    AccountRead,
    /// Make, change and revoke keys.
    #[serde(rename = "keys:write")]
    KeysWrite,
}

impl Permission {
    /// What a key has that was made without naming any.
    pub const ALL: [Self; 3] = [Self::Inference, Self::AccountRead, Self::KeysWrite];
}

/// How much a key may do; `None`: as much as the account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyLimits {
    /// Requests that are admitted within any 60 seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// Requests that run at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_running: Option<u32>,
    /// Money.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// When the key ends by itself, in milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<i64>,
    /// The only models that it may ask for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<Models>,
    /// The only addresses that it may be used from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Networks>,
}

/// Money that a key may spend in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// The most.
    pub amount: NanoUsd,
    /// In what.
    pub period: Period,
}

/// Periods begin at 00:00 UTC: of the day, of Monday, of the first of the month.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// A day.
    Daily,
    /// A week from Monday.
    Weekly,
    /// A calendar month.
    Monthly,
    /// The life of the key.
    Total,
}

/// A key of the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Its public id.
    pub key_id: String,
    /// SHA-256 of its secret, lower-case hexadecimal.
    pub digest: String,
    /// The first characters of its text; empty for a key that was made before they were kept.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub start: String,
    /// A name for people.
    pub name: String,
    /// What it may do.
    pub permissions: Vec<Permission>,
    /// How much of it.
    pub limits: KeyLimits,
    /// The key that made it, or that replaces it; `None`: the account's owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Milliseconds since the epoch.
    pub created_at_ms: i64,
    /// When it was ended, if it was.
    pub revoked_at_ms: Option<i64>,
    /// The key that has taken its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
}

impl Key {
    /// Whether it has ended by itself at `now_ms`. Final: an expired key is not changed any more.
    #[must_use]
    pub fn has_expired(&self, now_ms: i64) -> bool {
        self.limits.expires_at_ms.is_some_and(|at_ms| at_ms <= now_ms)
    }

    /// What the key may do now. A key that was rotated runs requests until it ends, and nothing else: whoever stole
    /// it must not reach the keys, or the one in its place.
    #[must_use]
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions.contains(&permission) && (self.replaced_by.is_none() || permission == Permission::Inference)
    }
}

impl State {
    /// The key and the keys that it descends from, itself first; none for the account's owner.
    pub fn lineage<'a>(&'a self, key_id: Option<&str>) -> impl Iterator<Item = &'a Key> + use<'a> {
        let first = key_id.and_then(|key_id| self.keys.get(key_id));
        std::iter::successors(first, |key| self.keys.get(key.parent.as_deref()?))
            .take(MAX_GENERATIONS.saturating_add(1))
    }

    /// Requests of the key and its descendants that run now.
    #[must_use]
    pub fn running(&self, key_id: &str) -> u64 {
        let mine =
            self.holds.values().filter(|hold| self.lineage(hold.key_id.as_deref()).any(|key| key.key_id == key_id));
        u64::try_from(mine.count()).unwrap_or(u64::MAX)
    }

    /// What is left of the tightest budget of the key's lineage in the period that `at_ms` lies in;
    /// `None`: there is none.
    #[must_use]
    pub fn budget_left(&self, key_id: Option<&str>, at_ms: i64) -> Option<NanoUsd> {
        self.tightest_budget(key_id, at_ms).map(|(left, _)| left)
    }

    /// The same with the period of that budget. Running requests count in the period that admitted them.
    #[must_use]
    pub fn tightest_budget(&self, key_id: Option<&str>, at_ms: i64) -> Option<(NanoUsd, Period)> {
        let left = |key: &Key| {
            let Budget { amount, period } = key.limits.budget?;
            let spent = self.spend.get(&key.key_id).map_or(NanoUsd::ZERO, |spend| spend.within(period, at_ms));
            let start_ms = calendar::start_of(period, at_ms);
            let reserved = self
                .holds
                .values()
                .filter(|hold| calendar::start_of(period, hold.opened_at_ms) == start_ms)
                .filter(|hold| self.lineage(hold.key_id.as_deref()).any(|ancestor| ancestor.key_id == key.key_id))
                .fold(NanoUsd::ZERO, |sum, hold| sum.plus(hold.amount).unwrap_or(sum));
            Some((amount.minus(spent).and_then(|left| left.minus(reserved)).ok()?, period))
        };
        self.lineage(key_id).filter_map(left).min_by_key(|(left, _)| *left)
    }
}

/// The key with this digest, if it and all it descends from may do `permission` at `now_ms`.
pub(super) fn authorize<'a>(
    state: &'a State,
    digest: &str,
    permission: Permission,
    now_ms: i64,
) -> Result<&'a Key, Refusal> {
    let key = living(state, digest, now_ms)?;
    if key.permissions.contains(&permission) && !key.may(permission) {
        return Err(Refusal::RotatedKey);
    }
    if !state.lineage(Some(&key.key_id)).all(|key| key.permissions.contains(&permission)) {
        return Err(Refusal::NotPermitted);
    }
    Ok(key)
}

/// The key with this digest, if neither it nor one that it descends from has ended at `now_ms`.
pub(super) fn living<'a>(state: &'a State, digest: &str, now_ms: i64) -> Result<&'a Key, Refusal> {
    let key = state.keys.values().find(|key| same_digest(&key.digest, digest)).ok_or(Refusal::UnknownKey)?;
    let mut lineage = state.lineage(Some(&key.key_id));
    if lineage.any(|key| key.revoked_at_ms.is_some()) {
        return Err(Refusal::RevokedKey);
    }
    if state.lineage(Some(&key.key_id)).any(|key| key.has_expired(now_ms)) {
        return Err(Refusal::ExpiredKey);
    }
    Ok(key)
}

/// Whether neither the key nor one that it descends from minds where it is used from. An address that is not
/// known is in no network.
pub(super) fn check_address(state: &State, key: &Key, address: Option<IpAddr>) -> Result<(), Refusal> {
    let allows = |networks: &Networks| address.is_some_and(|address| networks.allow(address));
    let allowed = state.lineage(Some(&key.key_id)).filter_map(|key| key.limits.addresses.as_ref()).all(allows);
    if allowed { Ok(()) } else { Err(Refusal::AddressNotAllowed) }
}

/// Whether neither the key nor one that it descends from minds the model.
pub(super) fn check_model(state: &State, key: &Key, model: &str) -> Result<(), Refusal> {
    let mut lists = state.lineage(Some(&key.key_id)).filter_map(|key| key.limits.models.as_ref());
    if lists.all(|models| models.allow(model)) { Ok(()) } else { Err(Refusal::ModelNotAllowed) }
}

/// The key with what it may do now, and the models that its whole lineage allows.
pub(super) fn narrowed(state: &State, key: &Key) -> Key {
    let permissions = key.permissions.iter().copied().filter(|permission| key.may(*permission)).collect();
    let lists = state.lineage(Some(&key.key_id)).filter_map(|key| key.limits.models.clone());
    let models = lists.reduce(|all, models| all.and(&models));
    Key { permissions, limits: KeyLimits { models, ..key.limits.clone() }, ..key.clone() }
}

/// Equality in time that depends on the length alone.
fn same_digest(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |diff, (x, y)| diff | (x ^ y)) == 0
}

pub(super) fn create(state: &State, create: &CreateKey, now_ms: i64) -> Decision {
    let answer = Answer::KeyCreated { key_id: create.key_id.clone() };
    if let Some(key) = state.keys.get(&create.key_id) {
        return if key.digest == create.digest { Ok((Vec::new(), answer)) } else { Err(Refusal::Conflict) };
    }
    let parent = maker(state, create.by.as_deref(), now_ms)?;
    if let Some(parent) = parent {
        let permitted = create.permissions.iter().all(|permission| parent.permissions.contains(permission));
        let generations = state.lineage(Some(&parent.key_id)).count();
        if !permitted || create.limits.exceed(&parent.limits) || generations >= MAX_GENERATIONS {
            return Err(Refusal::Exceeds);
        }
    }
    if state.keys.len() >= MAX_KEYS {
        return Err(Refusal::TooManyKeys);
    }
    let key = Key {
        key_id: create.key_id.clone(),
        digest: create.digest.clone(),
        start: create.start.clone(),
        name: create.name.clone(),
        permissions: create.permissions.clone(),
        limits: create.limits.clone(),
        parent: parent.map(|parent| parent.key_id.clone()),
        created_at_ms: now_ms,
        revoked_at_ms: None,
        replaced_by: None,
    };
    Ok((vec![Event::KeySet(key)], answer))
}

pub(super) fn update(state: &State, update: &UpdateKey, now_ms: i64) -> Decision {
    let key = changeable(state, &update.key_id, update.by.as_deref(), now_ms)?;
    if key.revoked_at_ms.is_some() {
        return Err(Refusal::RevokedKey);
    }
    // Final, as revocation is: callers remember that the key has ended.
    if key.has_expired(now_ms) {
        return Err(Refusal::ExpiredKey);
    }
    // Its limits are those of the key in its place, and its end is settled.
    if key.replaced_by.is_some() {
        return Err(Refusal::ReplacedKey);
    }
    let mut changed = key.clone();
    if let Some(name) = &update.name {
        changed.name.clone_from(name);
    }
    // A limit that is not named may be looser than the parent's, if the parent's was tightened since.
    let mut named = update.limits.iter().chain([&update.change.set]);
    let parent = key.parent.as_ref().and_then(|parent| state.keys.get(parent));
    if parent.is_some_and(|parent| named.any(|limits| limits.exceed(&parent.limits))) {
        return Err(Refusal::Exceeds);
    }
    changed.limits = update.change.applied(update.limits.as_ref().unwrap_or(&key.limits));
    let answer = Answer::KeyUpdated { key_id: key.key_id.clone(), key: Some(Box::new(view(state, &changed))) };
    Ok((if changed == *key { Vec::new() } else { vec![Event::KeySet(changed)] }, answer))
}

pub(super) fn revoke(state: &State, key_id: &str, by: Option<&str>, now_ms: i64) -> Decision {
    changeable(state, key_id, by, now_ms)?;
    let living = state.keys.values().filter(|key| key.revoked_at_ms.is_none());
    let ended: Vec<&Key> =
        living.filter(|key| state.lineage(Some(&key.key_id)).any(|ancestor| ancestor.key_id == key_id)).collect();
    let key_ids = ended.iter().map(|key| key.key_id.clone()).collect();
    let revoked = |key: &Key| Event::KeySet(Key { revoked_at_ms: Some(now_ms), ..key.clone() });
    Ok((ended.into_iter().map(revoked).collect(), Answer::KeyRevoked { key_ids }))
}

pub(super) fn list(state: &State) -> Answer {
    Answer::Keys(state.keys.values().map(|key| view(state, key)).collect())
}

pub(super) fn view(state: &State, key: &Key) -> KeyView {
    let spend = state.spend.get(&key.key_id).copied().unwrap_or_default();
    let own = state.holds.values().filter(|hold| hold.key_id.as_ref() == Some(&key.key_id));
    let ended_ms = Some(spend.last_used_ms).filter(|at_ms| *at_ms > 0);
    let last_used_ms = own.map(|hold| hold.opened_at_ms).chain(ended_ms).max();
    KeyView { key: key.clone(), spend, running: state.running(&key.key_id), last_used_ms }
}

/// The key that acts; `None`: the account's owner acts.
pub(super) fn maker<'a>(state: &'a State, by: Option<&str>, now_ms: i64) -> Result<Option<&'a Key>, Refusal> {
    by.map(|digest| authorize(state, digest, Permission::KeysWrite, now_ms)).transpose()
}

/// The key that is to be changed: the owner may change all, a key may change itself no looser and the
/// keys that it made.
pub(super) fn changeable<'a>(
    state: &'a State,
    key_id: &str,
    by: Option<&str>,
    now_ms: i64,
) -> Result<&'a Key, Refusal> {
    let maker = maker(state, by, now_ms)?;
    let key = state.keys.get(key_id).ok_or(Refusal::UnknownKey)?;
    match maker {
        None => Ok(key),
        Some(maker) if state.lineage(Some(key_id)).skip(1).any(|ancestor| ancestor.key_id == maker.key_id) => Ok(key),
        // An unlimited key with this permission stands for the account; a limited one must not undo its limits.
        Some(maker) if maker.limits == KeyLimits::default() && maker.parent.is_none() => Ok(key),
        Some(_) => Err(Refusal::NotPermitted),
    }
}

impl KeyLimits {
    /// Whether a limit that is named here is looser than the same one of `parent`. One that is not
    /// named is the parent's by descent.
    fn exceed(&self, parent: &Self) -> bool {
        fn looser<T: PartialOrd>(mine: Option<T>, theirs: Option<T>) -> bool {
            matches!((mine, theirs), (Some(mine), Some(theirs)) if mine > theirs)
        }
        let budget = match (self.budget, parent.budget) {
            (Some(mine), Some(theirs)) => mine.period == theirs.period && mine.amount > theirs.amount,
            _ => false,
        };
        let models = matches!((&self.models, &parent.models), (Some(mine), Some(theirs)) if !mine.within(theirs));
        let addresses =
            matches!((&self.addresses, &parent.addresses), (Some(mine), Some(theirs)) if !mine.within(theirs));
        budget
            || models
            || addresses
            || looser(self.requests_per_minute, parent.requests_per_minute)
            || looser(self.max_running, parent.max_running)
            || looser(self.expires_at_ms, parent.expires_at_ms)
    }
}
