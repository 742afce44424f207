//! What a wake reads: the whole state of an account, from as few rows as possible.

use billing::ledger::{Account, EntryKind, Hold, MINUTE_MS, Spend, State};

use super::{ENTRY_COLUMNS, HOLD_COLUMNS, KEY_COLUMNS, OPEN, Store, from_json, nano, read_entry, read_hold, read_key};
use crate::sql::{Sql, SqlError};

/// How many journal rows are read at once, from the newest back to the beginning of the last minute.
pub(super) const RATE_PAGE: u64 = 100;

/// How far the account's clock may have stepped back in two minutes, in milliseconds. After such a step an earlier
/// journal row has a later time, so request rates are restored from the rows of the last minute and of this time
/// before it.
const CLOCK_BACK_MS: i64 = 60_000;

impl<S: Sql> Store<S> {
    /// The whole state at `now_ms`. An object that was never provisioned has no tables, and its state is empty.
    ///
    /// # Errors
    /// [`SqlError`] when the database fails, or when this build cannot read a row.
    pub fn load(&self, now_ms: i64) -> Result<State, SqlError> {
        let mut state = State::default();
        if !self.add_columns()? {
            return Ok(state);
        }
        let account = "SELECT account_id, created_at_ms, uncollected_nano, spend_seq, open_from, auto_top_up,
            sessions_valid_from_ms, used_nano FROM account";
        let (mut spend_seq, mut open_from) = (0, String::new());
        for mut row in self.0.query(account, &[])? {
            state.account = Some(Account { account_id: row.text()?, created_at_ms: row.int()? });
            state.uncollected = nano(row.int()?)?;
            (spend_seq, open_from) = (row.int()?, row.text()?);
            state.auto = row.optional_text()?.map(|json| from_json(&json)).transpose()?;
            (state.sessions_valid_from_ms, state.used) = (row.int()?, nano(row.int()?)?);
        }
        let last = format!("SELECT {ENTRY_COLUMNS} FROM journal ORDER BY seq DESC LIMIT 1");
        for row in self.0.query(&last, &[])? {
            let entry = read_entry(row)?;
            (state.seq, state.balance) = (entry.seq, entry.balance_after);
        }
        for row in self.0.query(&format!("SELECT {KEY_COLUMNS} FROM keys"), &[])? {
            let key = read_key(row)?;
            state.keys.insert(key.key_id.clone(), key);
        }
        self.load_holds(&mut state, &open_from)?;
        self.load_rates(&mut state, now_ms)?;
        self.load_spend(&mut state, spend_seq)?;
        Ok(state)
    }

    /// Loads the open holds. No open hold has an id before `open_from`.
    fn load_holds(&self, state: &mut State, open_from: &str) -> Result<(), SqlError> {
        for row in self.0.query(&open_holds(), &[open_from.into()])? {
            let hold = read_hold(row)?;
            state.holds.insert(hold.admit.request_id.clone(), hold);
        }
        Ok(())
    }

    /// Restores the request rates of the last minute: from the open holds, and from the journal rows of the holds
    /// that have ended.
    fn load_rates(&self, state: &mut State, now_ms: i64) -> Result<(), SqlError> {
        if state.keys.values().all(|key| key.limits.requests_per_minute.is_none()) {
            return Ok(());
        }
        let opened = |hold: &Hold| (hold.opened_at_ms, hold.admit.request_id.clone(), hold.key_id.clone());
        let mut admitted: Vec<_> = state.holds.values().map(opened).collect();
        let begin_ms = now_ms.saturating_sub(MINUTE_MS);
        let mut before = state.seq.saturating_add(1);
        loop {
            let rows = self.0.query(&entries_backwards(), &[before.into(), RATE_PAGE.into()])?;
            let mut at_ms = i64::MIN;
            for row in rows {
                let entry = read_entry(row)?;
                (before, at_ms) = (entry.seq, entry.at_ms);
                if let (EntryKind::Usage, Some(usage)) = (entry.kind, entry.usage) {
                    admitted.push((usage.admitted_at_ms, entry.id, usage.key_id));
                }
            }
            if at_ms <= begin_ms.saturating_sub(CLOCK_BACK_MS) {
                break;
            }
        }
        admitted.retain(|(opened_at_ms, ..)| *opened_at_ms > begin_ms);
        admitted.sort_unstable();
        for (opened_at_ms, _, key_id) in admitted {
            state.count_request(key_id.as_deref(), opened_at_ms);
        }
        Ok(())
    }

    /// Loads the last snapshot of how much keys have spent, and adds the journal rows after that snapshot.
    fn load_spend(&self, state: &mut State, spend_seq: i64) -> Result<(), SqlError> {
        for mut row in self.0.query("SELECT key_id, spend FROM key_spend", &[])? {
            let (key_id, spend) = (row.text()?, from_json::<Spend>(&row.text()?)?);
            state.spend.insert(key_id, spend);
        }
        let behind = format!("SELECT {ENTRY_COLUMNS} FROM journal WHERE seq > ?1 ORDER BY seq");
        for row in self.0.query(&behind, &[spend_seq.into()])? {
            state.count_spend(&read_entry(row)?);
        }
        Ok(())
    }
}

pub(super) fn open_holds() -> String {
    format!("SELECT {HOLD_COLUMNS} FROM holds WHERE request_id >= ?1 AND state = {OPEN}")
}

pub(super) fn entries_backwards() -> String {
    format!("SELECT {ENTRY_COLUMNS} FROM journal WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2")
}
