//! What an account answers: what it did, or why it did nothing. Pinned with the commands.

use serde::{Deserialize, Serialize};

use super::attempt::Attempt;
use super::auto::AutoTopUp;
use super::key::{Key, Period};
use super::spend::Spend;
use super::state::{Entry, Event};
use crate::money::NanoUsd;

/// What an account answers when it did what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The account is there.
    Provisioned {
        /// Whether this call made it.
        created: bool,
    },
    /// The entry is in the journal.
    Entered {
        /// Its row.
        seq: u64,
        /// The balance after it.
        balance: NanoUsd,
    },
    /// The key is there.
    KeyCreated {
        /// Its public id.
        key_id: String,
    },
    /// The key is as it was asked to be.
    KeyUpdated {
        /// Its public id.
        key_id: String,
        /// The key as it is now; `None`: the account object is of the version before and knows no change of single
        /// limits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<Box<KeyView>>,
    },
    /// The key has ended, and with it every key that it made.
    KeyRevoked {
        /// All that ended now.
        key_ids: Vec<String>,
    },
    /// The account's keys, the revoked ones among them.
    Keys(Vec<KeyView>),
    /// The key may do it.
    Authorized {
        /// The key, its models narrowed to what the keys that it descends from allow.
        key: Box<Key>,
    },
    /// The account's money.
    Balance {
        /// Posted: everything in the journal.
        balance: NanoUsd,
        /// Reserved by running requests.
        held: NanoUsd,
    },
    /// The hold is there: the request may be dispatched.
    Admitted {
        /// The key that asked; `None`: the account's owner.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key_id: Option<String>,
        /// Output tokens for each choice that the hold covers, where the request has an output.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        granted_output: Option<u64>,
        /// Balance less everything reserved, this hold too; only for keys that may read the account, and its
        /// owner.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        available: Option<NanoUsd>,
    },
    /// The deadline was moved, and the hold grew as far as it could.
    Checkpointed {
        /// Output tokens for each choice that the hold covers now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        granted_output: Option<u64>,
    },
    /// The hold is resolved.
    Settled {
        /// What was taken from the balance; below zero when a late settle gives some back.
        cost: NanoUsd,
        /// What the balance could not cover, as in the usage row.
        uncollected: NanoUsd,
        /// The balance after it.
        balance: NanoUsd,
        /// An automatic top-up, as objects of the version before name it here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        top_up: Option<Box<Attempt>>,
        /// An automatic top-up waits: the Worker that hears this looks after it, see [`super::Command::ChargeAttempt`].
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        top_up_waits: bool,
    },
    /// The sweep is done.
    Swept {
        /// How many holds it resolved.
        expired: u64,
    },
    /// The new key is there, and the old one ends.
    KeyRotated {
        /// The new key.
        key: Box<Key>,
        /// When the old one ends, in milliseconds since the epoch.
        old_ends_at_ms: i64,
    },
    /// The automatic top-ups, once what was asked is done.
    AutoTopUp {
        /// How they stand.
        auto: Box<AutoTopUp>,
        /// The attempt that the Worker charges at once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        top_up: Option<Box<Attempt>>,
        /// As in [`Self::Settled`].
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        top_up_waits: bool,
    },
    /// The sessions are over.
    SessionsEnded,
    /// What the account is and has.
    Account(Box<AccountView>),
    /// The key that asked.
    OwnKey(Box<KeyView>),
    /// The journal row of a request.
    Found {
        /// `None`: there is none yet, or none that the key may see.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        entry: Option<Box<Entry>>,
    },
}

/// What an account is and has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountView {
    /// Its public id.
    pub account_id: String,
    /// Milliseconds since the epoch.
    pub created_at_ms: i64,
    /// Posted: everything in the journal.
    pub balance: NanoUsd,
    /// Reserved by running requests.
    pub held: NanoUsd,
    /// What usage could not collect and the account still owes.
    pub uncollected: NanoUsd,
    /// What all requests together have cost since ever.
    pub used: NanoUsd,
}

/// A key with what it has spent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyView {
    /// The key.
    pub key: Key,
    /// By itself and by the keys that it made.
    pub spend: Spend,
    /// Requests that run now.
    pub running: u64,
    /// When it last had a request admitted itself, in milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_ms: Option<i64>,
}

/// Why the money was not enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shortage {
    /// The balance itself is too low.
    Balance,
    /// The balance would do, but running requests hold it: worth a retry.
    Held,
    /// The key's budget is used up.
    KeyBudget,
}

/// Why an account did nothing. Listed in order of precedence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Nobody provisioned this account.
    #[error("there is no such account")]
    NoAccount,
    /// The id was used before, with other content or for something that has ended.
    #[error("the id was used before with other content")]
    Conflict,
    /// The admit is older than [`super::ADMIT_MAX_AGE_MS`], or from the future by more than that.
    #[error("the admit is too old")]
    Stale,
    /// No key has this secret.
    #[error("no such key")]
    UnknownKey,
    /// The key, or one that it descends from, was revoked.
    #[error("the key was revoked")]
    RevokedKey,
    /// The key, or one that it descends from, has expired.
    #[error("the key has expired")]
    ExpiredKey,
    /// The key was rotated: until it ends it runs requests, and does nothing else.
    #[error("the key was rotated and only runs requests")]
    RotatedKey,
    /// The key may not do this.
    #[error("the key lacks the permission")]
    NotPermitted,
    /// The key, or one that it descends from, may not be used from this address.
    #[error("the key may not be used from this address")]
    AddressNotAllowed,
    /// The key, or one that it descends from, may not ask for this model.
    #[error("the key may not ask for this model")]
    ModelNotAllowed,
    /// The key was rotated: the one that replaces it is to be changed.
    #[error("the key was rotated")]
    ReplacedKey,
    /// A new key would be allowed more than the one that makes it.
    #[error("a key cannot make a key that may do more than itself")]
    Exceeds,
    /// The account has [`super::MAX_KEYS`] keys.
    #[error("the account has too many keys")]
    TooManyKeys,
    /// No hold has this request id.
    #[error("no such hold")]
    UnknownHold,
    /// The key has used up its requests of this minute.
    #[error("too many requests a minute")]
    RateLimited {
        /// When the next one is admitted, in milliseconds from now.
        retry_after_ms: u64,
    },
    /// The key has as many running requests as it may have.
    #[error("too many running requests")]
    TooManyRunning,
    /// The budget or the balance does not cover the least hold, or an earlier request is still
    /// uncollected. The budget is looked at first.
    #[error("the balance does not cover the request")]
    InsufficientCredit {
        /// Which of them.
        reason: Shortage,
        /// What is left of the budget, or the balance less what is reserved.
        available: NanoUsd,
        /// Reserved by running requests.
        held: NanoUsd,
        /// The least amount with which the request would be admitted.
        needed: NanoUsd,
        /// How often the budget that is short renews; `None`: no budget is short.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        period: Option<Period>,
    },
    /// The amount does not fit into an account.
    #[error("the amount is beyond what an account can hold")]
    TooLarge,
    /// The owner has ended the session that asks. Found out before the command is looked at, so it comes
    /// before all of the above but [`Self::NoAccount`].
    #[error("the session was ended")]
    SignedOut,
}

/// Events to store and apply, and the answer to give once they are.
pub type Decision = Result<(Vec<Event>, Answer), Refusal>;
