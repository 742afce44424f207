//! The account's tables: how they are created (`schema.rs`), how a state is loaded (`load.rs`), how an event is
//! written, how a row is found (`search.rs`), and which rows D1 does not have yet (`undelivered.rs`).
//!
//! The one rule: an ordinary request writes three rows. The request inserts its hold's row, updates that row when the
//! hold resolves, and appends one journal row. The resolved row stays as the hold's tombstone: it answers a repeated
//! command. No table that a request writes has a second index.
//!
//! A wake must not read the tombstones of a whole day. Therefore `account.open_from` is a request id before which no hold
//! is open: request ids sort by time. A hold with a smaller id than that sets `open_from` back, so ids may also arrive in
//! another order.

use std::collections::BTreeMap;

use billing::ledger::{Checkpoint, Command, Entry, Event, Hold, HoldState, Key, Prior, Spend, State};
use billing::money::NanoUsd;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::sql::{Row, Sql, SqlError, Value};

mod load;
mod schema;
mod search;
mod undelivered;

const HOLD_COLUMNS: &str =
    "admit, key_id, amount_nano, granted_output, opened_at_ms, deadline_ms, checkpoint, state, seq";
const KEY_COLUMNS: &str =
    "key_id, digest, name, permissions, limits, parent, created_at_ms, revoked_at_ms, start, replaced_by";
const ENTRY_COLUMNS: &str = "seq, id, kind, at_ms, amount_nano, balance_after_nano, usage";

const OPEN: i64 = 0;
const RESOLVED: i64 = 1;
const EXPIRED: i64 = 2;
const ADJUSTED: i64 = 3;

/// How long a resolved hold answers repeated commands, in milliseconds: a day.
pub const TOMBSTONE_MS: i64 = 86_400_000;

/// The tables of one account.
#[derive(Debug, Clone)]
pub struct Store<S>(pub S);

impl<S: Sql> Store<S> {
    /// Writes how much each key has spent, and from which request id on holds may be open, so that a wake need not
    /// read the whole journal and all tombstones. The caller wraps this in one transaction.
    ///
    /// # Errors
    /// [`SqlError`].
    pub fn snapshot(&self, state: &State) -> Result<(), SqlError> {
        self.write_spend(&state.spend)?;
        let first_open = state.holds.keys().next().map(String::as_str);
        let update = "UPDATE account SET spend_seq = ?1, used_nano = ?3,
            open_from = coalesce(?2, (SELECT max(request_id) FROM holds), open_from)";
        self.0.query(update, &[state.seq.into(), first_open.into(), state.used.nano().into()]).map(drop)
    }

    fn write_spend(&self, spend: &BTreeMap<String, Spend>) -> Result<(), SqlError> {
        let upsert = "INSERT INTO key_spend (key_id, spend) VALUES (?1, ?2)
            ON CONFLICT (key_id) DO UPDATE SET spend = excluded.spend WHERE spend <> excluded.spend";
        for (key_id, spend) in spend {
            self.0.query(upsert, &[key_id.as_str().into(), to_json(spend)?.into()])?;
        }
        Ok(())
    }

    /// What the tables know of the command's id beside the state: a resolved hold, a journal entry, or nothing.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn prior(&self, command: &Command, state: &State) -> Result<Prior, SqlError> {
        let (Some(id), true) = (command.id(), state.account.is_some()) else { return Ok(Prior::default()) };
        if let Command::Enter(_) = command {
            let seq = self.0.query("SELECT seq FROM entry_ids WHERE id = ?1", &[id.into()])?.pop();
            let entry = seq.map(|mut row| row.int()).transpose()?.map(|seq| self.entry(seq)).transpose()?.flatten();
            return Ok(Prior { hold: None, entry });
        }
        if state.holds.contains_key(id) {
            return Ok(Prior::default());
        }
        let sql = format!("SELECT {HOLD_COLUMNS} FROM holds WHERE request_id = ?1");
        let hold = self.0.query(&sql, &[id.into()])?.pop().map(read_hold).transpose()?;
        if let Command::Find { request_id, created_at_ms, .. } = command {
            let entry = match hold.map(|hold| hold.state) {
                Some(HoldState::Resolved(seq) | HoldState::Expired(seq)) => {
                    self.entry(i64::try_from(seq).unwrap_or(i64::MAX))?
                }
                _ => self.search(request_id, *created_at_ms, state.seq)?,
            };
            return Ok(Prior { hold: None, entry });
        }
        let Some(hold) = hold else { return Ok(Prior::default()) };
        let entry = match hold.state {
            HoldState::Open => None,
            HoldState::Resolved(seq) | HoldState::Expired(seq) | HoldState::Adjusted(seq) => {
                self.entry(i64::try_from(seq).unwrap_or(i64::MAX))?
            }
        };
        Ok(Prior { hold: Some(hold), entry })
    }

    fn entry(&self, seq: i64) -> Result<Option<Entry>, SqlError> {
        let sql = format!("SELECT {ENTRY_COLUMNS} FROM journal WHERE seq = ?1");
        self.0.query(&sql, &[seq.into()])?.pop().map(read_entry).transpose()
    }

    /// Writes one event. The caller wraps all events of a decision in one transaction.
    ///
    /// # Errors
    /// [`SqlError`]; nothing of the transaction may then be kept.
    pub fn apply(&self, event: &Event) -> Result<(), SqlError> {
        let run = |sql: &str, params: &[Value]| self.0.query(sql, params).map(drop);
        match event {
            Event::Provisioned(account) => {
                schema::TABLES.iter().try_for_each(|table| run(table, &[]))?;
                run(
                    "INSERT INTO account (id, account_id, created_at_ms) VALUES (1, ?1, ?2)",
                    &[account.account_id.as_str().into(), account.created_at_ms.into()],
                )
            }
            Event::KeySet(key) => run(
                "INSERT INTO keys (key_id, digest, name, permissions, limits, parent, created_at_ms, revoked_at_ms, start,
                     replaced_by)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                 ON CONFLICT (key_id) DO UPDATE SET name = excluded.name, limits = excluded.limits,
                     parent = excluded.parent, revoked_at_ms = excluded.revoked_at_ms,
                     replaced_by = excluded.replaced_by, delivered = 0",
                &[
                    key.key_id.as_str().into(),
                    key.digest.as_str().into(),
                    key.name.as_str().into(),
                    to_json(&key.permissions)?.into(),
                    to_json(&key.limits)?.into(),
                    key.parent.clone().into(),
                    key.created_at_ms.into(),
                    key.revoked_at_ms.into(),
                    key.start.as_str().into(),
                    key.replaced_by.clone().into(),
                ],
            ),
            Event::HoldOpened(hold) => {
                let request_id = hold.admit.request_id.as_str();
                run("UPDATE account SET open_from = ?1 WHERE open_from > ?1", &[request_id.into()])?;
                run(
                    "INSERT INTO holds (request_id, admit, key_id, amount_nano, granted_output, opened_at_ms, deadline_ms, state)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0)",
                    &[
                        request_id.into(),
                        to_json(&hold.admit)?.into(),
                        hold.key_id.as_deref().unwrap_or_default().into(),
                        hold.amount.nano().into(),
                        hold.granted_output.into(),
                        hold.opened_at_ms.into(),
                        hold.deadline_ms.into(),
                    ],
                )
            }
            Event::HoldCheckpointed { request_id, deadline_ms, checkpoint, amount, granted_output } => run(
                "UPDATE holds SET deadline_ms = ?2, checkpoint = ?3, amount_nano = ?4, granted_output = ?5
                 WHERE request_id = ?1",
                &[
                    request_id.as_str().into(),
                    (*deadline_ms).into(),
                    to_json(checkpoint)?.into(),
                    amount.nano().into(),
                    (*granted_output).into(),
                ],
            ),
            Event::HoldResolved { request_id, state } => {
                let (state, seq) = match state {
                    HoldState::Open => (OPEN, None),
                    HoldState::Resolved(seq) => (RESOLVED, Some(*seq)),
                    HoldState::Expired(seq) => (EXPIRED, Some(*seq)),
                    HoldState::Adjusted(seq) => (ADJUSTED, Some(*seq)),
                };
                run(
                    "UPDATE holds SET state = ?2, seq = ?3 WHERE request_id = ?1",
                    &[request_id.as_str().into(), state.into(), seq.into()],
                )
            }
            Event::EntryAppended(entry) => {
                if entry.usage.is_none() {
                    run(
                        "INSERT INTO entry_ids (id, seq) VALUES (?1, ?2)",
                        &[entry.id.as_str().into(), entry.seq.into()],
                    )?;
                }
                let usage = entry.usage.as_ref().map(to_json).transpose()?;
                run(
                    "INSERT INTO journal (seq, id, kind, at_ms, amount_nano, balance_after_nano, usage)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    &[
                        entry.seq.into(),
                        entry.id.as_str().into(),
                        kind_text(entry)?.into(),
                        entry.at_ms.into(),
                        entry.amount.nano().into(),
                        entry.balance_after.nano().into(),
                        usage.into(),
                    ],
                )
            }
            Event::UncollectedSet(amount) => run("UPDATE account SET uncollected_nano = ?1", &[amount.nano().into()]),
            Event::SpendCarried { spend, used, seq, .. } => {
                self.write_spend(spend)?;
                run("UPDATE account SET spend_seq = ?1, used_nano = ?2", &[(*seq).into(), used.nano().into()])
            }
            Event::AutoSet(auto) => run("UPDATE account SET auto_top_up = ?1", &[to_json(auto)?.into()]),
            Event::SessionsEnded(at_ms) => run("UPDATE account SET sessions_valid_from_ms = ?1", &[(*at_ms).into()]),
        }
    }

    /// Removes tombstones that are older than [`TOMBSTONE_MS`].
    ///
    /// # Errors
    /// [`SqlError`].
    pub fn prune(&self, now_ms: i64) -> Result<(), SqlError> {
        let before = now_ms.saturating_sub(TOMBSTONE_MS);
        self.0.query("DELETE FROM holds WHERE state <> 0 AND opened_at_ms < ?1", &[before.into()]).map(drop)
    }
}

fn read_hold(mut row: Row) -> Result<Hold, SqlError> {
    let admit = from_json(&row.text()?)?;
    let key_id = Some(row.text()?).filter(|key_id| !key_id.is_empty());
    let amount = nano(row.int()?)?;
    let granted_output = row.optional_int()?.map(unsigned).transpose()?;
    let (opened_at_ms, deadline_ms) = (row.int()?, row.int()?);
    let checkpoint = row.optional_text()?.map(|json| from_json::<Checkpoint>(&json)).transpose()?;
    let (state, seq) = (row.int()?, row.optional_int()?.map(unsigned).transpose()?);
    let state = match (state, seq) {
        (OPEN, _) => HoldState::Open,
        (RESOLVED, Some(seq)) => HoldState::Resolved(seq),
        (EXPIRED, Some(seq)) => HoldState::Expired(seq),
        (ADJUSTED, Some(seq)) => HoldState::Adjusted(seq),
        other => return Err(SqlError(format!("unknown state of a hold: {other:?}"))),
    };
    Ok(Hold { admit, key_id, amount, granted_output, opened_at_ms, deadline_ms, checkpoint, state })
}

fn read_key(mut row: Row) -> Result<Key, SqlError> {
    Ok(Key {
        key_id: row.text()?,
        digest: row.text()?,
        name: row.text()?,
        permissions: from_json(&row.text()?)?,
        limits: from_json(&row.text()?)?,
        parent: row.optional_text()?,
        created_at_ms: row.int()?,
        revoked_at_ms: row.optional_int()?,
        start: row.text()?,
        replaced_by: row.optional_text()?,
    })
}

fn read_entry(mut row: Row) -> Result<Entry, SqlError> {
    Ok(Entry {
        seq: unsigned(row.int()?)?,
        id: row.text()?,
        kind: from_json(&format!("\"{}\"", row.text()?))?,
        at_ms: row.int()?,
        amount: nano(row.int()?)?,
        balance_after: nano(row.int()?)?,
        usage: row.optional_text()?.map(|json| from_json(&json)).transpose()?,
    })
}

/// The kind as one word, the same in SQL as in JSON.
fn kind_text(entry: &Entry) -> Result<String, SqlError> {
    Ok(to_json(&entry.kind)?.trim_matches('"').to_owned())
}

fn nano(int: i64) -> Result<NanoUsd, SqlError> {
    NanoUsd::new(int).map_err(|e| SqlError(e.to_string()))
}

fn unsigned(int: i64) -> Result<u64, SqlError> {
    u64::try_from(int).map_err(|e| SqlError(e.to_string()))
}

fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<String, SqlError> {
    serde_json::to_string(value).map_err(|e| SqlError(e.to_string()))
}

fn from_json<T: DeserializeOwned>(json: &str) -> Result<T, SqlError> {
    serde_json::from_str(json).map_err(|e| SqlError(e.to_string()))
}

#[cfg(test)]
mod tests;
