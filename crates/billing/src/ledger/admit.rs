//! Admission: may this request be dispatched, and how much may it cost.

use super::command::{Admit, Answer, Permission, Refusal};
use super::decide::{Decision, Prior, authorize};
use super::state::{Event, Hold, HoldState, State};
use super::{ADMIT_MAX_AGE_MS, HOLD_TTL_MS};
use crate::money::NanoUsd;

/// Reserves `admit.hold`, or as much of its output as the balance covers.
pub(super) fn admit(state: &State, admit: &Admit, prior: &Prior, now_ms: i64) -> Decision {
    // 1. A repeat of the same admit answers the first result; anything else under its id is a conflict.
    if let Some(hold) = state.holds.get(&admit.request_id) {
        return if hold.admit == *admit { Ok((Vec::new(), admitted(hold))) } else { Err(Refusal::Conflict) };
    }
    if prior.hold.is_some() {
        return Err(Refusal::Conflict);
    }
    // 2. A delayed admit has no caller any more.
    if now_ms.saturating_sub(admit.created_at_ms).saturating_abs() > ADMIT_MAX_AGE_MS {
        return Err(Refusal::Stale);
    }
    // 3. The key.
    let key = authorize(state, &admit.digest, Permission::Inference)?;
    // 4. The balance.
    let needed = admit.hold.least().map_err(|_| Refusal::TooLarge)?;
    let available = state.available();
    let refused = || Refusal::InsufficientCredit { available, held: state.held(), needed };
    if !admit.terms.price.is_free() {
        // The last request could not be paid in full: nothing more until money comes in.
        let owing = state.uncollected > NanoUsd::ZERO;
        // Prepaid: even a request that rounds to nothing asks for a positive balance.
        if owing || available <= NanoUsd::ZERO {
            return Err(refused());
        }
    }
    let granted = admit.hold.grant(available).ok_or_else(refused)?;
    let hold = Hold {
        admit: admit.clone(),
        key_id: key.key_id.clone(),
        amount: granted.amount,
        granted_output: granted.output,
        opened_at_ms: now_ms,
        deadline_ms: now_ms.saturating_add(HOLD_TTL_MS),
        checkpoint: None,
        state: HoldState::Open,
    };
    let answer = admitted(&hold);
    Ok((vec![Event::HoldOpened(Box::new(hold))], answer))
}

fn admitted(hold: &Hold) -> Answer {
    Answer::Admitted { key_id: hold.key_id.clone(), granted_output: hold.granted_output }
}
