//! Admission: may this request be dispatched, and how much may it cost; and how that grows.

use super::answer::{Answer, Decision, Refusal, Shortage};
use super::command::Admit;
use super::key::{self, Key, Permission};
use super::spend::Rate;
use super::state::{Checkpoint, Event, Hold, HoldState, Prior, State};
use super::{ADMIT_MAX_AGE_MS, HOLD_TTL_MS};
use crate::hold::Granted;
use crate::money::NanoUsd;
use crate::usage::Usage;

/// Reserves `admit.hold`, or as much of its output as budget and balance cover. A refusal leaves no
/// trace: it counts against no rate.
pub(super) fn admit(state: &State, asked: &Admit, prior: &Prior, now_ms: i64) -> Decision {
    // Where people are is nothing to keep.
    let admit = &Admit { address: None, ..asked.clone() };
    // 1. A repeat of the same admit answers the first result; anything else under its id is a conflict.
    if let Some(hold) = state.holds.get(&admit.request_id) {
        return if hold.admit == *admit { Ok((Vec::new(), admitted(state, hold))) } else { Err(Refusal::Conflict) };
    }
    if prior.hold.is_some() {
        return Err(Refusal::Conflict);
    }
    // 2. A delayed admit has no caller any more.
    if now_ms.saturating_sub(admit.created_at_ms).saturating_abs() > ADMIT_MAX_AGE_MS {
        return Err(Refusal::Stale);
    }
    // 3. The key; the account's owner needs none.
    let authorize = |digest: &String| key::authorize(state, digest, Permission::Inference, now_ms);
    let key = admit.digest.as_ref().map(authorize).transpose()?;
    let key_id = key.map(|key| key.key_id.as_str());
    // 4. Its limits, and those of the keys that it descends from.
    if let Some(key) = key {
        key::check_address(state, key, asked.address)?;
        key::check_model(state, key, &admit.terms.model)?;
    }
    for key in state.lineage(key_id) {
        if let Some(per_minute) = key.limits.requests_per_minute {
            let checked = match state.rates.get(&key.key_id) {
                Some(rate) => rate.check(per_minute, now_ms),
                None => Rate::default().check(per_minute, now_ms),
            };
            checked.map_err(|retry_after_ms| Refusal::RateLimited { retry_after_ms })?;
        }
        if key.limits.max_running.is_some_and(|most| state.running(&key.key_id) >= u64::from(most)) {
            return Err(Refusal::TooManyRunning);
        }
    }
    // 5. The budget, then the balance.
    let granted = grant(state, admit, key_id, now_ms)?;
    let hold = Hold {
        admit: admit.clone(),
        key_id: key_id.map(str::to_owned),
        amount: granted.amount,
        granted_output: granted.output,
        opened_at_ms: now_ms,
        deadline_ms: now_ms.saturating_add(HOLD_TTL_MS),
        checkpoint: None,
        state: HoldState::Open,
    };
    let available = state.available().minus(hold.amount).unwrap_or(NanoUsd::ZERO);
    let answer = admitted_with(key, &hold, available);
    Ok((vec![Event::HoldOpened(Box::new(hold))], answer))
}

fn grant(state: &State, admit: &Admit, key_id: Option<&str>, now_ms: i64) -> Result<Granted, Refusal> {
    let needed = admit.hold.least().map_err(|_| Refusal::TooLarge)?;
    let held = state.held();
    let refused = |reason, available, period| Refusal::InsufficientCredit { reason, available, held, needed, period };
    let available = state.available();
    let budget = state.tightest_budget(key_id, now_ms);
    if !admit.terms.price.is_free() {
        // Prepaid: even a request that rounds to nothing asks for something that is left.
        let short = |left: NanoUsd| left <= NanoUsd::ZERO || left < needed;
        if let Some((left, period)) = budget.filter(|(left, _)| short(*left)) {
            return Err(refused(Shortage::KeyBudget, left, Some(period)));
        }
        // The last request could not be paid in full: nothing more until money comes in.
        if state.uncollected > NanoUsd::ZERO || short(state.balance) {
            return Err(refused(Shortage::Balance, available, None));
        }
        if short(available) {
            return Err(refused(Shortage::Held, available, None));
        }
    }
    // What is free needs nothing, even where something is owed.
    let covered = budget.map_or(available, |(left, _)| left.min(available)).max(NanoUsd::ZERO);
    admit.hold.grant(covered).ok_or_else(|| refused(Shortage::Held, covered, None))
}

/// Moves the deadline, and grows the hold as far as budget and balance allow.
pub(super) fn checkpoint(
    state: &State,
    request_id: &str,
    usage: &Usage,
    upstream: &str,
    grow_to: Option<u64>,
    now_ms: i64,
) -> Decision {
    let hold = state.holds.get(request_id).ok_or(Refusal::UnknownHold)?;
    let grown = match (grow_to, hold.granted_output) {
        (Some(wanted), Some(covered)) if wanted > covered => grow(state, hold, wanted),
        _ => None,
    };
    let (amount, granted_output) = match grown {
        Some(Granted { amount, output }) => (amount, output),
        None => (hold.amount, hold.granted_output),
    };
    let event = Event::HoldCheckpointed {
        request_id: request_id.to_owned(),
        deadline_ms: now_ms.saturating_add(HOLD_TTL_MS),
        checkpoint: Checkpoint { usage: usage.bounded(), upstream: upstream.to_owned() },
        amount,
        granted_output,
    };
    Ok((vec![event], Answer::Checkpointed { granted_output }))
}

/// What the hold can grow to; `None` when it cannot grow at all. A key that has ended grows nothing:
/// its running request settles with what it has.
fn grow(state: &State, hold: &Hold, wanted: u64) -> Option<Granted> {
    let free = state.available().plus(hold.amount).ok()?;
    // However long it runs, it counts in the period that admitted it.
    let covered = match state.budget_left(hold.key_id.as_deref(), hold.opened_at_ms) {
        // What this hold reserves is part of what the budget has left for it.
        Some(left) => left.plus(hold.amount).ok()?.min(free),
        None => free,
    };
    let granted = hold.admit.hold.up_to(wanted, covered)?;
    (granted.output > hold.granted_output).then_some(granted)
}

fn admitted(state: &State, hold: &Hold) -> Answer {
    admitted_with(state.lineage(hold.key_id.as_deref()).next(), hold, state.available())
}

fn admitted_with(key: Option<&Key>, hold: &Hold, available: NanoUsd) -> Answer {
    // The owner may read what is the owner's.
    let may_read = hold.key_id.is_none() || key.is_some_and(|key| key.may(Permission::AccountRead));
    Answer::Admitted {
        key_id: hold.key_id.clone(),
        granted_output: hold.granted_output,
        available: may_read.then_some(available),
    }
}
