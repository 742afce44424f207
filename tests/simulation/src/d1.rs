//! D1: a second SQLite with D1's own migrations, at the far end of a line that breaks.

use std::cell::{Cell, RefCell};
use std::task::Poll;

use account::audit::{Copy, Line};
use account::outbox::{
    COUNT_ENTRIES, INSERT_ENTRIES, JournalCopy, REJECT_ENTRY, SELECT_LINES, SELECT_SET_ASIDE, UPSERT_KEY,
};
use account::sql::{Row, SqlError};
use billing::ledger::Key;
use billing::money::NanoUsd;

use crate::database::Database;
use crate::faults::{Fault, Faults};
use crate::rng::Rng;

const MIGRATIONS: [&str; 3] = [
    include_str!("../../../d1_migrations/0001_create_catalogue.sql"),
    include_str!("../../../d1_migrations/0002_create_accounts.sql"),
    include_str!("../../../d1_migrations/0003_add_dropped_to_journal.sql"),
];

/// Ids that end so are those of rows that D1 refuses.
pub const POISON: &str = "-poison";

/// D1 as the outbox sees it.
pub struct D1 {
    /// What D1 holds.
    pub database: Database,
    /// While it lasts, D1 answers nothing but errors.
    pub is_down: Cell<bool>,
    /// Whether answers get lost at all.
    pub is_shaky: Cell<bool>,
    rng: RefCell<Rng>,
    faults: RefCell<Faults>,
}

impl D1 {
    /// With all migrations, and a constraint that refuses poison.
    ///
    /// # Errors
    /// [`SqlError`] when a migration fails.
    pub fn new(seed: u64) -> Result<Self, SqlError> {
        let database = Database::new()?;
        MIGRATIONS.iter().try_for_each(|migration| database.script(migration))?;
        database.script(&format!(
            "CREATE TRIGGER poison BEFORE INSERT ON journal WHEN NEW.id LIKE '%{POISON}'
             BEGIN SELECT raise(ABORT, 'CHECK constraint failed: poison'); END"
        ))?;
        let (rng, faults) = (RefCell::new(Rng::new(seed)), RefCell::default());
        Ok(Self { database, is_down: Cell::new(false), is_shaky: Cell::new(true), rng, faults })
    }

    /// What went wrong here since the last call.
    pub fn take_faults(&self) -> Faults {
        self.faults.take()
    }

    /// Puts a key's present state into D1.
    ///
    /// # Errors
    /// What D1 said.
    pub async fn upsert_key(&self, account_id: &str, key: &Key) -> Result<(), String> {
        let json = |e: serde_json::Error| e.to_string();
        let values = [
            account_id.into(),
            key.key_id.as_str().into(),
            key.name.as_str().into(),
            serde_json::to_string(&key.permissions).map_err(json)?.into(),
            serde_json::to_string(&key.limits).map_err(json)?.into(),
            key.parent.clone().into(),
            key.created_at_ms.into(),
            key.revoked_at_ms.into(),
        ];
        self.ask(|| self.database.run(UPSERT_KEY, &values).map(drop)).await
    }

    /// What D1 has of the journal's rows behind `after`, up to `last`.
    ///
    /// # Errors
    /// [`SqlError`].
    pub fn copy(&self, account_id: &str, after: u64, last: u64) -> Result<Copy, SqlError> {
        let values = [account_id.into(), after.into(), last.into()];
        let lines = self.database.run(SELECT_LINES, &values)?;
        let set_aside = self.database.run(SELECT_SET_ASIDE, &values)?;
        let money = |int| NanoUsd::new(int).map_err(|e| SqlError(e.to_string()));
        let read = |mut row: Row| {
            let (seq, id) = (row.int()?.unsigned_abs(), row.text()?);
            Ok(Line { seq, id, amount: money(row.int()?)?, balance_after: money(row.int()?)? })
        };
        let set_aside = set_aside.into_iter().map(|mut row| row.int().map(i64::unsigned_abs));
        Ok(Copy {
            lines: lines.into_iter().map(read).collect::<Result<_, _>>()?,
            set_aside: set_aside.collect::<Result<_, _>>()?,
        })
    }

    /// Rows that D1 has or has set aside, behind `after`, up to `last`.
    ///
    /// # Errors
    /// [`SqlError`].
    pub fn count(&self, account_id: &str, after: u64, last: u64) -> Result<u64, SqlError> {
        let rows = self.database.run(COUNT_ENTRIES, &[account_id.into(), after.into(), last.into()])?;
        rows.into_iter().map(|mut row| row.int().map(i64::unsigned_abs)).sum()
    }

    /// One call to D1: the line may break before and after it, and others run in the meantime.
    async fn ask<T>(&self, run: impl FnOnce() -> Result<T, SqlError>) -> Result<T, String> {
        pause().await;
        if self.is_down.get() {
            self.faults.borrow_mut().count(Fault::D1Outage);
            return Err("Network connection lost.".into());
        }
        let done = run();
        pause().await;
        if self.is_shaky.get() && self.rng.borrow_mut().chance(30) {
            self.faults.borrow_mut().count(Fault::D1AnswerLost);
            return Err("D1 DB storage operation exceeded timeout".into());
        }
        done.map_err(|e| e.to_string())
    }
}

impl JournalCopy for D1 {
    async fn insert(&self, account_id: &str, entries: &str, after: u64, last: u64) -> Result<u64, String> {
        self.ask(|| {
            let mut count = 0;
            self.database.transaction(|| {
                if self.is_shaky.get() && self.rng.borrow_mut().chance(20) {
                    self.faults.borrow_mut().count(Fault::D1WriteDropped);
                } else {
                    self.database.run(INSERT_ENTRIES, &[account_id.into(), entries.into()])?;
                }
                count = self.count(account_id, after, last)?;
                Ok(())
            })?;
            Ok(count)
        })
        .await
    }

    async fn reject(&self, account_id: &str, seq: u64, entry: &str, problem: &str, now_ms: i64) -> Result<(), String> {
        let values = [account_id.into(), seq.into(), entry.into(), problem.into(), now_ms.into()];
        self.ask(|| self.database.run(REJECT_ENTRY, &values).map(drop)).await?;
        self.faults.borrow_mut().count(Fault::D1RowRefused);
        Ok(())
    }
}

/// Lets everything else run once.
async fn pause() {
    let mut paused = false;
    std::future::poll_fn(|_| if std::mem::replace(&mut paused, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}
