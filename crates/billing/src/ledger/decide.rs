//! The decision: a state and a command in, events and an answer out. Nothing here changes anything.

use super::answer::{Answer, Decision, Refusal};
use super::command::{Command, Enter, EntryKind};
use super::state::{Account, Entry, Event, Prior, State};
use super::{admit, ask, auto, debt, key, resolve, rotate};

/// Decides `command` at `now_ms` (milliseconds since the epoch, the account's clock).
///
/// # Errors
/// A [`Refusal`], by the order of precedence in which they are listed there; nothing changes.
pub fn decide(state: &State, command: &Command, prior: &Prior, now_ms: i64) -> Decision {
    if let Command::Provision { account_id } = command {
        return Ok(provision(state, account_id, now_ms));
    }
    if state.account.is_none() {
        return Err(Refusal::NoAccount);
    }
    let decision = match command {
        Command::Provision { .. } => Err(Refusal::NoAccount),
        Command::Enter(enter) => enter_money(state, enter, prior, now_ms),
        Command::CreateKey(create) => key::create(state, create, now_ms),
        Command::UpdateKey(update) => key::update(state, update, now_ms),
        Command::RevokeKey { key_id, by } => key::revoke(state, key_id, by.as_deref(), now_ms),
        Command::Keys => Ok((Vec::new(), key::list(state))),
        Command::RotateKey(rotation) => rotate::rotate(state, rotation, now_ms),
        Command::Authorize { digest, permission, address } => {
            let key = match permission {
                Some(permission) => key::authorize(state, digest, *permission, now_ms),
                None => key::living(state, digest, now_ms),
            }?;
            key::check_address(state, key, *address)?;
            Ok((Vec::new(), Answer::Authorized { key: Box::new(key::narrowed(state, key)) }))
        }
        Command::Balance => Ok((Vec::new(), Answer::Balance { balance: state.balance, held: state.held() })),
        Command::Admit(admit) => admit::admit(state, admit, prior, now_ms),
        Command::Checkpoint { request_id, usage, upstream, grow_to } => {
            admit::checkpoint(state, request_id, usage, upstream, *grow_to, now_ms)
        }
        Command::Settle(settle) => resolve::settle(state, settle, prior, now_ms),
        Command::Release { request_id, outcome, upstream } => {
            resolve::release(state, request_id, *outcome, upstream.clone(), prior, now_ms)
        }
        Command::Sweep => Ok(resolve::sweep(state, now_ms)),
        Command::EndSessions => Ok(end_sessions(state, now_ms)),
        Command::Account { digest, address } => ask::account(state, digest.as_deref(), *address, now_ms),
        Command::OwnKey { digest, address } => ask::own_key(state, digest, *address, now_ms),
        Command::Find { digest, address, .. } => ask::find(state, digest, *address, prior, now_ms),
        Command::AutoTopUp
        | Command::SetAutoTopUp(_)
        | Command::SaveMethod(_)
        | Command::RemoveMethod
        | Command::TakeAttempt
        | Command::ChargeAttempt
        | Command::AttemptNotFound { .. }
        | Command::CancelAttempt
        | Command::StopTopUp { .. } => {
            Ok((Vec::new(), Answer::AutoTopUp { auto: Box::default(), top_up: None, top_up_waits: false }))
        }
    }?;
    Ok(auto::follow(state, command, decision, now_ms))
}

fn provision(state: &State, account_id: &str, now_ms: i64) -> (Vec<Event>, Answer) {
    if state.account.is_some() {
        return (Vec::new(), Answer::Provisioned { created: false });
    }
    let account = Account { account_id: account_id.to_owned(), created_at_ms: now_ms };
    (vec![Event::Provisioned(account)], Answer::Provisioned { created: true })
}

fn end_sessions(state: &State, now_ms: i64) -> (Vec<Event>, Answer) {
    // A clock that was set back makes none count again.
    let at_ms = now_ms.max(state.sessions_valid_from_ms);
    (vec![Event::SessionsEnded(at_ms)], Answer::SessionsEnded)
}

fn enter_money(state: &State, enter: &Enter, prior: &Prior, now_ms: i64) -> Decision {
    if let Some(entry) = &prior.entry {
        if entry.kind == enter.kind && entry.amount == enter.amount {
            return Ok((Vec::new(), Answer::Entered { seq: entry.seq, balance: entry.balance_after }));
        }
        return Err(Refusal::Conflict);
    }
    // Entries of these kinds are the account's own.
    if matches!(enter.kind, EntryKind::Usage | EntryKind::Debt) || enter.id.starts_with(debt::DEBT_ID) {
        return Err(Refusal::Conflict);
    }
    let balance = state.balance.plus(enter.amount).map_err(|_| Refusal::TooLarge)?;
    let entry = Entry {
        seq: state.seq.saturating_add(1),
        id: enter.id.clone(),
        kind: enter.kind,
        at_ms: now_ms,
        amount: enter.amount,
        balance_after: balance,
        usage: None,
    };
    let answer = Answer::Entered { seq: entry.seq, balance };
    let paid = debt::collect(state.uncollected, &entry);
    Ok((std::iter::once(Event::EntryAppended(entry)).chain(paid).collect(), answer))
}
