//! D1: a second SQLite with D1's own migrations, at the far end of a line that breaks.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Poll;

use account::audit::{Copy, Line};
use account::outbox::{
    COUNT_ENTRIES, INSERT_ENTRIES, JournalCopy, REJECT_ENTRY, SELECT_LINES, SELECT_SET_ASIDE, TELL_DUE_TOPUP,
    UPSERT_KEY,
};
use account::sql::{Row, SqlError};
use billing::ledger::Key;
use billing::money::NanoUsd;

use crate::database::Database;
use crate::faults::{Fault, Faults};
use crate::rng::Rng;

const MIGRATIONS: [&str; 5] = [
    include_str!("../../../d1_migrations/0001_create_catalogue.sql"),
    include_str!("../../../d1_migrations/0002_create_accounts.sql"),
    include_str!("../../../d1_migrations/0003_add_dropped_to_journal.sql"),
    include_str!("../../../d1_migrations/0006_create_usage_daily.sql"),
    include_str!("../../../d1_migrations/0007_create_topups.sql"),
];

/// The end of the ids of the rows that D1 refuses.
pub const POISON: &str = "-poison";

/// D1 as the account object sees it. A clone is another handle of the same D1.
#[derive(Clone)]
pub struct D1 {
    /// D1's own database.
    pub database: Database,
    /// While this is set, D1 answers every call with an error.
    pub is_down: Rc<Cell<bool>>,
    /// While this is set, D1 loses some answers and some writes.
    pub is_shaky: Rc<Cell<bool>>,
    rng: Rc<RefCell<Rng>>,
    faults: Rc<RefCell<Faults>>,
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
        let rng = Rc::new(RefCell::new(Rng::new(seed)));
        Ok(Self { database, is_down: Rc::default(), is_shaky: Rc::new(Cell::new(true)), rng, faults: Rc::default() })
    }

    /// The faults of D1 since the last call of this.
    pub fn take_faults(&self) -> Faults {
        self.faults.take()
    }

    /// How many of the rows after `after`, up to `last`, D1 has or has set aside.
    ///
    /// # Errors
    /// [`SqlError`].
    pub fn count(&self, account_id: &str, after: u64, last: u64) -> Result<u64, SqlError> {
        let rows = self.database.run(COUNT_ENTRIES, &[account_id.into(), after.into(), last.into()])?;
        rows.into_iter().map(|mut row| row.int().map(i64::unsigned_abs)).sum()
    }

    fn copy(&self, account_id: &str, after: u64, last: u64) -> Result<Copy, SqlError> {
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

    /// One call to D1. The line may break before the call and after it, and other calls run in the meantime.
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
            self.database.atomically(|| {
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

    /// Answers at once and never fails: an audit is how the simulation checks D1.
    async fn read(&self, account_id: &str, after: u64, last: u64) -> Result<Copy, String> {
        self.copy(account_id, after, last).map_err(|e| e.to_string())
    }

    async fn upsert_key(&self, account_id: &str, key: &Key) -> Result<(), String> {
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

    async fn tell_due_top_up(&self, account_id: &str, now_ms: i64) -> Result<(), String> {
        self.ask(|| self.database.run(TELL_DUE_TOPUP, &[account_id.into(), now_ms.into()]).map(drop)).await
    }
}

/// Lets everything else run once.
async fn pause() {
    let mut paused = false;
    std::future::poll_fn(|_| if std::mem::replace(&mut paused, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}
