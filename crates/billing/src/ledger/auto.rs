//! Automatic top-ups: when an account asks for money by itself.
//!
//! The rules:
//! - One attempt at most is in flight, and what the attempts of a calendar month (UTC) brought, or may still bring,
//!   never exceeds the month's cap.
//! - The owner's last word counts. Each change of the settings, each new or removed card, a dispute and a
//!   cancellation withdraw the attempt in flight. Immediately before a charge the Worker asks
//!   ([`Command::ChargeAttempt`]), and the account decides again whether money is short and allowed.
//! - An account is short when its balance is below its threshold. What running requests hold does not count: most of
//!   it is given back, and each request is judged once it is settled. A threshold above the amount counts as the
//!   amount. So where the balance is not below zero and nothing is owed, one top-up ends the shortage that it was made
//!   for.
//! - Money that comes in begins no attempt, and neither does money that goes back to a card. A request that is refused
//!   for want of balance has the account look again.
//!
//! The Worker charges an attempt under the attempt's id. An attempt ends by its credit, the entry [`entry_id`]; by a
//! refusal, which stops them all until the owner says otherwise; or because the payment provider does not have it.

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::attempt::{Attempt, Stage};
use super::calendar::start_of;
use super::command::{Command, Enter, EntryKind};
use super::key::Period;
use super::state::{Event, State};
use super::wanted::{AutoSettings, SavedMethod, StopReason, Stopped};
use crate::money::NanoUsd;

/// How long a charge that was handed out may be at work, in milliseconds: the Worker gives it up within half a
/// minute, and the payment provider has it by then or never gets it.
pub const ATTEMPT_STALE_MS: i64 = 120_000;

/// How long the payment provider remembers an attempt's id, in milliseconds: Stripe forgets idempotency keys after a
/// day. An older attempt is looked up, and not asked for again.
pub const ATTEMPT_LIFE_MS: i64 = 20 * 3_600_000;

/// Everything about the automatic top-ups of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AutoTopUp {
    /// What the owner wants.
    pub settings: AutoSettings,
    /// With what is paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<SavedMethod>,
    /// The newest method that was saved or removed, by its time in milliseconds since the epoch: news of an older
    /// one comes too late.
    pub method_at_ms: i64,
    /// The attempt in flight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Attempt>,
    /// Why nothing is attempted any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
    /// The beginning of the calendar month (UTC) that `spent` counts, in milliseconds since the epoch.
    pub month_ms: i64,
    /// What the attempts of the month `month_ms` have brought or may still bring.
    pub spent: NanoUsd,
    /// How many attempts there were, ever.
    pub attempts: u64,
}

/// The id of the entry that an attempt becomes.
#[must_use]
pub fn entry_id(attempt_id: &str) -> String {
    format!("auto:{attempt_id}")
}

impl AutoTopUp {
    /// What the attempts of the month of `now_ms` brought or may still bring.
    #[must_use]
    pub fn spent_in_month(&self, now_ms: i64) -> NanoUsd {
        if start_of(Period::Monthly, now_ms) > self.month_ms { NanoUsd::ZERO } else { self.spent }
    }

    /// What a command says of them.
    fn hear(&mut self, command: &Command, now_ms: i64) {
        match command {
            Command::SetAutoTopUp(settings) => {
                self.settings = *settings;
                if settings.enabled {
                    self.stopped = None;
                }
            }
            Command::SaveMethod(method) if method.created_at_ms > self.method_at_ms => {
                self.method_at_ms = method.created_at_ms;
                self.method = Some(method.clone());
                // A newer card mends what an older one broke. What the owner cancelled, or a bank disputed, stays
                // stopped until the owner sets the top-ups again: the news of a card may be late.
                let mends =
                    |stopped: &mut Stopped| stopped.reason.is_of_method() && method.created_at_ms > stopped.at_ms;
                self.stopped.take_if(mends);
            }
            Command::RemoveMethod if self.method.is_some() => {
                self.method_at_ms = self.method_at_ms.max(now_ms);
                self.method = None;
            }
            Command::CancelAttempt if self.attempt.is_some() => self.stop(StopReason::Cancelled, now_ms),
            Command::StopTopUp { attempt_id, reason } => self.refused(attempt_id, *reason, now_ms),
            Command::AttemptNotFound { attempt_id } => self.not_found(attempt_id, now_ms),
            Command::TakeAttempt => {
                if let Some(attempt) = &mut self.attempt {
                    attempt.told_at_ms = Some(now_ms);
                }
            }
            Command::Enter(Enter { id, kind, amount }) => {
                if self.attempt.take_if(|attempt| entry_id(&attempt.id) == *id).is_none() && is_automatic(id, *kind) {
                    // An attempt that was given up was charged after all.
                    self.count(*amount, now_ms);
                }
                if *kind == EntryKind::Dispute && *amount < NanoUsd::ZERO && self.settings.enabled {
                    self.stop(StopReason::Disputed, now_ms);
                }
            }
            _ => {}
        }
        if self.attempt.as_ref().is_some_and(|attempt| !self.allows(attempt)) {
            self.withdraw();
        }
    }

    /// Whether the owner's last word is still the one under which the attempt began.
    fn allows(&self, attempt: &Attempt) -> bool {
        self.stopped.is_none() && attempt.is_of(&self.settings, self.method.as_ref())
    }

    fn stop(&mut self, reason: StopReason, now_ms: i64) {
        self.stopped = Some(Stopped { reason, at_ms: now_ms });
    }

    /// Has the attempt not be charged any more. One that may have been charged stays, to be looked up.
    fn withdraw(&mut self) {
        let Some(attempt) = self.attempt.take() else { return };
        match attempt.clone().withdrawn() {
            Some(withdrawn) => self.attempt = Some(withdrawn),
            None => self.discount(&attempt),
        }
    }

    /// The payment provider refused an attempt. One that has ended, or was never begun, stops nothing, and neither
    /// does a card that was replaced since.
    fn refused(&mut self, attempt_id: &str, reason: StopReason, now_ms: i64) {
        let Some(refused) = self.attempt.take_if(|attempt| attempt.id == attempt_id) else { return };
        self.discount(&refused);
        if self.method.as_ref().is_some_and(|method| method.method == refused.method) && self.stopped.is_none() {
            self.stop(reason, now_ms);
        }
    }

    /// The payment provider does not have an attempt. One that is not asked for again ends by that, once the Worker
    /// that was told to charge it must have given up.
    fn not_found(&mut self, attempt_id: &str, now_ms: i64) {
        let is_over = |attempt: &mut Attempt| {
            attempt.id == attempt_id && attempt.is_answer_lost(now_ms) && !attempt.may_be_asked_again(now_ms)
        };
        if let Some(over) = self.attempt.take_if(is_over) {
            self.discount(&over);
        }
    }

    /// Counts an amount in the month of `now_ms`.
    fn count(&mut self, amount: NanoUsd, now_ms: i64) {
        let spent = self.spent_in_month(now_ms);
        // A clock that is set back does not begin an earlier month again.
        self.month_ms = self.month_ms.max(start_of(Period::Monthly, now_ms));
        self.spent = spent.plus(amount).unwrap_or(spent);
    }

    /// Takes an attempt out of the month that it was counted in, unless that is over.
    fn discount(&mut self, attempt: &Attempt) {
        if start_of(Period::Monthly, attempt.counted_at_ms()) >= self.month_ms {
            self.spent = self.spent.minus(attempt.amount).unwrap_or(NanoUsd::ZERO).max(NanoUsd::ZERO);
        }
    }

    /// Whether `amount` more fits into the month of `now_ms`.
    fn has_room(&self, amount: NanoUsd, now_ms: i64) -> bool {
        self.spent_in_month(now_ms).plus(amount).is_ok_and(|spent| spent <= self.settings.monthly_cap)
    }

    /// Begins an attempt, where one is wanted, nothing is in flight, and the month's cap allows it.
    fn begin(&mut self, account_id: &str, balance: NanoUsd, now_ms: i64) {
        let AutoSettings { enabled, amount, .. } = self.settings;
        let is_short = balance < self.settings.short_below();
        let is_wanted = enabled && self.stopped.is_none() && self.attempt.is_none() && is_short;
        let Some(method) = self.method.clone().filter(|_| is_wanted && amount > NanoUsd::ZERO) else { return };
        if !self.has_room(amount, now_ms) {
            return;
        }
        self.count(amount, now_ms);
        self.attempts = self.attempts.saturating_add(1);
        self.attempt = Some(Attempt {
            id: format!("auto_{}_{}", account_id.trim_start_matches("acct_"), self.attempts),
            amount,
            customer: method.customer,
            method: method.method,
            began_at_ms: now_ms,
            terms: Some(self.settings),
            told_at_ms: None,
            stage: Stage::Waiting,
        });
    }

    /// Decides, immediately before it, whether the attempt in flight is charged: it is handed out, or withdrawn. One
    /// that was handed out before is charged again, under the same id, where the payment provider does not have it.
    fn charge(&mut self, balance: NanoUsd, not_found: Option<&str>, now_ms: i64) -> Option<Box<Attempt>> {
        let attempt = self.attempt.clone().filter(|attempt| match attempt.stage {
            Stage::Waiting => true,
            Stage::Charging { .. } => not_found == Some(&attempt.id) && attempt.may_be_asked_again(now_ms),
            Stage::Withdrawn { .. } => false,
        })?;
        let mut counted_out = self.clone();
        counted_out.discount(&attempt);
        let is_short = balance < self.settings.short_below();
        if !(is_short && self.allows(&attempt) && counted_out.has_room(attempt.amount, now_ms)) {
            self.withdraw();
            if let Some(attempt_id) = not_found {
                self.not_found(attempt_id, now_ms);
            }
            return None;
        }
        counted_out.count(attempt.amount, now_ms);
        let charging = Attempt { stage: Stage::Charging { handed_at_ms: now_ms }, ..attempt };
        counted_out.attempt = Some(charging.clone());
        *self = counted_out;
        Some(Box::new(charging))
    }

    /// Whether somebody is to be told of the attempt in flight. Whoever is told has it for a while.
    fn tell(&mut self, now_ms: i64) -> bool {
        let due = self.attempt.as_mut().filter(|attempt| attempt.due_at_ms() <= now_ms);
        due.map(|attempt| attempt.told_at_ms = Some(now_ms)).is_some()
    }
}

/// Whether an entry is the credit of an automatic top-up.
fn is_automatic(id: &str, kind: EntryKind) -> bool {
    kind == EntryKind::Credit && id.starts_with("auto:")
}

/// What a decision means for automatic top-ups. An account that has none pays nothing for this.
pub(super) fn follow(
    state: &State,
    command: &Command,
    decision: (Vec<Event>, Answer),
    now_ms: i64,
) -> (Vec<Event>, Answer) {
    let is_about = matches!(decision.1, Answer::AutoTopUp { .. });
    if state.auto.is_none() && !is_about {
        return decision;
    }
    let (mut events, mut answer) = decision;
    let before = state.auto.clone().unwrap_or_default();
    let mut auto = before.clone();
    // An entry that comes again says nothing new.
    if !matches!(command, Command::Enter(_)) || !events.is_empty() {
        auto.hear(command, now_ms);
    }
    let balance = balance_after(state, &events);
    let charge = match command {
        Command::ChargeAttempt => auto.charge(balance, None, now_ms),
        Command::AttemptNotFound { attempt_id } => auto.charge(balance, Some(attempt_id), now_ms),
        _ => None,
    };
    let begins = match command {
        Command::Settle(_) | Command::Release { .. } => true,
        // Alarms sweep for other reasons too, the delivery of money that went back among them.
        Command::Sweep => !events.is_empty(),
        Command::SetAutoTopUp(_) | Command::SaveMethod(_) => true,
        // An attempt that has ended by this made room for what the owner wants now.
        Command::ChargeAttempt | Command::AttemptNotFound { .. } => true,
        Command::Enter(Enter { kind, amount, .. }) => {
            *amount < NanoUsd::ZERO && !matches!(kind, EntryKind::Refund | EntryKind::Dispute)
        }
        _ => false,
    };
    if let (true, Some(account)) = (begins, &state.account) {
        auto.begin(&account.account_id, balance, now_ms);
    }
    let is_told = match command {
        Command::Settle(_) | Command::SetAutoTopUp(_) | Command::SaveMethod(_) => auto.tell(now_ms),
        Command::ChargeAttempt | Command::AttemptNotFound { .. } => charge.is_none() && auto.tell(now_ms),
        _ => false,
    };
    match &mut answer {
        Answer::Settled { top_up_waits, .. } => *top_up_waits = is_told,
        Answer::AutoTopUp { auto: told, top_up, top_up_waits } => {
            (**told, *top_up, *top_up_waits) = (auto.clone(), charge, is_told);
        }
        _ => {}
    }
    if auto != before {
        events.push(Event::AutoSet(Box::new(auto)));
    }
    (events, answer)
}

/// The balance once the events are applied.
fn balance_after(state: &State, events: &[Event]) -> NanoUsd {
    events.iter().fold(state.balance, |balance, event| match event {
        Event::EntryAppended(entry) => entry.balance_after,
        _ => balance,
    })
}
