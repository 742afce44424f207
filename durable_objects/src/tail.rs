//! The end of the journal, which D1 does not have yet, and the money at that moment.
//!
//! The one rule: entries, cursor and money are read at one instant. What lies behind the cursor D1 has, however much
//! the outbox delivers until it is asked; what lies before it is here. So whoever reads here first and there
//! afterwards misses no row and sees none twice.

use std::collections::BTreeMap;

use billing::ledger::{Entry, State};
use billing::money::NanoUsd;
use serde::{Deserialize, Serialize};

use crate::sql::{Sql, SqlError};
use crate::store::Store;

/// The most rows of one answer: about 300 kB.
pub const MAX_ROWS: u64 = 500;

/// What is asked of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Which rows.
    pub rows: Rows,
    /// The most of them, at most [`MAX_ROWS`]; 0: the money alone.
    pub limit: u64,
    /// Whether the names of all keys are asked for too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub names: bool,
}

/// Rows of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rows {
    /// Those that D1 has not confirmed, the newest first.
    Waiting {
        /// Only those before this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<u64>,
    },
    /// Those behind this one, whether D1 has them or not, the oldest first.
    After {
        /// Which one.
        seq: u64,
    },
}

/// The end of the journal at one instant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tail {
    /// The rows that were asked for.
    pub entries: Vec<Entry>,
    /// Up to which row D1 has the journal.
    pub delivered_seq: u64,
    /// The last row that there is.
    pub seq: u64,
    /// The balance.
    pub balance: NanoUsd,
    /// Reserved by running requests.
    pub held: NanoUsd,
    /// What usage could not collect and the account still owes.
    pub uncollected: NanoUsd,
    /// Running requests.
    pub running: u64,
    /// What each key is called, by its id, where that was asked for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub key_names: BTreeMap<String, String>,
}

/// Reads what was asked for. Writes nothing.
///
/// # Errors
/// [`SqlError`].
pub fn read<S: Sql>(store: &Store<S>, state: &State, reading: &Reading) -> Result<Tail, SqlError> {
    let delivered_seq = store.delivered_seq()?;
    let limit = reading.limit.min(MAX_ROWS);
    let entries = match reading.rows {
        _ if limit == 0 => Vec::new(),
        Rows::Waiting { before } => store.entries_waiting(before, limit)?,
        Rows::After { seq } => store.entries_after(seq, limit)?,
    };
    let names = state.keys.values().filter(|_| reading.names);
    Ok(Tail {
        entries,
        delivered_seq,
        seq: state.seq,
        balance: state.balance,
        held: state.held(),
        uncollected: state.uncollected,
        running: u64::try_from(state.holds.len()).unwrap_or(u64::MAX),
        key_names: names.map(|key| (key.key_id.clone(), key.name.clone())).collect(),
    })
}
