//! The tail of the journal, which D1 does not have yet, and the account's money at the same instant.
//!
//! The one rule: entries, cursor and money are read at one instant. D1 has every row up to the cursor, and the object
//! has every row after it. A reader that asks the object first, and then D1 for the rows up to that cursor, misses no
//! row and sees no row twice, whatever the outbox delivers in the meantime.

use std::collections::BTreeMap;

use billing::ledger::{Entry, State};
use billing::money::NanoUsd;
use serde::{Deserialize, Serialize};

use crate::sql::{Sql, SqlError};
use crate::store::Store;

/// The most rows in one answer: about 300 kB.
pub const MAX_ROWS: u64 = 500;

/// A question to the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The rows to return.
    pub rows: Rows,
    /// The most rows to return, up to [`MAX_ROWS`]; 0: only the money.
    pub limit: u64,
    /// Whether to return the names of all keys too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub names: bool,
}

/// Rows of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rows {
    /// The rows that D1 has not confirmed, the newest first.
    Waiting {
        /// Return only rows before this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<u64>,
    },
    /// The rows after row `seq`, whether D1 has them or not, the oldest first.
    After {
        /// The row before the first one to return.
        seq: u64,
    },
}

/// The tail of the journal at one instant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tail {
    /// The rows that the question names.
    pub entries: Vec<Entry>,
    /// The last row that D1 has confirmed.
    pub delivered_seq: u64,
    /// The last row of the journal.
    pub seq: u64,
    /// The account's balance.
    pub balance: NanoUsd,
    /// The money that running requests reserve.
    pub held: NanoUsd,
    /// The cost of usage that the balance could not pay and that the account still owes.
    pub uncollected: NanoUsd,
    /// How many requests are running.
    pub running: u64,
    /// The name of each key by its id, if the question asks for names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub key_names: BTreeMap<String, String>,
}

/// Answers `reading`. Writes nothing.
///
/// # Errors
/// [`SqlError`].
pub fn read<S: Sql>(store: &Store<S>, state: &State, reading: &Reading) -> Result<Tail, SqlError> {
    let delivered_seq = store.delivered_seq()?;
    let limit = reading.limit.min(MAX_ROWS);
    let entries = match reading.rows {
        _ if limit == 0 => Vec::new(),
        Rows::Waiting { before } => store.newest_undelivered(before, limit)?,
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
