//! What an account owes: the part of its usage that its balance could not cover.
//!
//! The one rule: what is owed is paid first from new money. Every entry that adds money pays it, top-ups by hand and
//! by themselves, an operator's corrections, refunds and disputes that come back; a gift ([`EntryKind::Grant`]: the
//! welcome credit, a promotion) neither pays it nor lifts it. The account is admitted again once nothing is owed.
//! An operator who forgives a debt enters a correction of as much.
//!
//! The journal shows the money as it came in, and right behind it what was taken of it for the debt, under an id that
//! is made of the first one's. The top-up's own row keeps its full amount. If that payment is refunded or disputed
//! later, the full amount is taken from the balance, which may fall below zero; the debt that it paid stays paid.

use super::command::EntryKind;
use super::state::{Entry, Event};
use crate::money::NanoUsd;

/// What the ids of entries that pay a debt begin with.
pub(super) const DEBT_ID: &str = "debt:";

/// What follows from `entry`, which adds money or takes it: of what it adds, what is `owed` is taken.
pub(super) fn collect(owed: NanoUsd, entry: &Entry) -> Vec<Event> {
    // An account whose balance was below zero first has to get out of there.
    let collected = owed.min(entry.amount).min(entry.balance_after);
    if collected <= NanoUsd::ZERO || entry.kind == EntryKind::Grant {
        return Vec::new();
    }
    let (Ok(owed), Ok(balance_after)) = (owed.minus(collected), entry.balance_after.minus(collected)) else {
        return Vec::new();
    };
    let paid = Entry {
        seq: entry.seq.saturating_add(1),
        id: format!("{DEBT_ID}{}", entry.id),
        kind: EntryKind::Debt,
        at_ms: entry.at_ms,
        amount: collected.negated(),
        balance_after,
        usage: None,
    };
    vec![Event::EntryAppended(paid), Event::UncollectedSet(owed)]
}
