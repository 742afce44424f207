//! Rotation: a new secret takes a key's place.
//!
//! The old key becomes a child of the new one, and its children become the new one's. So while both count, what
//! either does counts in the same limits and budget; the old one ends with the new one at the latest; and what it
//! made outlives it.

use std::collections::BTreeMap;

use super::MAX_KEYS;
use super::answer::{Answer, Decision, Refusal};
use super::command::RotateKey;
use super::key::{Key, KeyLimits, changeable, maker};
use super::spend::Spend;
use super::state::{Event, State};

/// Makes the new key and has the old one end in a while.
pub(super) fn rotate(state: &State, rotate: &RotateKey, now_ms: i64) -> Decision {
    // A repeat is answered before anything else, for by now the key that asked may be the one that was rotated.
    if let Some((new, old)) = state.keys.get(&rotate.new_key_id).zip(state.keys.get(&rotate.key_id)) {
        let repeated = old.replaced_by.as_ref() == Some(&new.key_id) && new.digest == rotate.digest;
        return if repeated { Ok((Vec::new(), answer(new, old, now_ms))) } else { Err(Refusal::Conflict) };
    }
    let old = changeable(state, &rotate.key_id, rotate.by.as_deref(), now_ms)?;
    // Who rotates a key has its secret, also where it stands for the account and changes keys that it did not make.
    let maker = maker(state, rotate.by.as_deref(), now_ms)?;
    if maker.is_some_and(|maker| !old.permissions.iter().all(|permission| maker.permissions.contains(permission))) {
        return Err(Refusal::Exceeds);
    }
    if old.revoked_at_ms.is_some() {
        return Err(Refusal::RevokedKey);
    }
    if old.has_expired(now_ms) {
        return Err(Refusal::ExpiredKey);
    }
    if old.replaced_by.is_some() {
        return Err(Refusal::ReplacedKey);
    }
    if state.keys.len() >= MAX_KEYS {
        return Err(Refusal::TooManyKeys);
    }
    let new_key_id = || Some(rotate.new_key_id.clone());
    let new = Key {
        key_id: rotate.new_key_id.clone(),
        digest: rotate.digest.clone(),
        start: rotate.start.clone(),
        created_at_ms: now_ms,
        ..old.clone()
    };
    let grace_end_ms = now_ms.saturating_add_unsigned(rotate.grace_ms);
    let ends_at_ms = old.limits.expires_at_ms.map_or(grace_end_ms, |at_ms| at_ms.min(grace_end_ms));
    // All other limits are those of the new key, by descent: to change them there changes them here.
    let limits = KeyLimits { expires_at_ms: Some(ends_at_ms), ..KeyLimits::default() };
    let ended = Key { limits, parent: new_key_id(), replaced_by: new_key_id(), ..old.clone() };
    let children = state.keys.values().filter(|key| key.parent.as_ref() == Some(&old.key_id));
    let adopted = children.map(|key| Event::KeySet(Key { parent: new_key_id(), ..key.clone() }));
    let answer = answer(&new, &ended, now_ms);
    let mut events = vec![carried(state, old, &rotate.new_key_id)];
    events.extend([Event::KeySet(new), Event::KeySet(ended)].into_iter().chain(adopted));
    Ok((events, answer))
}

fn answer(new: &Key, old: &Key, now_ms: i64) -> Answer {
    Answer::KeyRotated { key: Box::new(new.clone()), old_ends_at_ms: old.limits.expires_at_ms.unwrap_or(now_ms) }
}

/// Everything that was spent, with the old key's for the new one too: written down at once, for what is read back
/// from the journal is counted by descent as it is then.
fn carried(state: &State, old: &Key, new_key_id: &str) -> Event {
    let mut spend: BTreeMap<String, Spend> = state.spend.clone();
    if let Some(spent) = spend.get(&old.key_id) {
        let mut unused = *spent;
        unused.last_used_ms = 0;
        spend.insert(new_key_id.to_owned(), unused);
    }
    Event::SpendCarried { from: old.key_id.clone(), to: new_key_id.to_owned(), spend, used: state.used, seq: state.seq }
}
