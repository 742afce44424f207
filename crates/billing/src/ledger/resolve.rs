//! The end of a hold: settled, released or expired, each into one journal row.

use super::answer::{Answer, Decision, Refusal};
use super::bill::Bill;
use super::command::{Admit, EntryKind, Outcome, Settle, SettledBy};
use super::debt;
use super::state::{BillingStatus, Checkpoint, Entry, Event, Hold, HoldState, Prior, State, UsageRecord};
use crate::money::NanoUsd;
use crate::usage::Usage;

/// Charges what a request used, and frees the rest of its hold.
pub(super) fn settle(state: &State, settle: &Settle, prior: &Prior, now_ms: i64) -> Decision {
    let end = |hold: &Hold| Resolution {
        bill: Some(bill(hold, &settle.usage, settle.settled_by)),
        upstream: Some(settle.upstream.clone()),
        outcome: settle.outcome,
        status: BillingStatus::Settled,
        lost: None,
        dropped: settle.dropped.clone(),
    };
    if let Some(hold) = state.holds.get(&settle.request_id) {
        return Ok(resolve(state, hold, &end(hold), HoldState::Resolved, now_ms));
    }
    let hold = prior.hold.as_ref().ok_or(Refusal::UnknownHold)?;
    let entry = prior.entry.as_ref().ok_or(Refusal::UnknownHold)?;
    match hold.state {
        HoldState::Expired(_) => Ok(settle_late(state, hold, entry, &end(hold), now_ms)),
        HoldState::Open | HoldState::Resolved(_) | HoldState::Adjusted(_) => repeated(entry, &end(hold)),
    }
}

/// Frees a hold: nothing was produced.
pub(super) fn release(
    state: &State,
    request_id: &str,
    outcome: Outcome,
    upstream: Option<String>,
    prior: &Prior,
    now_ms: i64,
) -> Decision {
    let status = BillingStatus::Released;
    let freed = Resolution { bill: None, upstream, outcome, status, lost: None, dropped: String::new() };
    if let Some(hold) = state.holds.get(request_id) {
        return Ok(resolve(state, hold, &freed, HoldState::Resolved, now_ms));
    }
    match (&prior.hold, &prior.entry) {
        // Expired before the release came: it was freed, or charged by a checkpoint that stands.
        (Some(Hold { state: HoldState::Expired(_), .. }), Some(entry)) => Ok((Vec::new(), settled_answer(entry))),
        (Some(_), Some(entry)) => repeated(entry, &freed),
        _ => Err(Refusal::UnknownHold),
    }
}

/// Resolves every hold whose deadline has passed.
pub(super) fn sweep(state: &State, now_ms: i64) -> (Vec<Event>, Answer) {
    let mut after = state.clone();
    let mut events = Vec::new();
    let mut expired: u64 = 0;
    for hold in state.holds.values().filter(|hold| hold.deadline_ms <= now_ms) {
        let end = match &hold.checkpoint {
            Some(Checkpoint { usage, upstream }) => Resolution {
                bill: Some(bill(hold, usage, SettledBy::Checkpoint)),
                upstream: Some(upstream.clone()),
                outcome: Outcome::Lost,
                status: BillingStatus::Expired,
                lost: None,
                dropped: String::new(),
            },
            None => Resolution {
                bill: None,
                upstream: None,
                outcome: Outcome::Lost,
                status: BillingStatus::Expired,
                lost: Some(hold.amount),
                dropped: String::new(),
            },
        };
        let (resolved, _) = resolve(&after, hold, &end, HoldState::Expired, now_ms);
        resolved.iter().for_each(|event| after.apply(event));
        events.extend(resolved);
        expired = expired.saturating_add(1);
    }
    (events, Answer::Swept { expired })
}

/// How a hold ends.
struct Resolution {
    /// `None`: nothing is charged.
    bill: Option<Bill>,
    upstream: Option<String>,
    outcome: Outcome,
    status: BillingStatus,
    lost: Option<NanoUsd>,
    dropped: String,
}

impl Resolution {
    fn usage(&self) -> Usage {
        self.bill.map(|bill| bill.usage).unwrap_or_default()
    }

    fn settled_by(&self) -> Option<SettledBy> {
        self.bill.map(|bill| bill.settled_by)
    }

    fn cost(&self) -> NanoUsd {
        self.bill.map(|bill| bill.cost).unwrap_or_default()
    }
}

fn bill(hold: &Hold, usage: &Usage, settled_by: SettledBy) -> Bill {
    Bill::new(&hold.admit.terms.price, usage, settled_by, hold.amount)
}

/// Charges `end` as far as the balance goes, and ends the hold.
fn resolve(
    state: &State,
    hold: &Hold,
    end: &Resolution,
    becomes: fn(u64) -> HoldState,
    now_ms: i64,
) -> (Vec<Event>, Answer) {
    let cost = end.cost();
    let collected = cost.min(state.balance.max(NanoUsd::ZERO));
    let short = cost.minus(collected).unwrap_or(NanoUsd::ZERO);
    let record = record(hold, end, short, short);
    charge(state, hold, record, collected.negated(), EntryKind::Usage, becomes, now_ms)
}

/// A settle after the hold expired: one adjustment by what its cost differs from that of the expiry. What the expiry
/// could not collect is owed already, so it is not asked for again. When the request turns out to cost less, the part
/// that is still owed goes first, and the rest is given back. So the balance less what is owed always changes by
/// exactly what the request costs.
fn settle_late(state: &State, hold: &Hold, expired: &Entry, end: &Resolution, now_ms: i64) -> (Vec<Event>, Answer) {
    // Costs and their parts lie within 0 and 2^53 − 1, so their differences and this sum fit as well.
    let minus = |from: NanoUsd, what: NanoUsd| from.minus(what).unwrap_or(NanoUsd::ZERO);
    let short_before = expired.usage.as_ref().map_or(NanoUsd::ZERO, |usage| usage.uncollected);
    let paid = expired.amount.negated();
    let more = minus(minus(end.cost(), paid), short_before);
    let (collected, short) = if more >= NanoUsd::ZERO {
        let collected = more.min(state.balance.max(NanoUsd::ZERO));
        (collected, minus(more, collected))
    } else {
        let forgiven = more.max(short_before.min(state.uncollected).negated());
        (minus(more, forgiven), forgiven)
    };
    // A part that was paid since still counts as short in the first row.
    let change = if more >= NanoUsd::ZERO { short } else { more.max(short_before.negated()) };
    let short_together = short_before.plus(change).unwrap_or(short_before);
    let record = record(hold, end, short, short_together);
    charge(state, hold, record, collected.negated(), EntryKind::Adjustment, HoldState::Adjusted, now_ms)
}

/// The usage row: `uncollected` is what this row could not collect, `owed` what the request's rows could not
/// together.
fn record(hold: &Hold, end: &Resolution, uncollected: NanoUsd, owed: NanoUsd) -> UsageRecord {
    let Admit { terms, created_at_ms, .. } = &hold.admit;
    let short = owed > NanoUsd::ZERO;
    UsageRecord {
        key_id: hold.key_id.clone(),
        endpoint: terms.endpoint.clone(),
        model: terms.model.clone(),
        upstream: end.upstream.clone(),
        usage: end.usage(),
        outcome: end.outcome,
        billing_status: if short { BillingStatus::Uncollected } else { end.status },
        settled_by: end.settled_by(),
        uncollected,
        price_version: terms.price.effective_at_ms,
        unpriced: terms.unpriced,
        lost: end.lost,
        dropped: end.dropped.clone(),
        created_at_ms: *created_at_ms,
        admitted_at_ms: hold.opened_at_ms,
    }
}

fn charge(
    state: &State,
    hold: &Hold,
    record: UsageRecord,
    amount: NanoUsd,
    kind: EntryKind,
    becomes: fn(u64) -> HoldState,
    now_ms: i64,
) -> (Vec<Event>, Answer) {
    let request_id = hold.admit.request_id.clone();
    let uncollected = record.uncollected;
    // `amount` is never below −balance, and a late refund never exceeds what was charged.
    let balance = state.balance.plus(amount).unwrap_or(state.balance);
    let entry = Entry {
        seq: state.seq.saturating_add(1),
        id: request_id.clone(),
        kind,
        at_ms: now_ms,
        amount,
        balance_after: balance,
        usage: Some(record),
    };
    let answer = settled_answer(&entry);
    let resolved = Event::HoldResolved { request_id, state: becomes(entry.seq) };
    let owed = state.uncollected.plus(uncollected).unwrap_or(state.uncollected);
    let paid = debt::collect(owed, &entry);
    let mut events = vec![resolved, Event::EntryAppended(entry)];
    if owed != state.uncollected {
        events.push(Event::UncollectedSet(owed));
    }
    events.extend(paid);
    (events, answer)
}

/// The first result again, when the repeat says the same; else a conflict.
fn repeated(entry: &Entry, end: &Resolution) -> Decision {
    let same = entry.usage.as_ref().is_some_and(|first| {
        first.usage == end.usage()
            && first.outcome == end.outcome
            && first.settled_by == end.settled_by()
            && first.upstream == end.upstream
    });
    if same { Ok((Vec::new(), settled_answer(entry))) } else { Err(Refusal::Conflict) }
}

fn settled_answer(entry: &Entry) -> Answer {
    Answer::Settled {
        cost: entry.amount.negated(),
        uncollected: entry.usage.as_ref().map_or(NanoUsd::ZERO, |usage| usage.uncollected),
        balance: entry.balance_after,
        top_up: None,
        top_up_waits: false,
    }
}
