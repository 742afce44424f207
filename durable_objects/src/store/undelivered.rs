//! What D1 does not have yet: the journal rows after the cursor, and the keys that have changed. The cursor is the last
//! journal row that D1 has confirmed.

use billing::ledger::{Entry, Key};
use billing::usage::MAX_COUNT;

use super::{ENTRY_COLUMNS, Store, nano, read_entry, to_json, unsigned};
use crate::audit::Line;
use crate::sql::{Row, Sql, SqlError, Value};

impl<S: Sql> Store<S> {
    /// The cursor, and the journal rows after it, the oldest first.
    ///
    /// # Errors
    /// [`SqlError`].
    pub fn oldest_undelivered(&self, limit: u64) -> Result<(u64, Vec<Entry>), SqlError> {
        let cursor = self.delivered_seq()?;
        Ok((cursor, self.entries_after(cursor, limit)?))
    }

    /// The journal rows after the cursor and before row `before`, the newest first.
    ///
    /// # Errors
    /// [`SqlError`].
    pub fn newest_undelivered(&self, before: Option<u64>, limit: u64) -> Result<Vec<Entry>, SqlError> {
        let sql = format!(
            "SELECT {ENTRY_COLUMNS} FROM journal
            WHERE seq > (SELECT delivered_seq FROM account) AND seq < ?1 ORDER BY seq DESC LIMIT ?2"
        );
        let before = before.unwrap_or(MAX_COUNT).min(MAX_COUNT);
        self.0.query(&sql, &[before.into(), limit.into()])?.into_iter().map(read_entry).collect()
    }

    /// The journal rows after row `after`, the oldest first.
    ///
    /// # Errors
    /// [`SqlError`].
    pub fn entries_after(&self, after: u64, limit: u64) -> Result<Vec<Entry>, SqlError> {
        let sql = format!("SELECT {ENTRY_COLUMNS} FROM journal WHERE seq > ?1 ORDER BY seq LIMIT ?2");
        self.0.query(&sql, &[after.min(MAX_COUNT).into(), limit.into()])?.into_iter().map(read_entry).collect()
    }

    /// The time of the oldest journal row after the cursor, in milliseconds since the epoch; `None`: D1 has every row.
    ///
    /// # Errors
    /// [`SqlError`].
    pub fn undelivered_since_ms(&self) -> Result<Option<i64>, SqlError> {
        let sql = "SELECT at_ms FROM journal WHERE seq > (SELECT delivered_seq FROM account) ORDER BY seq LIMIT 1";
        self.0.query(sql, &[])?.pop().map(|mut row| row.int()).transpose()
    }

    /// The next page of the journal after row `after`, in the columns that an audit needs.
    ///
    /// # Errors
    /// [`SqlError`].
    pub fn lines(&self, after: u64, limit: u64) -> Result<Vec<Line>, SqlError> {
        let sql = "SELECT seq, id, amount_nano, balance_after_nano FROM journal WHERE seq > ?1 ORDER BY seq LIMIT ?2";
        let rows = self.0.query(sql, &[after.into(), limit.into()])?;
        let read = |mut row: Row| {
            let (seq, id) = (unsigned(row.int()?)?, row.text()?);
            Ok(Line { seq, id, amount: nano(row.int()?)?, balance_after: nano(row.int()?)? })
        };
        rows.into_iter().map(read).collect()
    }

    /// D1 has confirmed the journal rows after `after`, up to `seq`: moves the cursor from `after` to `seq`. When an
    /// audit has set the cursor back in the meantime, the cursor stays, and the delivery begins again from there.
    /// Returns the cursor.
    ///
    /// # Errors
    /// [`SqlError`].
    pub fn entries_delivered(&self, after: u64, seq: u64) -> Result<u64, SqlError> {
        self.move_cursor("UPDATE account SET delivered_seq = ?1 WHERE delivered_seq = ?2", &[seq.into(), after.into()])
    }

    /// D1 may lack journal rows after `seq`: sets the cursor back to `seq`, unless the cursor is before `seq` already.
    /// Returns the cursor.
    ///
    /// # Errors
    /// [`SqlError`].
    pub fn deliver_again(&self, seq: u64) -> Result<u64, SqlError> {
        self.move_cursor("UPDATE account SET delivered_seq = ?1 WHERE delivered_seq > ?1", &[seq.into()])
    }

    fn move_cursor(&self, update: &str, values: &[Value]) -> Result<u64, SqlError> {
        self.0.query(update, values)?;
        self.delivered_seq()
    }

    /// The cursor: the last journal row that D1 has confirmed; 0: none.
    ///
    /// # Errors
    /// [`SqlError`].
    pub fn delivered_seq(&self) -> Result<u64, SqlError> {
        let row = self.0.query("SELECT delivered_seq FROM account", &[])?.pop();
        unsigned(row.map(|mut row| row.int()).transpose()?.unwrap_or(0))
    }

    /// The ids of the keys whose present state D1 has not confirmed.
    ///
    /// # Errors
    /// [`SqlError`].
    pub fn undelivered_keys(&self) -> Result<Vec<String>, SqlError> {
        let rows = self.0.query("SELECT key_id FROM keys WHERE delivered = 0", &[])?;
        rows.into_iter().map(|mut row| row.text()).collect()
    }

    /// D1 has confirmed this state of the key. A key that has changed since stays undelivered.
    ///
    /// # Errors
    /// [`SqlError`].
    pub fn key_delivered(&self, key: &Key) -> Result<(), SqlError> {
        let sql = "UPDATE keys SET delivered = 1
            WHERE key_id = ?1 AND name = ?2 AND limits = ?3 AND revoked_at_ms IS ?4 AND parent IS ?5";
        let values = [
            key.key_id.as_str().into(),
            key.name.as_str().into(),
            to_json(&key.limits)?.into(),
            key.revoked_at_ms.into(),
            key.parent.clone().into(),
        ];
        self.0.query(sql, &values).map(drop)
    }
}
