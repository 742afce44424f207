//! What an account tells of itself. Nothing here is decided, so nothing is an event. A key asks from where it may be
//! used, as everywhere.

use std::net::IpAddr;

use super::Refusal;
use super::answer::{AccountView, Answer, Decision};
use super::key::{self, Permission};
use super::state::{Prior, State};

pub(super) fn account(state: &State, digest: Option<&str>, address: Option<IpAddr>, now_ms: i64) -> Decision {
    if let Some(digest) = digest {
        let key = key::authorize(state, digest, Permission::AccountRead, now_ms)?;
        key::check_address(state, key, address)?;
    }
    let account = state.account.as_ref().ok_or(Refusal::NoAccount)?;
    let view = AccountView {
        account_id: account.account_id.clone(),
        created_at_ms: account.created_at_ms,
        balance: state.balance,
        held: state.held(),
        uncollected: state.uncollected,
        used: state.used,
    };
    Ok((Vec::new(), Answer::Account(Box::new(view))))
}

pub(super) fn own_key(state: &State, digest: &str, address: Option<IpAddr>, now_ms: i64) -> Decision {
    let key = key::living(state, digest, now_ms)?;
    key::check_address(state, key, address)?;
    Ok((Vec::new(), Answer::OwnKey(Box::new(key::view(state, key)))))
}

/// The row that the store found. Its own requests a key may always see, others with the permission alone.
pub(super) fn find(state: &State, digest: &str, address: Option<IpAddr>, prior: &Prior, now_ms: i64) -> Decision {
    let key = key::living(state, digest, now_ms)?;
    key::check_address(state, key, address)?;
    let sees_all = key.may(Permission::AccountRead);
    let entry = prior.entry.as_ref().filter(|entry| {
        entry.usage.as_ref().is_some_and(|usage| sees_all || usage.key_id.as_ref() == Some(&key.key_id))
    });
    Ok((Vec::new(), Answer::Found { entry: entry.cloned().map(Box::new) }))
}
