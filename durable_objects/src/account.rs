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
use crate::panics::{Panicked, caught};
use crate::protocol::{Ask, Call, Outcome, Reply, VERSION};
use crate::sql::SqlError;
use crate::store::Store;
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
    /// When waiting rows are to be delivered; `None`: nothing waits.
    flush_at_ms: Cell<Option<i64>>,
    /// Up to which row D1 has the journal, as far as memory knows.
    delivered_seq: Cell<u64>,
    /// Whether a key changed that D1 has not heard of.
    keys_wait: Cell<bool>,
    /// The second that was last admitted in, and how often.
    admits: Cell<(i64, u32)>,
    /// Up to which row the spend of keys is written down.
    snapshot_seq: Cell<u64>,
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
            flush_at_ms: Cell::new(None),
            delivered_seq: Cell::new(0),
            keys_wait: Cell::new(false),
            admits: Cell::new((0, 0)),
            snapshot_seq: Cell::new(0),
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
            Ask::Command(Command::Admit(_)) if self.sheds(clock::now_ms()) => return Response::error(OVERLOADED, 503),
            Ask::Command(command) => self.run_swept(command).map_err(failed),
            Ask::Audit { repair } => self.audit(*repair).await,
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
                let (delivered, _) = self.store.undelivered_entries(0).map_err(failed)?;
                self.delivered_seq.set(delivered);
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
                    self.keys_wait.set(true);
                }
            }
        }
        Ok(Outcome::Answer(answer))
    }

    /// What an alarm is for: expire, deliver, tidy.
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
        // Whatever happens to D1, what waits is tried again one tick later at the earliest.
        self.flush_at_ms.set(Some(now_ms.saturating_add(TICK_MS)));
        self.deliver().await?;
        self.flush_at_ms.set(None);
        Ok(())
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
        transaction(&self.state.storage(), move || store.snapshot_spend(&state))?;
        self.snapshot_seq.set(seq);
        Ok(())
    }

    /// Reads the whole journal, here and in D1.
    async fn audit(&self, repair: bool) -> Result<Outcome> {
        let Some(account) = self.memory.borrow().as_ref().and_then(|state| state.account.clone()) else {
            return Ok(Outcome::Refused(Refusal::NoAccount));
        };
        let db = self.env.d1("DB")?;
        let (delivered, _) = self.store.undelivered_entries(0).map_err(failed)?;
        let mut audit = Audit::default();
        let mut after = 0;
        loop {
            let page = self.store.lines(after, audit::PAGE).map_err(failed)?;
            let Some(last) = page.last().map(|line| line.seq) else { break };
            audit.journal(&page);
            let copied: Vec<Line> = page.into_iter().filter(|line| line.seq <= delivered).collect();
            if !copied.is_empty() {
                audit.copy(&copied, &outbox::lines(&db, &account.account_id, after, last).await?);
            }
            after = last;
        }
        let mut report = audit.finish(delivered);
        if let (true, Some(first)) = (repair, report.first_missing) {
            let before = first.saturating_sub(1);
            self.store.entries_delivered(before).map_err(failed)?;
            self.delivered_seq.set(before);
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
        let (open_holds, waiting, keys_wait) = match self.memory.borrow().as_ref() {
            Some(state) if state.account.is_some() => {
                let waiting = state.seq.saturating_sub(self.delivered_seq.get());
                (!state.holds.is_empty(), waiting, self.keys_wait.get())
            }
            _ => return Ok(()),
        };
        if waiting > 0 || keys_wait {
            let due = self.flush_at_ms.get().unwrap_or_else(|| now_ms.saturating_add(self.flush_delay_ms()));
            // A full batch waits no longer, unless D1 has just failed.
            let full =
                waiting >= outbox::BATCH && self.flush_at_ms.get().is_none_or(|at| at > now_ms.saturating_add(TICK_MS));
            self.flush_at_ms.set(Some(if full { now_ms } else { due }));
        } else {
            self.flush_at_ms.set(None);
        }
        let tick = open_holds.then(|| now_ms.saturating_add(TICK_MS));
        let Some(due) = [tick, self.flush_at_ms.get()].into_iter().flatten().min() else { return Ok(()) };
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

    /// A random delay within `OUTBOX_FLUSH_SECONDS` (`60-600`, or one number): many quiet accounts must
    /// not meet at D1's one writer.
    fn flush_delay_ms(&self) -> i64 {
        let text = self.env.var("OUTBOX_FLUSH_SECONDS").map(|var| var.to_string()).unwrap_or_default();
        let (from, to) = flush_seconds(&text).unwrap_or(DEFAULT_FLUSH_S);
        let mut random = [0; 4];
        let random = if getrandom::fill(&mut random).is_ok() { u32::from_le_bytes(random) } else { 0 };
        let span_ms = to.saturating_sub(from).saturating_mul(1_000).saturating_add(1);
        let jitter = i64::from(random).checked_rem(span_ms).unwrap_or(0);
        from.saturating_mul(1_000).saturating_add(jitter)
    }
}

/// How long rows wait for D1 where nothing else is said, in seconds: from, to.
const DEFAULT_FLUSH_S: (i64, i64) = (60, 600);

/// Reads `60-600` or `60`, seconds within a day; `None` for anything else.
#[must_use]
pub fn flush_seconds(text: &str) -> Option<(i64, i64)> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    match (from.trim().parse::<i64>(), to.trim().parse::<i64>()) {
        (Ok(from), Ok(to)) if 0 <= from && from <= to && to <= 86_400 => Some((from, to)),
        _ => None,
    }
}

fn failed(error: SqlError) -> worker::Error {
    worker::Error::RustError(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::flush_seconds;

    #[test]
    fn the_flush_delay_is_a_range_or_a_number() {
        for (text, range) in [
            ("2", Some((2, 2))),
            ("60-600", Some((60, 600))),
            ("5 - 9", Some((5, 9))),
            ("", None),
            ("9-5", None),
            ("-1", None),
            ("86401", None),
        ] {
            assert_eq!(flush_seconds(text), range, "{text}");
        }
    }
}
