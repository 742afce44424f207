//! What may be asked of an account. These types and those of `answer` are the wire protocol between the
//! Worker and the account object, so their JSON is pinned by tests in `durable_objects`.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::change::LimitsChange;
use super::key::{KeyLimits, Permission};
use super::wanted::{AutoSettings, SavedMethod, StopReason};
use crate::hold::HoldRequest;
use crate::money::NanoUsd;
use crate::price::Price;
use crate::usage::Usage;

/// A command to an account. Ids are made by the caller before the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Makes the account. Idempotent.
    Provision {
        /// The account's public id.
        account_id: String,
    },
    /// Puts money in, or takes it out, other than by usage.
    Enter(Enter),
    /// Adds an API key. Idempotent by its id.
    CreateKey(CreateKey),
    /// Changes a key's name or limits. Idempotent by its content.
    UpdateKey(UpdateKey),
    /// Ends a key, and every key that it made, for good. Idempotent.
    RevokeKey {
        /// The key's id.
        key_id: String,
        /// SHA-256 of the secret of the key that asks; `None`: the account's owner.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// Asks for all keys. Writes nothing.
    Keys,
    /// Asks whether a key may do something. Writes nothing.
    Authorize {
        /// SHA-256 of the key's secret, lower-case hexadecimal.
        digest: String,
        /// What the key is to be used for; `None`: whether it lives, whatever it may do.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        permission: Option<Permission>,
        /// Where it is used from, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<IpAddr>,
    },
    /// Asks for the balance. Writes nothing.
    Balance,
    /// Reserves the most that a request can cost.
    Admit(Box<Admit>),
    /// Says that a dispatched request is still running, what it has used so far, and how much more
    /// output its hold should cover.
    Checkpoint {
        /// The admitted request.
        request_id: String,
        /// Usage so far: what is charged when nothing more is heard.
        usage: Usage,
        /// The upstream that serves the request.
        upstream: String,
        /// Output tokens for each choice that the hold should cover from now on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        grow_to: Option<u64>,
    },
    /// Charges what a request used and frees the rest of its hold.
    Settle(Settle),
    /// Frees the whole hold: nothing was produced.
    Release {
        /// The admitted request.
        request_id: String,
        /// How the request ended.
        outcome: Outcome,
        /// The last upstream that was tried, if any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        upstream: Option<String>,
    },
    /// Resolves every hold whose deadline has passed.
    Sweep,
    /// Puts a new key in another one's place, which ends in a while. Idempotent by the new key's id.
    RotateKey(RotateKey),
    /// Asks for the automatic top-ups. Writes nothing.
    AutoTopUp,
    /// Sets them, and begins again those that had stopped. Idempotent by its content.
    SetAutoTopUp(AutoSettings),
    /// Saves the method that they are paid with. News of an older method than the last changes nothing.
    SaveMethod(SavedMethod),
    /// Forgets the method. Idempotent.
    RemoveMethod,
    /// Notes that the cron has been told of the attempt in flight, so that it is not told again for two minutes.
    /// Charges nothing.
    TakeAttempt,
    /// Asks whether the attempt in flight is to be charged now. Whoever asks does at once what the answer says, see
    /// [`super::Step`].
    ChargeAttempt,
    /// The payment provider does not have an attempt that was handed out to be charged.
    AttemptNotFound {
        /// The attempt.
        attempt_id: String,
    },
    /// The owner does not want the attempt in flight: it is withdrawn, and none is made until the owner sets the
    /// automatic top-ups again. Does nothing where none is in flight.
    CancelAttempt,
    /// An attempt was refused: none is made until the owner says otherwise. Idempotent by the attempt.
    StopTopUp {
        /// The attempt.
        attempt_id: String,
        /// Why.
        reason: StopReason,
    },
    /// Ends the sessions of the account's owner: none counts any more that was issued before now.
    EndSessions,
    /// Asks what the account is and has. Writes nothing.
    Account {
        /// SHA-256 of the secret of the key that asks; `None`: the account's owner.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<String>,
        /// Where it is used from, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<IpAddr>,
    },
    /// Asks what a key is and has spent, in its own name. Writes nothing.
    OwnKey {
        /// SHA-256 of the key's secret.
        digest: String,
        /// Where it is used from, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<IpAddr>,
    },
    /// Asks for the journal row of a request. Writes nothing.
    Find {
        /// The request.
        request_id: String,
        /// When it was minted, in milliseconds since the epoch.
        created_at_ms: i64,
        /// SHA-256 of the secret of the key that asks.
        digest: String,
        /// Where it is used from, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<IpAddr>,
    },
}

impl Command {
    /// The caller's id of what the command makes or resolves, where it has one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Enter(Enter { id, .. }) => Some(id),
            Self::Admit(admit) => Some(&admit.request_id),
            Self::Settle(Settle { request_id, .. })
            | Self::Release { request_id, .. }
            | Self::Checkpoint { request_id, .. }
            | Self::Find { request_id, .. } => Some(request_id),
            Self::Provision { .. }
            | Self::CreateKey(_)
            | Self::UpdateKey(_)
            | Self::RevokeKey { .. }
            | Self::Keys
            | Self::Authorize { .. }
            | Self::Balance
            | Self::Sweep
            | Self::RotateKey(_)
            | Self::AutoTopUp
            | Self::SetAutoTopUp(_)
            | Self::SaveMethod(_)
            | Self::RemoveMethod
            | Self::TakeAttempt
            | Self::ChargeAttempt
            | Self::AttemptNotFound { .. }
            | Self::CancelAttempt
            | Self::StopTopUp { .. }
            | Self::EndSessions
            | Self::Account { .. }
            | Self::OwnKey { .. } => None,
        }
    }
}

/// An entry of money that is not usage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enter {
    /// The caller's id of the entry: a repeat of it changes nothing.
    pub id: String,
    /// Why the money moves.
    pub kind: EntryKind,
    /// Signed: positive is added to the balance.
    pub amount: NanoUsd,
}

/// Why money moved.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// A request was used, released or expired.
    Usage,
    /// A top-up.
    Credit,
    /// Money given: welcome credit, promotions.
    Grant,
    /// A top-up paid back.
    Refund,
    /// A top-up disputed by the card's owner, or won back.
    Dispute,
    /// A correction, a late settle among them.
    Adjustment,
    /// What usage could not collect, taken from money that came in later.
    Debt,
}

/// A key to add. The secret itself never reaches the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateKey {
    /// The key's public id.
    pub key_id: String,
    /// SHA-256 of its secret, lower-case hexadecimal.
    pub digest: String,
    /// The first characters of its text, by which people recognise it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub start: String,
    /// A name for people.
    pub name: String,
    /// What it may do.
    pub permissions: Vec<Permission>,
    /// How much of it.
    #[serde(default)]
    pub limits: KeyLimits,
    /// SHA-256 of the secret of the key that makes it; `None`: the account's owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// What a key is to become; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateKey {
    /// The key's public id.
    pub key_id: String,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// All limits anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<KeyLimits>,
    /// Single limits to set or to lift, once `limits` has counted.
    #[serde(default, skip_serializing_if = "LimitsChange::is_empty")]
    pub change: LimitsChange,
    /// SHA-256 of the secret of the key that asks; `None`: the account's owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// A key to replace. What it may do, how much of it and what it has spent become the new one's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotateKey {
    /// The old key's public id.
    pub key_id: String,
    /// The new one's.
    pub new_key_id: String,
    /// SHA-256 of the new secret, lower-case hexadecimal.
    pub digest: String,
    /// The first characters of the new key's text.
    pub start: String,
    /// How much longer the old key counts, in milliseconds.
    pub grace_ms: u64,
    /// SHA-256 of the secret of the key that asks; `None`: the account's owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// A reservation. `terms` and `hold` are pinned: a price that changes later does not touch them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admit {
    /// Minted by the Worker for one HTTP request.
    pub request_id: String,
    /// When it was minted, in milliseconds since the epoch.
    pub created_at_ms: i64,
    /// SHA-256 of the key's secret, lower-case hexadecimal; `None`: the account's owner, whom no key's limits
    /// bind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// What must be reserved.
    pub hold: HoldRequest,
    /// What the request will be billed by.
    pub terms: Terms,
    /// Where it comes from, where that is known. Compared with the key's limits, and never kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
}

/// What a request will be billed by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The route, as `/v1/chat/completions`.
    pub endpoint: String,
    /// The model's public id.
    pub model: String,
    /// The price in effect at admission.
    pub price: Price,
    /// The operator allows this model without a price: its rows are marked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unpriced: bool,
}

/// The end of a request that used something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settle {
    /// The admitted request.
    pub request_id: String,
    /// What was used.
    pub usage: Usage,
    /// Who counted it.
    pub settled_by: SettledBy,
    /// How the request ended.
    pub outcome: Outcome,
    /// The upstream that served it.
    pub upstream: String,
    /// What the answer lost on its way to the client, as `name=count, …`; empty: nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub dropped: String,
}

/// Who counted the tokens of a usage row.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettledBy {
    /// The provider, in its last usage.
    Upstream,
    /// We, from what was produced, because the provider did not say.
    Estimate,
    /// The last checkpoint, because nothing more was heard of the request.
    Checkpoint,
    /// We, from what was produced and from the limits of the model, because what the provider said was not possible.
    Corrected,
}

/// How a request ended, as a person would say it.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The answer came whole.
    Completed,
    /// We ended the stream: no more could be reserved for it.
    Limited,
    /// The upstream's stream ended or failed in the middle.
    Truncated,
    /// The client left before the end.
    ClientGone,
    /// No upstream gave an answer.
    UpstreamFailed,
    /// An upstream called the request invalid.
    Rejected,
    /// Nothing more was heard of the request.
    Lost,
}
