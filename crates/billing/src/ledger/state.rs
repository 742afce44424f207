//! What an account is, and how an event changes it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::auto::AutoTopUp;
use super::command::{Admit, EntryKind, Outcome, SettledBy};
use super::key::Key;
use super::spend::{Rate, Spend};
use crate::money::NanoUsd;
use crate::usage::Usage;

/// Everything that decisions need, in memory. Resolved holds and past entries are not here: the store
/// looks them up by id and hands them to `decide` as [`super::Prior`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// `None` until the account is provisioned.
    pub account: Option<Account>,
    /// The last journal row; 0 when there is none.
    pub seq: u64,
    /// `balance_after` of that row.
    pub balance: NanoUsd,
    /// What usage could not collect and the account still owes.
    pub uncollected: NanoUsd,
    /// Open holds by request id.
    pub holds: BTreeMap<String, Hold>,
    /// All keys by id, revoked ones included.
    pub keys: BTreeMap<String, Key>,
    /// What each key and its descendants have spent.
    pub spend: BTreeMap<String, Spend>,
    /// The request rates of keys that have a limit of it.
    pub rates: BTreeMap<String, Rate>,
    /// Automatic top-ups; `None`: they were never set.
    pub auto: Option<AutoTopUp>,
    /// What all requests together have cost since ever.
    pub used: NanoUsd,
    /// Sessions of the owner count that were issued at this time or later, in milliseconds since the epoch.
    pub sessions_valid_from_ms: i64,
}

/// What the store knows of a command's id that is not in memory: a resolved hold, or the journal row
/// that the id became.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prior {
    /// The hold with this request id, when it is resolved.
    pub hold: Option<Hold>,
    /// The journal row that the id became.
    pub entry: Option<Entry>,
}

/// The account itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its public id.
    pub account_id: String,
    /// Milliseconds since the epoch.
    pub created_at_ms: i64,
}

/// A reservation, open or resolved. Its row is its own tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The command that made it: what a repeat is compared with, and the terms that it is billed by.
    pub admit: Admit,
    /// The key that asked; `None`: the account's owner.
    pub key_id: Option<String>,
    /// What is reserved.
    pub amount: NanoUsd,
    /// Output tokens for each choice that the amount covers.
    pub granted_output: Option<u64>,
    /// When it was made, by the account's clock, in milliseconds since the epoch.
    pub opened_at_ms: i64,
    /// When it expires, in milliseconds since the epoch.
    pub deadline_ms: i64,
    /// The last sign of life of the running request.
    pub checkpoint: Option<Checkpoint>,
    /// What has become of it.
    pub state: HoldState,
}

/// What a running request had used when it last said so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Usage so far.
    pub usage: Usage,
    /// The upstream that serves the request.
    pub upstream: String,
}

/// What has become of a hold. A resolved one names the journal row that it became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldState {
    /// The money is reserved.
    Open,
    /// Settled or released by the request itself.
    Resolved(u64),
    /// Expired: a settle may still come, once, as an adjustment.
    Expired(u64),
    /// Expired, and settled later by this adjustment.
    Adjusted(u64),
}

/// One row of the journal: append-only, `seq` contiguous from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The row.
    pub seq: u64,
    /// The request's or the entry's id.
    pub id: String,
    /// Why the money moved.
    pub kind: EntryKind,
    /// Milliseconds since the epoch.
    pub at_ms: i64,
    /// Signed change of the balance.
    pub amount: NanoUsd,
    /// The balance after it.
    pub balance_after: NanoUsd,
    /// What was used; usage and late settles have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<UsageRecord>,
}

/// The usage row of one admitted request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRecord {
    /// The key that asked; `None`: the account's owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// The route, as `/v1/chat/completions`.
    pub endpoint: String,
    /// The model's public id.
    pub model: String,
    /// The upstream that served it; `None` when none was reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// Token counts.
    pub usage: Usage,
    /// How the request ended.
    pub outcome: Outcome,
    /// What became of the hold.
    pub billing_status: BillingStatus,
    /// Who counted; `None` when nothing was billed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_by: Option<SettledBy>,
    /// What the balance could not cover. In a late settle, by how much that changes what the expiry could not
    /// collect: below zero when the request turns out to cost less.
    pub uncollected: NanoUsd,
    /// The version of the price: its `effective_at_ms`.
    pub price_version: i64,
    /// The model was served without a price.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unpriced: bool,
    /// What was reserved for a request of which nothing was ever heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<NanoUsd>,
    /// What the answer lost on its way to the client, see [`super::Settle::dropped`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub dropped: String,
    /// When the request was made, by the Worker's clock, in milliseconds since the epoch.
    pub created_at_ms: i64,
    /// When it was admitted, by the account's clock: budgets count it in this period.
    pub admitted_at_ms: i64,
}

/// What became of a hold.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BillingStatus {
    /// Charged in full.
    Settled,
    /// Its deadline passed: charged by the last checkpoint, or nothing.
    Expired,
    /// Charged as far as the balance went.
    Uncollected,
    /// Freed: nothing was produced.
    Released,
}

/// One change of state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The account was made.
    Provisioned(Account),
    /// A key is new, changed or has ended.
    KeySet(Key),
    /// A hold was made.
    HoldOpened(Box<Hold>),
    /// The deadline of a hold moved, and perhaps the hold grew.
    HoldCheckpointed {
        /// The request.
        request_id: String,
        /// The new deadline, in milliseconds since the epoch.
        deadline_ms: i64,
        /// What to charge when nothing more is heard.
        checkpoint: Checkpoint,
        /// What is reserved now.
        amount: NanoUsd,
        /// Output tokens for each choice that the amount covers.
        granted_output: Option<u64>,
    },
    /// A hold was resolved.
    HoldResolved {
        /// The request.
        request_id: String,
        /// What it became.
        state: HoldState,
    },
    /// A row was added to the journal.
    EntryAppended(Entry),
    /// The amount that usage could not collect changed.
    UncollectedSet(NanoUsd),
    /// A key goes on in another one's place, with what it has spent and how often it was used of late.
    SpendCarried {
        /// The old key.
        from: String,
        /// The new one.
        to: String,
        /// What every key has spent, the new one too.
        spend: BTreeMap<String, Spend>,
        /// What all requests together have cost.
        used: NanoUsd,
        /// Up to which row of the journal.
        seq: u64,
    },
    /// Automatic top-ups changed.
    AutoSet(Box<AutoTopUp>),
    /// The owner's sessions from before this time are over, in milliseconds since the epoch.
    SessionsEnded(i64),
}

impl State {
    /// What running requests have reserved.
    #[must_use]
    pub fn held(&self) -> NanoUsd {
        // Each hold was granted from `available`, so the sum never exceeds a balance.
        self.holds.values().fold(NanoUsd::ZERO, |sum, hold| sum.plus(hold.amount).unwrap_or(sum))
    }

    /// Balance less what is reserved. Computed, never stored.
    #[must_use]
    pub fn available(&self) -> NanoUsd {
        self.balance.minus(self.held()).unwrap_or(NanoUsd::ZERO)
    }

    /// The only code that changes a state.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Provisioned(account) => self.account = Some(account.clone()),
            Event::KeySet(key) => {
                self.keys.insert(key.key_id.clone(), key.clone());
            }
            Event::HoldOpened(hold) => {
                self.count_request(hold.key_id.as_deref(), hold.opened_at_ms);
                self.holds.insert(hold.admit.request_id.clone(), Hold::clone(hold));
            }
            Event::HoldCheckpointed { request_id, deadline_ms, checkpoint, amount, granted_output } => {
                if let Some(hold) = self.holds.get_mut(request_id) {
                    hold.deadline_ms = *deadline_ms;
                    hold.checkpoint = Some(checkpoint.clone());
                    hold.amount = *amount;
                    hold.granted_output = *granted_output;
                }
            }
            Event::HoldResolved { request_id, .. } => {
                self.holds.remove(request_id);
            }
            Event::EntryAppended(entry) => {
                self.seq = entry.seq;
                self.balance = entry.balance_after;
                self.count_spend(entry);
            }
            Event::UncollectedSet(amount) => self.uncollected = *amount,
            Event::SpendCarried { from, to, spend, .. } => {
                self.spend.clone_from(spend);
                if let Some(rate) = self.rates.remove(from) {
                    self.rates.insert(to.clone(), rate);
                }
            }
            Event::AutoSet(auto) => self.auto = Some(AutoTopUp::clone(auto)),
            Event::SessionsEnded(at_ms) => self.sessions_valid_from_ms = *at_ms,
        }
    }

    /// Whether a session of the owner counts that was issued at `issued_at_s`, in seconds since the epoch. One of
    /// the very second in which sessions were ended does not: nobody knows which of the two came first.
    #[must_use]
    pub fn honours_session(&self, issued_at_s: i64) -> bool {
        issued_at_s.saturating_mul(1_000) >= self.sessions_valid_from_ms
    }

    /// Counts an admitted request against the rates of its key's lineage. Also how rates are restored
    /// from what is stored of the last minute.
    pub fn count_request(&mut self, key_id: Option<&str>, at_ms: i64) {
        let limited = self.lineage(key_id).filter(|key| key.limits.requests_per_minute.is_some());
        let limited: Vec<String> = limited.map(|key| key.key_id.clone()).collect();
        for key_id in limited {
            self.rates.entry(key_id).or_default().count(at_ms);
        }
    }

    /// Counts a charge against the spend of its key's lineage, and of the account. A debt that is paid counts for the
    /// account: no row says which keys it was made by. Also how spend is restored
    /// from the journal behind its last snapshot.
    pub fn count_spend(&mut self, entry: &Entry) {
        if entry.usage.is_some() || entry.kind == EntryKind::Debt {
            self.used = self.used.minus(entry.amount).unwrap_or(self.used);
        }
        let Some(usage) = &entry.usage else { return };
        let lineage: Vec<String> = self.lineage(usage.key_id.as_deref()).map(|key| key.key_id.clone()).collect();
        for (generation, key_id) in lineage.into_iter().enumerate() {
            let spend = self.spend.entry(key_id).or_default();
            spend.add(entry.amount.negated(), usage.admitted_at_ms);
            // Its own use, not that of those that it made.
            if generation == 0 {
                spend.last_used_ms = spend.last_used_ms.max(usage.admitted_at_ms);
            }
        }
    }

    /// Whether a hold's deadline has passed.
    #[must_use]
    pub fn has_due(&self, now_ms: i64) -> bool {
        self.holds.values().any(|hold| hold.deadline_ms <= now_ms)
    }
}
