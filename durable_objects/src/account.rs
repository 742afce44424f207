//! The account object on workerd: a shell around `billing::ledger`.
//!
//! The one rule: a command is decided from memory, its events are written in one transaction, and only
//! then is memory changed. Whatever fails in between drops the memory, to be read again from SQL.
//!
//! It answers `POST` with a [`crate::protocol::Call`]. Its constructor writes nothing: an object that
//! nobody provisioned has no tables and answers `no_account`.
#![expect(missing_docs, reason = "`durable_object` makes methods without them")]

use std::cell::{Cell, RefCell};

use billing::ledger::{self, Answer, Command, Event, Refusal, State};
use wasm_bindgen::prelude::*;
use worker::{DurableObject, Env, Request, Response, Result, SqlStorage, console_error, durable_object};

use crate::audit::{Audit, Line};
use crate::flush::{self, Flush};
use crate::panics::{Panicked, caught};
use crate::protocol::{Ask, Call, Outcome, Reply, VERSION};
use crate::sql::SqlError;
use crate::store::Store;
use crate::tail::{self, Reading};
use crate::workerd::transaction;
use crate::{audit, clock, outbox};

/// The body of a refusal under load; the Worker looks for the word.
const OVERLOADED: &str = "overloaded";

/// How many admits an object takes in a second: 60 % of the 500 calls with writes that the platform
/// plans for one object. The rest is for settles and checkpoints.
const MAX_ADMITS_PER_S: u32 = 300;

/// How many journal rows lie at most behind the snapshot of what keys have spent, before an alarm makes
/// a new one.
const SNAPSHOT_ROWS: u64 = 200;

/// How coarse expiry is: one alarm at most in this time for open holds, in milliseconds.
const TICK_MS: i64 = 60_000;

/// One customer's money and keys.
#[durable_object(alarm)]
pub struct Account {
    state: worker::State,
    env: Env,
    store: Store<SqlStorage>,
    /// `None` until loaded, and after a command that failed.
    memory: RefCell<Option<State>>,
    /// When the alarm is set for; `None`: not set.
    alarm_at_ms: Cell<Option<i64>>,
    /// The next delivery to D1.
    flush: Cell<Flush>,
    /// Up to which row D1 has the journal, as far as memory knows.
    delivered_seq: Cell<u64>,
    /// Whether a key changed that D1 has not heard of.
    keys_wait: Cell<bool>,
    /// The second that was last admitted in, and how often.
    admits: Cell<(i64, u32)>,
    /// Up to which row the spend of keys is written down.
    snapshot_seq: Cell<u64>,
    /// When the cron may be told of an automatic top-up again, after D1 has failed.
    top_up_retry_ms: Cell<i64>,
}

// A caught panic leaves what it interrupted in order: a command has taken `memory` out, so it is read
// again from SQL, and the rest says when alarms are due, which the next command finds out anew.
impl std::panic::RefUnwindSafe for Account {}
impl std::panic::UnwindSafe for Account {}

impl DurableObject for Account {
    fn new(state: worker::State, env: Env) -> Self {
        let store = Store(state.storage().sql());
        Self {
            state,
            env,
            store,
            memory: RefCell::new(None),
            alarm_at_ms: Cell::new(None),
            flush: Cell::default(),
            delivered_seq: Cell::new(0),
            keys_wait: Cell::new(false),
            admits: Cell::new((0, 0)),
            snapshot_seq: Cell::new(0),
            top_up_retry_ms: Cell::new(0),
        }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        match caught(self.answer(request)).await {
            Ok(response) => response,
            Err(Panicked) => Response::error("panicked", 500),
        }
    }

    /// Never fails: an alarm that keeps throwing is dropped for good.
    async fn alarm(&self) -> Result<Response> {
        self.alarm_at_ms.set(None);
        let tick = caught(self.tick()).await;
        if let Err(error) = tick.unwrap_or_else(|Panicked| Err("a panic".into())) {
            console_error!("account: an alarm failed and will be tried again: {error}");
        }
        if let Err(error) = self.schedule().await {
            console_error!("account: no alarm could be set: {error}");
        }
        Response::ok("")
    }
}

impl Account {
    async fn answer(&self, mut request: Request) -> Result<Response> {
        let Ok(call) = serde_json::from_str::<Call>(&request.text().await?) else {
            return Response::error("not a call", 400);
        };
        if call.v != VERSION {
            return Response::error("unknown version", 400);
        }
        self.wake().await?;
        let result = match &call.ask {
            _ if self.has_ended(call.session_issued_at_s) => Ok(Outcome::Refused(Refusal::SignedOut)),
            Ask::Command(command) if matches!(**command, Command::Admit(_)) && self.sheds(clock::now_ms()) => {
                return Response::error(OVERLOADED, 503);
            }
            Ask::Command(command) => self.run_swept(command).map_err(failed),
            Ask::Audit { repair } => self.audit(*repair).await,
            Ask::Journal(reading) => self.tail(reading).map_err(failed),
        };
        match result {
            Ok(result) => {
                self.schedule().await?;
                let body = serde_json::to_string(&Reply { v: VERSION, result })?;
                Response::ok(body)
            }
            Err(error) => {
                console_error!("account: a command failed and nothing was changed: {error}");
                Response::error("storage failed", 500)
            }
        }
    }

    /// Whether the session that asks, if one does, was ended by the owner.
    fn has_ended(&self, session_issued_at_s: Option<i64>) -> bool {
        let memory = self.memory.borrow();
        let Some((state, issued_at_s)) = memory.as_ref().zip(session_issued_at_s) else { return false };
        !state.honours_session(issued_at_s)
    }

    /// Reads what memory must know after the object was asleep.
    async fn wake(&self) -> Result<()> {
        if self.memory.borrow().is_some() {
            return Ok(());
        }
        let alarm = self.state.storage().get_alarm().await?;
        // Another request may have loaded it in the meantime; its state is newer than ours would be.
        if self.memory.borrow().is_none() {
            let state = self.store.load(clock::now_ms()).map_err(failed)?;
            if state.account.is_some() {
                self.delivered_seq.set(self.store.delivered_seq().map_err(failed)?);
                self.keys_wait.set(!self.store.undelivered_keys().map_err(failed)?.is_empty());
            }
            self.alarm_at_ms.set(alarm);
            self.memory.replace(Some(state));
        }
        Ok(())
    }

    /// Whether this admit is one too many for this second. Settles are never shed, so that they always
    /// fit.
    fn sheds(&self, now_ms: i64) -> bool {
        let second = now_ms.div_euclid(1_000);
        let admits = match self.admits.get() {
            (of, admits) if of == second => admits.saturating_add(1),
            _ => 1,
        };
        self.admits.set((second, admits));
        admits > MAX_ADMITS_PER_S
    }

    /// As [`Self::run`]; an admit first frees what has expired.
    fn run_swept(&self, command: &Command) -> std::result::Result<Outcome, SqlError> {
        let due = || self.memory.borrow().as_ref().is_some_and(|state| state.has_due(clock::now_ms()));
        if matches!(command, Command::Admit(_)) && due() {
            self.run(&Command::Sweep)?;
        }
        self.run(command)
    }

    /// Decides, stores, remembers; all of it without a pause.
    fn run(&self, command: &Command) -> std::result::Result<Outcome, SqlError> {
        // Taken out, so that whatever ends this early, an error or a panic, leaves none behind.
        let mut state = self.memory.take().ok_or_else(|| SqlError("not loaded".into()))?;
        let outcome = self.run_on(&mut state, command)?;
        self.memory.replace(Some(state));
        Ok(outcome)
    }

    fn run_on(&self, state: &mut State, command: &Command) -> std::result::Result<Outcome, SqlError> {
        let prior = self.store.prior(command, state)?;
        let (events, answer) = match ledger::decide(state, command, &prior, clock::now_ms()) {
            Ok(decision) => decision,
            Err(refusal) => return Ok(Outcome::Refused(refusal)),
        };
        if !events.is_empty() {
            let (store, to_write) = (self.store.clone(), events.clone());
            transaction(&self.state.storage(), move || to_write.iter().try_for_each(|event| store.apply(event)))?;
            for event in &events {
                state.apply(event);
                if matches!(event, Event::KeySet(_)) {
                    self.key_waits(state);
                }
            }
        }
        Ok(Outcome::Answer(answer))
    }

    /// A key changed that D1 has not heard of.
    fn key_waits(&self, state: &State) {
        self.keys_wait.set(true);
        if let (None, Some(account)) = (self.flush.get().due_ms, &state.account) {
            let due_ms = self.due_ms(&account.account_id, clock::now_ms());
            self.flush.set(Flush { due_ms: Some(due_ms), ..self.flush.get() });
        }
    }

    /// What an alarm is for: expire, tidy, and deliver when that is due.
    async fn tick(&self) -> Result<()> {
        self.wake().await?;
        let now_ms = clock::now_ms();
        if let Ok(Outcome::Answer(Answer::Swept { expired })) = self.run(&Command::Sweep)
            && expired > 0
        {
            console_error!("account: {expired} holds expired without a settle");
        }
        self.store.prune(now_ms).map_err(failed)?;
        self.snapshot().map_err(failed)?;
        if self.top_up_at_ms().is_some_and(|at_ms| at_ms <= now_ms) {
            self.top_up_retry_ms.set(now_ms.saturating_add(flush::RETRY_MS));
            self.tell_due_top_up(now_ms).await?;
            self.top_up_retry_ms.set(0);
        }
        if self.flush_at_ms(now_ms).map_err(failed)?.is_none_or(|at_ms| now_ms < at_ms) {
            return Ok(());
        }
        self.flush.set(Flush { retry_ms: Some(now_ms.saturating_add(flush::RETRY_MS)), ..self.flush.get() });
        self.deliver().await?;
        self.flush.set(Flush::default());
        Ok(())
    }

    /// When the cron is to be told of the automatic top-up in flight; `None`: there is none.
    fn top_up_at_ms(&self) -> Option<i64> {
        let memory = self.memory.borrow();
        let attempt = memory.as_ref()?.auto.as_ref()?.attempt.as_ref()?;
        Some(attempt.due_at_ms().max(self.top_up_retry_ms.get()))
    }

    /// Has the cron charge the automatic top-up in flight, of which nobody was told, or nobody that came back.
    async fn tell_due_top_up(&self, now_ms: i64) -> Result<()> {
        let account = self.memory.borrow().as_ref().and_then(|state| state.account.clone());
        let Some(account) = account else { return Ok(()) };
        outbox::tell_due_topup(&self.env.d1("DB")?, &account.account_id, now_ms).await?;
        self.run(&Command::TakeAttempt).map(drop).map_err(failed)
    }

    /// When what waits for D1 is to be delivered; `None`: nothing waits.
    fn flush_at_ms(&self, now_ms: i64) -> std::result::Result<Option<i64>, SqlError> {
        let memory = self.memory.borrow();
        let Some((state, account)) = memory.as_ref().and_then(|state| Some((state, state.account.as_ref()?))) else {
            return Ok(None);
        };
        let flush = self.flush.get();
        let rows = state.seq.saturating_sub(self.delivered_seq.get());
        if rows == 0 && !self.keys_wait.get() {
            self.flush.set(Flush { due_ms: None, ..flush });
            return Ok(None);
        }
        let due_ms = match flush.due_ms {
            Some(due_ms) => due_ms,
            // A key's change is not dated: after a sleep it has waited long enough.
            None => {
                self.store.waiting_since_ms()?.map_or(now_ms, |since_ms| self.due_ms(&account.account_id, since_ms))
            }
        };
        self.flush.set(Flush { due_ms: Some(due_ms), ..flush });
        Ok(Some(flush.at_ms(due_ms, rows, now_ms)))
    }

    fn due_ms(&self, account_id: &str, since_ms: i64) -> i64 {
        let seconds = self.env.var("OUTBOX_FLUSH_SECONDS").map(|var| var.to_string()).unwrap_or_default();
        flush::due_ms(account_id, since_ms, &seconds)
    }

    /// Writes down what keys have spent, every so many rows.
    fn snapshot(&self) -> std::result::Result<(), SqlError> {
        let memory = self.memory.borrow();
        let Some(state) = memory.as_ref().filter(|state| state.account.is_some()) else { return Ok(()) };
        let seq = state.seq;
        if seq.saturating_sub(self.snapshot_seq.get()) < SNAPSHOT_ROWS {
            return Ok(());
        }
        let (store, state) = (self.store.clone(), state.clone());
        transaction(&self.state.storage(), move || store.snapshot(&state))?;
        self.snapshot_seq.set(seq);
        Ok(())
    }

    /// Reads the end of the journal.
    fn tail(&self, reading: &Reading) -> std::result::Result<Outcome, SqlError> {
        let memory = self.memory.borrow();
        match memory.as_ref().filter(|state| state.account.is_some()) {
            Some(state) => Ok(Outcome::Tail(Box::new(tail::read(&self.store, state, reading)?))),
            None => Ok(Outcome::Refused(Refusal::NoAccount)),
        }
    }

    /// Reads the whole journal, here and in D1.
    async fn audit(&self, repair: bool) -> Result<Outcome> {
        let Some(account) = self.memory.borrow().as_ref().and_then(|state| state.account.clone()) else {
            return Ok(Outcome::Refused(Refusal::NoAccount));
        };
        let db = self.env.d1("DB")?;
        let delivered = self.store.delivered_seq().map_err(failed)?;
        let mut audit = Audit::default();
        let mut after = 0;
        loop {
            let page = self.store.lines(after, audit::PAGE).map_err(failed)?;
            let Some(last) = page.last().map(|line| line.seq) else { break };
            audit.journal(&page);
            let copied: Vec<Line> = page.into_iter().filter(|line| line.seq <= delivered).collect();
            if !copied.is_empty() {
                audit.copy(&copied, &outbox::copy(&db, &account.account_id, after, last).await?);
            }
            after = last;
        }
        let mut report = audit.finish(delivered);
        if let (true, Some(first)) = (repair, report.first_missing) {
            self.delivered_seq.set(self.store.deliver_again(first.saturating_sub(1)).map_err(failed)?);
            report.repaired = true;
        }
        Ok(Outcome::Report(Box::new(report)))
    }

    async fn deliver(&self) -> Result<()> {
        let Some(account) = self.memory.borrow().as_ref().and_then(|state| state.account.clone()) else {
            return Ok(());
        };
        let db = self.env.d1("DB")?;
        // Money first: a key that D1 does not take must not hold up the journal.
        let confirmed = |seq| self.delivered_seq.set(seq);
        outbox::deliver_journal(&db, &self.store, &account.account_id, clock::now_ms, confirmed).await?;
        for key_id in self.store.undelivered_keys().map_err(failed)? {
            let key = self.memory.borrow().as_ref().and_then(|state| state.keys.get(&key_id).cloned());
            let Some(key) = key else { continue };
            outbox::deliver_key(&db, &account.account_id, &key).await?;
            self.store.key_delivered(&key).map_err(failed)?;
        }
        self.keys_wait.set(!self.store.undelivered_keys().map_err(failed)?.is_empty());
        Ok(())
    }

    /// Sets the one alarm, seldom: when none is set, or when something is due earlier than it.
    async fn schedule(&self) -> Result<()> {
        let now_ms = clock::now_ms();
        let open_holds = self.memory.borrow().as_ref().is_some_and(|state| !state.holds.is_empty());
        let tick = open_holds.then(|| now_ms.saturating_add(TICK_MS));
        let flush = self.flush_at_ms(now_ms).map_err(failed)?;
        let top_up = self.top_up_at_ms().map(|at_ms| at_ms.max(now_ms));
        let Some(due) = [tick, flush, top_up].into_iter().flatten().min() else { return Ok(()) };
        if self.alarm_at_ms.get().is_none_or(|at| due < at) {
            let before = self.alarm_at_ms.replace(Some(due));
            let from_now = u64::try_from(due.saturating_sub(now_ms)).unwrap_or(0);
            let set = self.state.storage().set_alarm(std::time::Duration::from_millis(from_now)).await;
            if set.is_err() {
                // The next command tries again.
                self.alarm_at_ms.set(before);
            }
            set?;
        }
        Ok(())
    }
}

fn failed(error: SqlError) -> worker::Error {
    worker::Error::RustError(error.to_string())
}
