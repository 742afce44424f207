//! The journal row of a request whose tombstone is gone, or names its correction. The journal has no index by id, for that would cost every
//! request a row; but its rows are in the order of their times, and a request's id carries one.

use billing::ledger::{Entry, EntryKind};

use super::{ENTRY_COLUMNS, Store, read_entry};
use crate::sql::{Sql, SqlError};

/// How far the account's clock may stand before the Worker's, or have stepped back, in milliseconds.
const SLACK_MS: i64 = 10_000;
/// How long after its id was minted a request has its row, in milliseconds: a stream takes an hour at most, its
/// hold outlives it by 90 s, and an alarm comes once a minute.
const LONGEST_MS: i64 = 3_600_000 + 300_000;
/// How many rows are read at once, and at most: an account that settles more than this while one request runs
/// has some that are not found.
const PAGE: u64 = 200;
const MOST: u64 = 20_000;

impl<S: Sql> Store<S> {
    /// The usage row of a request that was minted at `created_at_ms`, in milliseconds since the epoch; `last` is
    /// the journal's last row.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(super) fn search(&self, request_id: &str, created_at_ms: i64, last: u64) -> Result<Option<Entry>, SqlError> {
        let from_ms = created_at_ms.saturating_sub(SLACK_MS);
        let to_ms = created_at_ms.saturating_add(LONGEST_MS).saturating_add(SLACK_MS);
        let first = self.first_at(from_ms, last)?;
        let mut after = first.saturating_sub(1);
        let end = last.min(after.saturating_add(MOST));
        let sql = format!("SELECT {ENTRY_COLUMNS} FROM journal WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3");
        loop {
            let page = self.0.query(&sql, &[after.into(), end.into(), PAGE.into()])?;
            if page.is_empty() {
                return Ok(None);
            }
            for row in page {
                let entry = read_entry(row)?;
                after = entry.seq;
                if entry.kind == EntryKind::Usage && entry.id == request_id {
                    return Ok(Some(entry));
                }
                if entry.at_ms > to_ms {
                    return Ok(None);
                }
            }
        }
    }

    /// The first of the rows 1 to `last` that was made at `at_ms` or later, or the one behind them: rows have the
    /// numbers from 1 on without gaps, and each is found at once.
    fn first_at(&self, at_ms: i64, last: u64) -> Result<u64, SqlError> {
        let (mut low, mut high) = (1, last.saturating_add(1));
        while low < high {
            let middle = low.midpoint(high);
            let row = self.0.query("SELECT at_ms FROM journal WHERE seq = ?1", &[middle.into()])?.pop();
            let made_at_ms = row.map(|mut row| row.int()).transpose()?;
            if made_at_ms.is_some_and(|made_at_ms| made_at_ms < at_ms) {
                low = middle.saturating_add(1);
            } else {
                high = middle;
            }
        }
        Ok(low)
    }
}
