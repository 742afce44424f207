//! The account object: the shell around `billing::ledger`, whatever the platform. `account.rs` runs this shell on
//! workerd, and `tests/simulation` runs the same shell under faults.
//!
//! The one rule: the object decides a command from memory, writes the events in one transaction, and only then
//! changes memory. A failure at any step drops the memory, and the next call reads it again from SQL.
//!
//! [`Object::answer`] is the entry for a call, [`Object::ring`] the entry for the alarm (`object/alarm.rs`). An object
//! writes nothing before it is provisioned: until then it has no tables and answers `no_account`.

use std::cell::{Cell, Ref, RefCell};

use billing::ledger::{self, Command, Event, Refusal, State};

use crate::audit::{Audit, Line, PAGE};
use crate::flush::Flush;
use crate::outbox::JournalCopy;
use crate::protocol::{Ask, Call, Outcome};
use crate::sql::{SqlError, Transactional};
use crate::store::Store;
use crate::tail;
use crate::time::Clock;

mod alarm;

/// How many admits an object accepts in one second: 60 % of the 500 calls with writes that the platform
/// plans for one object. The rest is for settles and checkpoints.
const MAX_ADMITS_PER_S: u32 = 300;

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The object has accepted all the admits of this second. The caller must not try again at once.
    #[error("overloaded")]
    Overloaded,
    /// The command failed, and nothing was changed.
    #[error("{0}")]
    Command(Failed),
    /// The object could not read its state, or could not set its alarm. In the second case the command was done: the
    /// caller sends the command again and receives the first answer.
    #[error("{0}")]
    Object(Failed),
}

/// The words of the database, of D1 or of the platform about a failure. They are for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Failed(pub String);

impl From<SqlError> for Failed {
    fn from(error: SqlError) -> Self {
        Self(error.to_string())
    }
}

impl From<String> for Failed {
    fn from(words: String) -> Self {
        Self(words)
    }
}

/// An event that the object reports to its surroundings: to the log on workerd, to the second bookkeeping in
/// the simulation.
#[derive(Debug)]
pub enum Notice<'a> {
    /// These events are stored, and memory has them.
    Committed(&'a [Event]),
    /// The alarm let so many holds expire for which no settle came.
    HoldsExpired(u64),
}

/// One customer's money and keys, over an SQL database, a copy of the journal, and a clock.
pub struct Object<S, D, C> {
    store: Store<S>,
    copy: D,
    clock: C,
    /// The text of `OUTBOX_FLUSH_SECONDS`.
    flush_seconds: String,
    notify: Box<dyn Fn(Notice<'_>)>,
    /// `None` until the first call loads it, and after a command that failed.
    memory: RefCell<Option<State>>,
    /// The time that the alarm is set for; `None`: no alarm is set.
    alarm_at_ms: Cell<Option<i64>>,
    /// The next delivery to D1.
    flush: Cell<Flush>,
    /// The last journal row that D1 has, as far as memory knows.
    delivered_seq: Cell<u64>,
    /// Whether a key has changed since D1 received it.
    has_undelivered_keys: Cell<bool>,
    /// The second of the last admit, and how many admits came in that second.
    admits: Cell<(i64, u32)>,
    /// The journal's last row when the spend of keys was last stored.
    snapshot_seq: Cell<u64>,
    /// The earliest time at which the cron may be told of an automatic top-up again, after D1 has failed.
    top_up_retry_ms: Cell<i64>,
}

impl<S: Transactional, D: JournalCopy, C: Clock> Object<S, D, C> {
    /// An object with no memory: the first call loads it. `flush_seconds` is the text of `OUTBOX_FLUSH_SECONDS`.
    pub fn new(sql: S, copy: D, clock: C, flush_seconds: String, notify: impl Fn(Notice<'_>) + 'static) -> Self {
        Self {
            store: Store(sql),
            copy,
            clock,
            flush_seconds,
            notify: Box::new(notify),
            memory: RefCell::new(None),
            alarm_at_ms: Cell::new(None),
            flush: Cell::default(),
            delivered_seq: Cell::new(0),
            has_undelivered_keys: Cell::new(false),
            admits: Cell::new((0, 0)),
            snapshot_seq: Cell::new(0),
            top_up_retry_ms: Cell::new(0),
        }
    }

    /// The state in memory; `None` before the first call, and after a command that failed.
    pub fn memory(&self) -> Ref<'_, Option<State>> {
        self.memory.borrow()
    }

    /// The account's tables.
    pub const fn store(&self) -> &Store<S> {
        &self.store
    }

    /// Answers one call, and sets the alarm where the call made one necessary.
    ///
    /// # Errors
    /// [`Failure`], after which the caller may send the same call again.
    pub async fn answer(&self, call: &Call) -> Result<Outcome, Failure> {
        self.wake().await.map_err(Failure::Object)?;
        let outcome = match &call.ask {
            _ if self.has_ended(call.session_issued_at_s) => Outcome::Refused(Refusal::SignedOut),
            Ask::Command(command) if matches!(**command, Command::Admit(_)) && self.sheds() => {
                return Err(Failure::Overloaded);
            }
            Ask::Command(command) => self.run_swept(command).map_err(|e| Failure::Command(e.into()))?,
            Ask::Audit { repair } => self.audit(*repair).await.map_err(Failure::Command)?,
            Ask::Journal(reading) => self.tail(reading).map_err(|e| Failure::Command(e.into()))?,
        };
        self.schedule().await.map_err(Failure::Object)?;
        Ok(outcome)
    }

    /// Whether the call comes from a session, and the owner has ended that session.
    fn has_ended(&self, session_issued_at_s: Option<i64>) -> bool {
        let memory = self.memory.borrow();
        let Some((state, issued_at_s)) = memory.as_ref().zip(session_issued_at_s) else { return false };
        !state.honours_session(issued_at_s)
    }

    /// Loads the memory when there is none.
    async fn wake(&self) -> Result<(), Failed> {
        if self.memory.borrow().is_some() {
            return Ok(());
        }
        let alarm = self.clock.alarm_at_ms().await?;
        // Another call may have loaded the memory in the meantime; then its state is newer.
        if self.memory.borrow().is_none() {
            let state = self.store.load(self.clock.now_ms())?;
            if state.account.is_some() {
                self.delivered_seq.set(self.store.delivered_seq()?);
                self.has_undelivered_keys.set(!self.store.undelivered_keys()?.is_empty());
            }
            self.alarm_at_ms.set(alarm);
            self.memory.replace(Some(state));
        }
        Ok(())
    }

    /// Counts an admit; whether it is one too many for this second. Settles are never refused here, so that
    /// a request that was admitted can always be paid for.
    fn sheds(&self) -> bool {
        let second = self.clock.now_ms().div_euclid(1_000);
        let admits = match self.admits.get() {
            (of, admits) if of == second => admits.saturating_add(1),
            _ => 1,
        };
        self.admits.set((second, admits));
        admits > MAX_ADMITS_PER_S
    }

    /// Runs a command; before an admit, lets the holds expire whose deadline has passed.
    fn run_swept(&self, command: &Command) -> Result<Outcome, SqlError> {
        let has_due = || self.memory.borrow().as_ref().is_some_and(|state| state.has_due(self.clock.now_ms()));
        if matches!(command, Command::Admit(_)) && has_due() {
            self.run(&Command::Sweep)?;
        }
        self.run(command)
    }

    /// Decides, stores and remembers, without a pause for other calls.
    fn run(&self, command: &Command) -> Result<Outcome, SqlError> {
        // Memory is taken out first, so that an error or a panic leaves none behind.
        let mut state = self.memory.take().ok_or_else(|| SqlError("not loaded".into()))?;
        let outcome = self.run_on(&mut state, command)?;
        self.memory.replace(Some(state));
        Ok(outcome)
    }

    fn run_on(&self, state: &mut State, command: &Command) -> Result<Outcome, SqlError> {
        let prior = self.store.prior(command, state)?;
        let (events, answer) = match ledger::decide(state, command, &prior, self.clock.now_ms()) {
            Ok(decision) => decision,
            Err(refusal) => return Ok(Outcome::Refused(refusal)),
        };
        if !events.is_empty() {
            let (store, to_write) = (self.store.clone(), events.clone());
            self.store.0.transaction(move || to_write.iter().try_for_each(|event| store.apply(event)))?;
            for event in &events {
                state.apply(event);
                if matches!(event, Event::KeySet(_)) {
                    self.note_undelivered_key(state);
                }
            }
            (self.notify)(Notice::Committed(&events));
        }
        Ok(Outcome::Answer(answer))
    }

    /// Reads the end of the journal.
    fn tail(&self, reading: &tail::Reading) -> Result<Outcome, SqlError> {
        let memory = self.memory.borrow();
        match memory.as_ref().filter(|state| state.account.is_some()) {
            Some(state) => Ok(Outcome::Tail(Box::new(tail::read(&self.store, state, reading)?))),
            None => Ok(Outcome::Refused(Refusal::NoAccount)),
        }
    }

    /// Reads the whole journal, here and in D1. With `repair` the rows that D1 lacks are delivered again.
    async fn audit(&self, repair: bool) -> Result<Outcome, Failed> {
        let Some(account_id) = self.account_id() else { return Ok(Outcome::Refused(Refusal::NoAccount)) };
        let delivered = self.store.delivered_seq()?;
        let mut audit = Audit::default();
        let mut after = 0;
        loop {
            let page = self.store.lines(after, PAGE)?;
            let Some(last) = page.last().map(|line| line.seq) else { break };
            audit.journal(&page);
            let copied: Vec<Line> = page.into_iter().filter(|line| line.seq <= delivered).collect();
            if !copied.is_empty() {
                audit.copy(&copied, &self.copy.read(&account_id, after, last).await?);
            }
            after = last;
        }
        let mut report = audit.finish(delivered);
        if let (true, Some(first)) = (repair, report.first_missing) {
            self.delivered_seq.set(self.store.deliver_again(first.saturating_sub(1))?);
            report.repaired = true;
        }
        Ok(Outcome::Report(Box::new(report)))
    }

    /// The account's public id; `None`: no account was provisioned, or there is no memory.
    fn account_id(&self) -> Option<String> {
        let memory = self.memory.borrow();
        memory.as_ref()?.account.as_ref().map(|account| account.account_id.clone())
    }
}

#[cfg(test)]
mod tests;
