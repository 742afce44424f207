//! Automatic top-ups: when an account asks for money by itself.
//!
//! The one rule: one attempt at most is in flight, and what the attempts of a calendar month (UTC) brought, or may
//! still bring, never exceeds the month's cap. The account names an attempt and the Worker charges it under the
//! attempt's id, so a charge that is asked for again happens once. An attempt ends by its credit, the entry
//! [`entry_id`], or by a refusal, which stops them all until the owner says otherwise.

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::calendar::start_of;
use super::command::{Command, Enter, EntryKind};
use super::key::Period;
use super::state::{Event, State};
use crate::money::NanoUsd;

/// How long an attempt that was handed out is left alone before it is handed out again, in milliseconds: whoever
/// charges it gives up within half a minute, and is told again under the same id.
pub const ATTEMPT_STALE_MS: i64 = 120_000;

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
    /// When the month began in which the last attempt did, in milliseconds since the epoch.
    pub month_ms: i64,
    /// What its attempts brought or may still bring.
    pub spent: NanoUsd,
    /// How many attempts there were, ever.
    pub attempts: u64,
}

/// What the owner wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AutoSettings {
    /// Whether there are any.
    pub enabled: bool,
    /// Below this much available money is asked for.
    pub threshold: NanoUsd,
    /// How much.
    pub amount: NanoUsd,
    /// The most in a calendar month.
    pub monthly_cap: NanoUsd,
}

/// A method that its owner agreed to have charged while away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedMethod {
    /// Whose, at the payment provider.
    pub customer: String,
    /// Which, there.
    pub method: String,
    /// As `visa`.
    pub brand: String,
    /// The last four digits.
    pub last4: String,
    /// When it was entered, in milliseconds since the epoch.
    pub created_at_ms: i64,
}

/// One payment to attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Names the payment everywhere.
    pub id: String,
    /// How much.
    pub amount: NanoUsd,
    /// Whose method.
    pub customer: String,
    /// Which.
    pub method: String,
    /// Milliseconds since the epoch.
    pub began_at_ms: i64,
    /// When somebody was last told to charge it, in milliseconds since the epoch; `None`: nobody was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed_at_ms: Option<i64>,
}

/// Why nothing is attempted any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// What happened.
    pub reason: StopReason,
    /// Milliseconds since the epoch.
    pub at_ms: i64,
}

/// What ends automatic top-ups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The method was declined.
    Declined,
    /// The bank wants its owner to confirm the payment.
    AuthenticationRequired,
    /// The method cannot be charged any more.
    MethodUnusable,
    /// A payment was disputed.
    Disputed,
}

/// The id of the entry that an attempt becomes.
#[must_use]
pub fn entry_id(attempt_id: &str) -> String {
    format!("auto:{attempt_id}")
}

impl Attempt {
    /// When somebody is to be told to charge it, in milliseconds since the epoch.
    #[must_use]
    pub fn due_at_ms(&self) -> i64 {
        self.handed_at_ms.map_or(self.began_at_ms, |at_ms| at_ms.saturating_add(ATTEMPT_STALE_MS))
    }
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
                self.stopped = None;
            }
            Command::RemoveMethod if self.method.is_some() => {
                self.method_at_ms = self.method_at_ms.max(now_ms);
                self.method = None;
            }
            Command::StopTopUp { attempt_id, reason } => {
                // One that has ended, or was never begun, stops nothing.
                if let Some(refused) = self.attempt.take_if(|attempt| attempt.id == *attempt_id) {
                    self.spent = self.spent.minus(refused.amount).unwrap_or(NanoUsd::ZERO);
                    self.stopped = Some(Stopped { reason: *reason, at_ms: now_ms });
                }
            }
            Command::Enter(Enter { id, kind, amount }) => {
                self.attempt.take_if(|attempt| entry_id(&attempt.id) == *id);
                if *kind == EntryKind::Dispute && *amount < NanoUsd::ZERO && self.settings.enabled {
                    self.stopped = Some(Stopped { reason: StopReason::Disputed, at_ms: now_ms });
                }
            }
            _ => {}
        }
    }

    /// Begins an attempt, where one is wanted, nothing is in flight, and the month's cap allows it.
    fn begin(&mut self, account_id: &str, available: NanoUsd, now_ms: i64) {
        let AutoSettings { enabled, threshold, amount, monthly_cap } = self.settings;
        let is_wanted = enabled && self.stopped.is_none() && self.attempt.is_none() && available < threshold;
        let Some(method) = self.method.as_ref().filter(|_| is_wanted && amount > NanoUsd::ZERO) else { return };
        let Some(spent) = self.spent_in_month(now_ms).plus(amount).ok().filter(|spent| *spent <= monthly_cap) else {
            return;
        };
        // A clock that is set back does not begin an earlier month again.
        self.month_ms = self.month_ms.max(start_of(Period::Monthly, now_ms));
        self.spent = spent;
        self.attempts = self.attempts.saturating_add(1);
        self.attempt = Some(Attempt {
            id: format!("auto_{}_{}", account_id.trim_start_matches("acct_"), self.attempts),
            amount,
            customer: method.customer.clone(),
            method: method.method.clone(),
            began_at_ms: now_ms,
            handed_at_ms: None,
        });
    }

    fn hand_out(&mut self, now_ms: i64) -> Option<Box<Attempt>> {
        let attempt = self.attempt.as_mut()?;
        attempt.handed_at_ms = Some(now_ms);
        Some(Box::new(attempt.clone()))
    }
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
    // A dispute that comes again says nothing new.
    if !matches!(command, Command::Enter(_)) || !events.is_empty() {
        auto.hear(command, now_ms);
    }
    // Money that goes back must not have the card charged for it.
    let begins = match command {
        Command::Settle(_) | Command::Release { .. } => true,
        // Alarms sweep for other reasons too, the delivery of money that went back among them.
        Command::Sweep => !events.is_empty(),
        Command::SetAutoTopUp(_) | Command::SaveMethod(_) => true,
        Command::Enter(enter) => !matches!(enter.kind, EntryKind::Refund | EntryKind::Dispute),
        _ => false,
    };
    if let (true, Some(account)) = (begins, &state.account) {
        auto.begin(&account.account_id, available_after(state, &events), now_ms);
    }
    let is_due = auto.attempt.as_ref().is_some_and(|attempt| attempt.due_at_ms() <= now_ms);
    let due = match command {
        Command::TakeAttempt => auto.hand_out(now_ms),
        Command::Settle(_) | Command::SetAutoTopUp(_) | Command::SaveMethod(_) if is_due => auto.hand_out(now_ms),
        _ => None,
    };
    match &mut answer {
        Answer::Settled { top_up, .. } => *top_up = due,
        Answer::AutoTopUp { auto: told, top_up } => (**told, *top_up) = (auto.clone(), due),
        _ => {}
    }
    if auto != before {
        events.push(Event::AutoSet(Box::new(auto)));
    }
    (events, answer)
}

/// Balance less what is reserved, once the events are applied.
fn available_after(state: &State, events: &[Event]) -> NanoUsd {
    let (mut balance, mut held) = (state.balance, state.held());
    for event in events {
        match event {
            Event::EntryAppended(entry) => balance = entry.balance_after,
            Event::HoldResolved { request_id, .. } => {
                let freed = state.holds.get(request_id).map_or(NanoUsd::ZERO, |hold| hold.amount);
                held = held.minus(freed).unwrap_or(NanoUsd::ZERO);
            }
            _ => {}
        }
    }
    balance.minus(held).unwrap_or(NanoUsd::ZERO)
}
