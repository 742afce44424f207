//! The two-phase ledger of one account: reserve → settle | release | expire, and entries of money.
//!
//! [`decide`] reads the state and a command and answers with events; [`State::apply`] is the only code
//! that changes a state, one event at a time. The caller stores the events in one transaction and
//! applies them to its memory afterwards. The clock is an argument.
//!
//! The one rule: every reservation resolves exactly once, and what it resolved to is one journal row.
//! A command is idempotent by the id that the caller made: a repeat answers the first result, the same
//! id with other content is [`Refusal::Conflict`].
//!
//! When several refusals apply, the first of the order in which [`Refusal`] lists them is given.

mod admit;
mod allow;
mod answer;
mod ask;
mod attempt;
mod auto;
mod bill;
mod calendar;
mod change;
mod command;
mod debt;
mod decide;
mod key;
mod resolve;
mod rotate;
mod spend;
mod state;
mod wanted;

pub use allow::{AllowError, MAX_ENTRIES, Models, Networks};
pub use answer::{AccountView, Answer, Decision, KeyView, Refusal, Shortage};
pub use attempt::{Attempt, Stage, Step};
pub use auto::{ATTEMPT_LIFE_MS, ATTEMPT_STALE_MS, AutoTopUp, entry_id};
pub use bill::Bill;
pub use change::{Limit, LimitsChange};
pub use command::{
    Admit, Command, CreateKey, Enter, EntryKind, Outcome, RotateKey, Settle, SettledBy, Terms, UpdateKey,
};
pub use decide::decide;
pub use key::{Budget, Key, KeyLimits, Period, Permission};
pub use spend::{Rate, Spend};
pub use state::{Account, BillingStatus, Checkpoint, Entry, Event, Hold, HoldState, Prior, State, UsageRecord};
pub use wanted::{AutoSettings, SavedMethod, StopReason, Stopped};

/// How long an admit may travel: an older one is refused, for its caller has given up. Milliseconds.
pub const ADMIT_MAX_AGE_MS: i64 = 60_000;

/// How far ahead of its last checkpoint the deadline of a hold lies. Checkpoints come every 60 s at
/// the latest, so a living request always has half a minute to spare. Milliseconds.
pub const HOLD_TTL_MS: i64 = 90_000;

/// The most keys that an account may have, revoked ones included: the object scans them on each admit.
pub const MAX_KEYS: usize = 1_000;

/// How long a request counts in a rate, in milliseconds.
pub const MINUTE_MS: i64 = 60_000;

/// How many keys may descend from each other, the first included; one that was rotated lies a generation deeper.
pub const MAX_GENERATIONS: usize = 8;

#[cfg(test)]
mod tests;
