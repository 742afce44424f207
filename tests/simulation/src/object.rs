//! The account object, as `durable_objects/src/account.rs` is on workerd: decide from memory, write in
//! one transaction, then change memory; whatever fails in between drops the memory.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use account::audit::{Audit, Line, PAGE, Report};
use account::outbox;
use account::sql::SqlError;
use account::store::Store;
use billing::ledger::{Answer, Command, Event, Refusal, State, decide};

use crate::d1::D1;
use crate::database::Database;

/// The account's public id.
pub const ACCOUNT_ID: &str = "acct_1";

/// How many rows lie at most behind the snapshot of what keys have spent. Smaller than the object's,
/// because here a wake comes with every command.
const SNAPSHOT_ROWS: u64 = 20;

/// What a command did.
pub struct Ran {
    /// What the caller hears.
    pub result: Result<Answer, Refusal>,
    /// What was committed.
    pub events: Vec<Event>,
}

type Delivery = Pin<Box<dyn Future<Output = Result<(), String>>>>;

/// The object: its memory, and the storage that outlives it.
pub struct Object {
    /// Its SQL.
    pub store: Store<Database>,
    /// The other database.
    pub d1: Rc<D1>,
    /// `None` until loaded, and after a failure.
    pub memory: Option<State>,
    /// The clock, for what runs between two events.
    pub now_ms: Rc<Cell<i64>>,
    delivery: Option<Delivery>,
    snapshot_seq: u64,
}

impl Object {
    /// An object that was never called.
    #[must_use]
    pub fn new(database: Database, d1: Rc<D1>, now_ms: Rc<Cell<i64>>) -> Self {
        Self { store: Store(database), d1, memory: None, now_ms, delivery: None, snapshot_seq: 0 }
    }

    /// Forgets everything that is not stored, and ends what was going on.
    pub fn die(&mut self) {
        self.memory = None;
        self.delivery = None;
        self.snapshot_seq = 0;
    }

    /// Runs one command.
    ///
    /// # Errors
    /// [`SqlError`]: nothing was changed, and the caller hears of a failure.
    pub fn run(&mut self, command: &Command) -> Result<Ran, SqlError> {
        // A panic leaves memory as it was; the events were not applied to it yet.
        caught(|| {
            let result = self.run_in_memory(command);
            if result.is_err() {
                self.memory = None;
            }
            result
        })
    }

    fn run_in_memory(&mut self, command: &Command) -> Result<Ran, SqlError> {
        let now_ms = self.now_ms.get();
        let state = match &mut self.memory {
            Some(state) => state,
            memory => memory.insert(self.store.load(now_ms)?),
        };
        let prior = self.store.prior(command, state)?;
        let (events, answer) = match decide(state, command, &prior, now_ms) {
            Ok(decision) => decision,
            Err(refusal) => return Ok(Ran { result: Err(refusal), events: Vec::new() }),
        };
        if !events.is_empty() {
            self.store.0.transaction(|| events.iter().try_for_each(|event| self.store.apply(event)))?;
            events.iter().for_each(|event| state.apply(event));
        }
        Ok(Ran { result: Ok(answer), events })
    }

    /// What the alarm does beside sweeping: prunes, writes a snapshot, begins to deliver.
    ///
    /// # Errors
    /// [`SqlError`].
    pub fn tidy(&mut self) -> Result<(), SqlError> {
        let Some(state) = self.memory.as_ref().filter(|state| state.account.is_some()) else { return Ok(()) };
        let seq = state.seq;
        caught(|| self.store.prune(self.now_ms.get()))?;
        if seq.saturating_sub(self.snapshot_seq) >= SNAPSHOT_ROWS {
            self.snapshot()?;
        }
        if self.delivery.is_none() {
            self.delivery = Some(Box::pin(self.deliver()));
        }
        Ok(())
    }

    /// Writes down what keys have spent.
    ///
    /// # Errors
    /// [`SqlError`].
    pub fn snapshot(&mut self) -> Result<(), SqlError> {
        let Some(state) = self.memory.as_ref().filter(|state| state.account.is_some()) else { return Ok(()) };
        caught(|| self.store.0.transaction(|| self.store.snapshot(state)))?;
        self.snapshot_seq = state.seq;
        Ok(())
    }

    /// Keys, then the journal. It lives beside the object: commands run while it waits for D1.
    fn deliver(&self) -> impl Future<Output = Result<(), String>> + use<> {
        let (store, d1, now_ms) = (self.store.clone(), Rc::clone(&self.d1), Rc::clone(&self.now_ms));
        async move {
            for key_id in store.undelivered_keys().map_err(|e| e.to_string())? {
                let state = store.load(now_ms.get()).map_err(|e| e.to_string())?;
                let Some(key) = state.keys.get(&key_id) else { continue };
                d1.upsert_key(ACCOUNT_ID, key).await?;
                store.key_delivered(key).map_err(|e| e.to_string())?;
            }
            outbox::deliver_journal(&*d1, &store, ACCOUNT_ID, || now_ms.get(), |_| ()).await
        }
    }

    /// Whether rows are travelling to D1.
    #[must_use]
    pub fn is_delivering(&self) -> bool {
        self.delivery.is_some()
    }

    /// Goes on with the delivery up to where it waits again.
    pub fn poll_delivery(&mut self) {
        let Some(delivery) = &mut self.delivery else { return };
        let mut context = Context::from_waker(Waker::noop());
        let polled = catch_unwind(AssertUnwindSafe(|| delivery.as_mut().poll(&mut context)));
        if !matches!(polled, Ok(Poll::Pending)) {
            self.delivery = None;
        }
    }

    /// Up to which row D1 has confirmed the journal.
    ///
    /// # Errors
    /// [`SqlError`].
    pub fn delivered_seq(&self) -> Result<u64, SqlError> {
        let rows = self.store.0.run("SELECT delivered_seq FROM account", &[])?;
        rows.into_iter().map(|mut row| row.int().map(i64::unsigned_abs)).sum()
    }

    /// Reads the whole journal, here and in D1, and with `repair` sets the cursor back to before the
    /// first row that D1 lacks.
    ///
    /// # Errors
    /// [`SqlError`].
    pub fn audit(&self, repair: bool) -> Result<Report, SqlError> {
        let delivered = self.delivered_seq()?;
        let mut audit = Audit::default();
        let mut after = 0;
        loop {
            let page = self.store.lines(after, PAGE)?;
            let Some(last) = page.last().map(|line| line.seq) else { break };
            audit.journal(&page);
            let copied: Vec<Line> = page.into_iter().filter(|line| line.seq <= delivered).collect();
            audit.copy(&copied, &self.d1.copy(ACCOUNT_ID, after, last)?);
            after = last;
        }
        let mut report = audit.finish(delivered);
        if let (true, Some(first)) = (repair, report.first_missing) {
            self.store.deliver_again(first.saturating_sub(1))?;
            report.repaired = true;
        }
        Ok(report)
    }
}

/// Runs `f`; a panic is a failure, as the runtime makes it one.
fn caught<T>(f: impl FnOnce() -> Result<T, SqlError>) -> Result<T, SqlError> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|_| Err(SqlError("panicked".into())))
}
