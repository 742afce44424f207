//! The decision: a state and a command in, events and an answer out. Nothing here changes anything.

use super::command::{
    Admit, Answer, Command, CreateKey, Enter, EntryKind, Outcome, Permission, Refusal, Settle, SettledBy,
};
use super::state::{Account, BillingStatus, Checkpoint, Entry, Event, Hold, HoldState, Key, State, UsageRecord};
use super::{HOLD_TTL_MS, MAX_KEYS, admit};
use crate::money::NanoUsd;
use crate::usage::Usage;

/// What the store knows of a command's id that is not in memory: a resolved hold, or the journal row
/// that the id became.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prior {
    /// The hold with this request id, when it is resolved.
    pub hold: Option<Hold>,
    /// The journal row that the id became.
    pub entry: Option<Entry>,
}

/// Events to store and apply, and the answer to give once they are.
pub type Decision = Result<(Vec<Event>, Answer), Refusal>;

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
    match command {
        Command::Provision { .. } => Err(Refusal::NoAccount),
        Command::Enter(enter) => enter_money(state, enter, prior, now_ms),
        Command::CreateKey(create) => create_key(state, create, now_ms),
        Command::RevokeKey { key_id } => revoke_key(state, key_id, now_ms),
        Command::Authorize { digest, permission } => {
            let key = authorize(state, digest, *permission)?;
            Ok((Vec::new(), Answer::Authorized { key_id: key.key_id.clone() }))
        }
        Command::Balance => Ok((Vec::new(), Answer::Balance { balance: state.balance, held: state.held() })),
        Command::Admit(admit) => admit::admit(state, admit, prior, now_ms),
        Command::Checkpoint { request_id, usage, upstream } => checkpoint(state, request_id, usage, upstream, now_ms),
        Command::Settle(settle) => settle_hold(state, settle, prior, now_ms),
        Command::Release { request_id, outcome, upstream } => {
            release(state, request_id, *outcome, upstream.clone(), prior, now_ms)
        }
        Command::Sweep => sweep(state, now_ms),
    }
}

fn provision(state: &State, account_id: &str, now_ms: i64) -> (Vec<Event>, Answer) {
    if state.account.is_some() {
        return (Vec::new(), Answer::Provisioned { created: false });
    }
    let account = Account { account_id: account_id.to_owned(), created_at_ms: now_ms };
    (vec![Event::Provisioned(account)], Answer::Provisioned { created: true })
}

fn enter_money(state: &State, enter: &Enter, prior: &Prior, now_ms: i64) -> Decision {
    if let Some(entry) = &prior.entry {
        if entry.kind == enter.kind && entry.amount == enter.amount {
            return Ok((Vec::new(), Answer::Entered { seq: entry.seq, balance: entry.balance_after }));
        }
        return Err(Refusal::Conflict);
    }
    if enter.kind == EntryKind::Usage {
        return Err(Refusal::Conflict);
    }
    let balance = state.balance.plus(enter.amount).map_err(|_| Refusal::TooLarge)?;
    let entry = append(state, enter.id.clone(), enter.kind, enter.amount, balance, None, now_ms);
    let answer = Answer::Entered { seq: entry.seq, balance };
    let mut events = vec![Event::EntryAppended(entry)];
    // Money that comes in reopens an account that could not pay: the operator bears what was lost.
    if enter.amount > NanoUsd::ZERO && state.uncollected > NanoUsd::ZERO {
        events.push(Event::UncollectedSet(NanoUsd::ZERO));
    }
    Ok((events, answer))
}

fn create_key(state: &State, create: &CreateKey, now_ms: i64) -> Decision {
    let answer = Answer::KeyCreated { key_id: create.key_id.clone() };
    if let Some(key) = state.keys.get(&create.key_id) {
        return if key.digest == create.digest { Ok((Vec::new(), answer)) } else { Err(Refusal::Conflict) };
    }
    if state.keys.len() >= MAX_KEYS {
        return Err(Refusal::TooManyKeys);
    }
    let key = Key {
        key_id: create.key_id.clone(),
        digest: create.digest.clone(),
        name: create.name.clone(),
        permissions: create.permissions.clone(),
        created_at_ms: now_ms,
        revoked_at_ms: None,
    };
    Ok((vec![Event::KeyCreated(key)], answer))
}

fn revoke_key(state: &State, key_id: &str, now_ms: i64) -> Decision {
    let answer = Answer::KeyRevoked { key_id: key_id.to_owned() };
    match state.keys.get(key_id) {
        None => Err(Refusal::UnknownKey),
        Some(key) if key.revoked_at_ms.is_some() => Ok((Vec::new(), answer)),
        Some(_) => Ok((vec![Event::KeyRevoked { key_id: key_id.to_owned(), at_ms: now_ms }], answer)),
    }
}

/// The key with this digest, if it may do `permission`.
pub(super) fn authorize<'a>(state: &'a State, digest: &str, permission: Permission) -> Result<&'a Key, Refusal> {
    let key = state.keys.values().find(|key| same_digest(&key.digest, digest)).ok_or(Refusal::UnknownKey)?;
    if key.revoked_at_ms.is_some() {
        return Err(Refusal::RevokedKey);
    }
    if !key.permissions.contains(&permission) {
        return Err(Refusal::NotPermitted);
    }
    Ok(key)
}

/// Equality in time that depends on the length alone.
fn same_digest(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |diff, (x, y)| diff | (x ^ y)) == 0
}

fn checkpoint(state: &State, request_id: &str, usage: &Usage, upstream: &str, now_ms: i64) -> Decision {
    if !state.holds.contains_key(request_id) {
        return Err(Refusal::UnknownHold);
    }
    let event = Event::HoldCheckpointed {
        request_id: request_id.to_owned(),
        deadline_ms: now_ms.saturating_add(HOLD_TTL_MS),
        checkpoint: Checkpoint { usage: *usage, upstream: upstream.to_owned() },
    };
    Ok((vec![event], Answer::Checkpointed))
}

fn settle_hold(state: &State, settle: &Settle, prior: &Prior, now_ms: i64) -> Decision {
    let outcome = Resolution {
        usage: settle.usage,
        upstream: Some(settle.upstream.clone()),
        outcome: settle.outcome,
        settled_by: Some(settle.settled_by),
        status: BillingStatus::Settled,
        lost: None,
    };
    if let Some(hold) = state.holds.get(&settle.request_id) {
        return Ok(resolve(state, hold, &outcome, HoldState::Resolved, now_ms));
    }
    let hold = prior.hold.as_ref().ok_or(Refusal::UnknownHold)?;
    let entry = prior.entry.as_ref().ok_or(Refusal::UnknownHold)?;
    match hold.state {
        HoldState::Expired(_) => Ok(settle_late(state, hold, entry, &outcome, now_ms)),
        HoldState::Open | HoldState::Resolved(_) | HoldState::Adjusted(_) => repeated(entry, &outcome),
    }
}

fn release(
    state: &State,
    request_id: &str,
    outcome: Outcome,
    upstream: Option<String>,
    prior: &Prior,
    now_ms: i64,
) -> Decision {
    let freed = Resolution {
        usage: Usage::default(),
        upstream,
        outcome,
        settled_by: None,
        status: BillingStatus::Released,
        lost: None,
    };
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

fn sweep(state: &State, now_ms: i64) -> Decision {
    let mut after = state.clone();
    let mut events = Vec::new();
    let mut expired: u64 = 0;
    for hold in state.holds.values().filter(|hold| hold.deadline_ms <= now_ms) {
        let end = match &hold.checkpoint {
            Some(Checkpoint { usage, upstream }) => Resolution {
                usage: *usage,
                upstream: Some(upstream.clone()),
                outcome: Outcome::Lost,
                settled_by: Some(SettledBy::Checkpoint),
                status: BillingStatus::Expired,
                lost: None,
            },
            None => Resolution {
                usage: Usage::default(),
                upstream: None,
                outcome: Outcome::Lost,
                settled_by: None,
                status: BillingStatus::Expired,
                lost: Some(hold.amount),
            },
        };
        let (resolved, _) = resolve(&after, hold, &end, HoldState::Expired, now_ms);
        resolved.iter().for_each(|event| after.apply(event));
        events.extend(resolved);
        expired = expired.saturating_add(1);
    }
    Ok((events, Answer::Swept { expired }))
}

/// How a hold ends.
struct Resolution {
    usage: Usage,
    upstream: Option<String>,
    outcome: Outcome,
    settled_by: Option<SettledBy>,
    status: BillingStatus,
    lost: Option<NanoUsd>,
}

/// Charges `end` as far as the balance goes, and ends the hold.
fn resolve(
    state: &State,
    hold: &Hold,
    end: &Resolution,
    becomes: fn(u64) -> HoldState,
    now_ms: i64,
) -> (Vec<Event>, Answer) {
    let cost = cost(hold, end);
    let collected = cost.min(state.balance.max(NanoUsd::ZERO));
    let record = record(hold, end, cost, collected);
    charge(state, hold, record, collected.negated(), EntryKind::Usage, becomes, now_ms)
}

/// A settle after the hold expired: what it differs from the charge of the expiry is an adjustment.
fn settle_late(state: &State, hold: &Hold, expired: &Entry, end: &Resolution, now_ms: i64) -> (Vec<Event>, Answer) {
    let cost = cost(hold, end);
    // Both lie within ±(2^53 − 1), so their difference fits as well.
    let more = cost.plus(expired.amount).unwrap_or(NanoUsd::ZERO);
    let collected = more.min(state.balance.max(NanoUsd::ZERO));
    let record = record(hold, end, more, collected);
    charge(state, hold, record, collected.negated(), EntryKind::Adjustment, HoldState::Adjusted, now_ms)
}

fn cost(hold: &Hold, end: &Resolution) -> NanoUsd {
    if end.settled_by.is_none() {
        return NanoUsd::ZERO;
    }
    // A usage that money cannot express is not a usage; the hold was the most it could be.
    hold.admit.terms.price.cost(&end.usage).unwrap_or(hold.amount)
}

fn record(hold: &Hold, end: &Resolution, cost: NanoUsd, collected: NanoUsd) -> UsageRecord {
    let Admit { terms, created_at_ms, .. } = &hold.admit;
    let uncollected = cost.minus(collected).unwrap_or(NanoUsd::ZERO);
    let short = uncollected > NanoUsd::ZERO;
    UsageRecord {
        key_id: hold.key_id.clone(),
        endpoint: terms.endpoint.clone(),
        model: terms.model.clone(),
        upstream: end.upstream.clone(),
        usage: end.usage,
        outcome: end.outcome,
        billing_status: if short { BillingStatus::Uncollected } else { end.status },
        settled_by: end.settled_by,
        uncollected,
        price_version: terms.price.effective_at_ms,
        unpriced: terms.unpriced,
        lost: end.lost,
        created_at_ms: *created_at_ms,
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
    let entry = append(state, request_id.clone(), kind, amount, balance, Some(record), now_ms);
    let answer = settled_answer(&entry);
    let resolved = Event::HoldResolved { request_id, state: becomes(entry.seq) };
    let mut events = vec![resolved, Event::EntryAppended(entry)];
    if uncollected > NanoUsd::ZERO {
        events.push(Event::UncollectedSet(state.uncollected.plus(uncollected).unwrap_or(state.uncollected)));
    }
    (events, answer)
}

fn append(
    state: &State,
    id: String,
    kind: EntryKind,
    amount: NanoUsd,
    balance_after: NanoUsd,
    usage: Option<UsageRecord>,
    at_ms: i64,
) -> Entry {
    Entry { seq: state.seq.saturating_add(1), id, kind, at_ms, amount, balance_after, usage }
}

/// The first result again, when the repeat says the same; else a conflict.
fn repeated(entry: &Entry, end: &Resolution) -> Decision {
    let same = entry.usage.as_ref().is_some_and(|first| {
        first.usage == end.usage
            && first.outcome == end.outcome
            && first.settled_by == end.settled_by
            && first.upstream == end.upstream
    });
    if same { Ok((Vec::new(), settled_answer(entry))) } else { Err(Refusal::Conflict) }
}

fn settled_answer(entry: &Entry) -> Answer {
    Answer::Settled {
        cost: entry.amount.negated(),
        uncollected: entry.usage.as_ref().map_or(NanoUsd::ZERO, |usage| usage.uncollected),
        balance: entry.balance_after,
    }
}
