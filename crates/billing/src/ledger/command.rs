//! What may be asked of an account, and what it answers. These types are the wire protocol between
//! the Worker and the account object, so their JSON is pinned by tests in `durable_objects`.

use serde::{Deserialize, Serialize};

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
    /// Ends a key for good. Idempotent.
    RevokeKey {
        /// The key's id.
        key_id: String,
    },
    /// Asks whether a key may do something. Writes nothing.
    Authorize {
        /// SHA-256 of the key's secret, lower-case hexadecimal.
        digest: String,
        /// What the key is to be used for.
        permission: Permission,
    },
    /// Asks for the balance. Writes nothing.
    Balance,
    /// Reserves the most that a request can cost.
    Admit(Box<Admit>),
    /// Says that a dispatched request is still running, and what it has used so far.
    Checkpoint {
        /// The admitted request.
        request_id: String,
        /// Usage so far: what is charged when nothing more is heard.
        usage: Usage,
        /// The upstream that serves the request.
        upstream: String,
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
            | Self::Checkpoint { request_id, .. } => Some(request_id),
            Self::Provision { .. }
            | Self::CreateKey(_)
            | Self::RevokeKey { .. }
            | Self::Authorize { .. }
            | Self::Balance
            | Self::Sweep => None,
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
}

/// A key to add. The secret itself never reaches the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateKey {
    /// The key's public id.
    pub key_id: String,
    /// SHA-256 of its secret, lower-case hexadecimal.
    pub digest: String,
    /// A name for people.
    pub name: String,
    /// What it may do.
    pub permissions: Vec<Permission>,
}

/// What a key may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Permission {
    /// Run models and list them.
    #[serde(rename = "inference")]
    Inference,
    /// Read balance, usage and keys.
    #[serde(rename = "account:read")]
    AccountRead,
    /// Make and revoke keys.
    #[serde(rename = "keys:write")]
    KeysWrite,
}

/// A reservation. `terms` and `hold` are pinned: a price that changes later does not touch them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admit {
    /// Minted by the Worker for one HTTP request.
    pub request_id: String,
    /// When it was minted, in milliseconds since the epoch.
    pub created_at_ms: i64,
    /// SHA-256 of the key's secret, lower-case hexadecimal.
    pub digest: String,
    /// What must be reserved.
    pub hold: HoldRequest,
    /// What the request will be billed by.
    pub terms: Terms,
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
}

/// Who counted the tokens of a usage row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettledBy {
    /// The provider, in its last usage.
    Upstream,
    /// We, from what was produced, because the provider did not say.
    Estimate,
    /// The last checkpoint, because nothing more was heard of the request.
    Checkpoint,
}

/// How a request ended, as a person would say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The answer came whole.
    Completed,
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
    /// The key has ended.
    KeyRevoked {
        /// Its public id.
        key_id: String,
    },
    /// The key may do it.
    Authorized {
        /// Its public id.
        key_id: String,
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
        /// The key that asked.
        key_id: String,
        /// Output tokens for each choice that the hold covers, where the request has an output.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        granted_output: Option<u64>,
    },
    /// The deadline was moved.
    Checkpointed,
    /// The hold is resolved.
    Settled {
        /// What was taken from the balance.
        cost: NanoUsd,
        /// What the balance could not cover.
        uncollected: NanoUsd,
        /// The balance after it.
        balance: NanoUsd,
    },
    /// The sweep is done.
    Swept {
        /// How many holds it resolved.
        expired: u64,
    },
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
    /// The key was revoked.
    #[error("the key was revoked")]
    RevokedKey,
    /// The key may not do this.
    #[error("the key lacks the permission")]
    NotPermitted,
    /// The account has [`super::MAX_KEYS`] keys.
    #[error("the account has too many keys")]
    TooManyKeys,
    /// No hold has this request id.
    #[error("no such hold")]
    UnknownHold,
    /// The balance does not cover the least hold, or an earlier request is still uncollected.
    #[error("the balance does not cover the request")]
    InsufficientCredit {
        /// Balance less what is reserved.
        available: NanoUsd,
        /// Reserved by running requests.
        held: NanoUsd,
        /// The least amount with which the request would be admitted.
        needed: NanoUsd,
    },
    /// The amount does not fit into an account.
    #[error("the amount is beyond what an account can hold")]
    TooLarge,
}
