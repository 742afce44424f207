//! The world around one account, step by step: a clock, a line that loses things, a process that dies,
//! a D1 that fails. Everything follows from the seed.

use std::cell::Cell;
use std::rc::Rc;

use account::sql::SqlError;
use billing::ledger::{Answer, Command, Refusal};

use crate::answers::{self, Answers};
use crate::book::{Book, Violation, must};
use crate::calendar::next_midnight;
use crate::d1::D1;
use crate::database::{Break, Database};
use crate::faults::{Counts, Fault, Faults};
use crate::invariants;
use crate::network::{Flight, Network};
use crate::object::Object;
use crate::rng::Rng;
use crate::workload::Workload;

/// 2026-12-30T20:00:00Z: midnight, a month's end and a weekend are near.
const START_MS: i64 = 1_798_660_800_000;

/// How far the clock steps back at most, in milliseconds.
pub const MAX_STEP_BACK_MS: i64 = 2_000;

/// After how long an alarm rings, in milliseconds.
const TICK_MS: i64 = 60_000;

/// In how many of a thousand commands the whole state is read again from SQL and compared. Every fourth
/// seed does so after each.
const RELOADED_PER_MILLE: u64 = 100;

/// Steps within which everything must come to rest.
const MOST_QUIET_STEPS: u64 = 10_000;

/// One account and all around it.
pub struct World {
    rng: Rng,
    now_ms: Rc<Cell<i64>>,
    latest_ms: i64,
    object: Object,
    network: Network,
    workload: Workload,
    book: Book,
    first: Answers,
    alarm_at_ms: Option<i64>,
    d1_back_at_ms: i64,
    /// Nothing goes wrong any more.
    is_calm: bool,
    is_loud: bool,
    reloaded_per_mille: u64,
    /// What went wrong.
    pub faults: Faults,
    /// What was answered.
    pub answers: Counts<&'static str>,
    /// How many commands arrived.
    pub commands: u64,
}

impl World {
    /// The world of a seed; a loud one says on standard error what happens.
    ///
    /// # Errors
    /// [`SqlError`] when SQLite cannot be set up.
    pub fn new(seed: u64, is_loud: bool) -> Result<Self, SqlError> {
        let mut rng = Rng::new(seed);
        let now_ms = Rc::new(Cell::new(START_MS));
        let d1 = Rc::new(D1::new(rng.next_u64())?);
        Ok(Self {
            object: Object::new(Database::new()?, d1, Rc::clone(&now_ms)),
            rng,
            now_ms,
            latest_ms: START_MS,
            network: Network::default(),
            workload: Workload::default(),
            book: Book::default(),
            first: Answers::default(),
            answers: Counts::default(),
            alarm_at_ms: None,
            d1_back_at_ms: 0,
            is_calm: false,
            is_loud,
            reloaded_per_mille: if seed.is_multiple_of(4) { 1_000 } else { RELOADED_PER_MILLE },
            faults: Faults::default(),
            commands: 0,
        })
    }

    /// Runs until so many commands arrived, then until everything is at rest, and checks all the way.
    ///
    /// # Errors
    /// [`Violation`] as soon as a rule is broken.
    pub fn run(&mut self, commands: u64) -> Result<(), Violation> {
        while self.commands < commands {
            self.step()?;
        }
        self.is_calm = true;
        self.object.d1.is_down.set(false);
        self.object.d1.is_shaky.set(false);
        self.rest()?;
        self.lose_rows()?;
        self.rest()?;
        self.faults.add(&self.object.d1.take_faults());
        Ok(())
    }

    /// Lets everything arrive, expire and be delivered, then checks what must be true at rest.
    fn rest(&mut self) -> Result<(), Violation> {
        for _ in 0..MOST_QUIET_STEPS {
            let is_quiet = self.network.is_empty() && self.book.open.is_empty() && !self.object.is_delivering();
            if is_quiet && !self.waits()? {
                return invariants::quiet(&self.object, &self.book);
            }
            self.advance(1_000);
            self.ring()?;
            self.object.poll_delivery();
            while let Some(flight) = self.network.arrived(self.now_ms.get(), &mut self.faults) {
                self.arrive(flight)?;
            }
        }
        let (delivered, seq) = (self.object.delivered_seq()?, self.book.seq);
        Err(Violation(format!("never at rest: {:?} open, {delivered} of {seq} rows delivered", self.book.open)))
    }

    /// Whether D1 has not heard of something.
    fn waits(&self) -> Result<bool, SqlError> {
        let state = self.object.store.undelivered_keys()?;
        Ok(!state.is_empty() || self.object.delivered_seq()? < self.book.seq)
    }

    fn step(&mut self) -> Result<(), Violation> {
        self.disturb();
        let wait_ms = self.rng.between(0, 300);
        self.advance(wait_ms);
        self.ring()?;
        if self.object.is_delivering() && self.rng.chance(300) {
            self.deliver()?;
        }
        if self.object.is_delivering() && self.rng.chance(2) {
            self.lose_rows()?;
        }
        // Oftener than the alarm does it: the journal behind a snapshot is read again on each wake.
        if self.rng.chance(30) {
            self.object.snapshot()?;
        }
        match self.network.arrived(self.now_ms.get(), &mut self.faults) {
            Some(flight) => self.arrive(flight),
            None => {
                let command = self.workload.next(self.now_ms.get(), &mut self.rng);
                self.network.send(command, self.now_ms.get(), &mut self.rng, &mut self.faults);
                Ok(())
            }
        }
    }

    /// What goes wrong by itself.
    fn disturb(&mut self) {
        let now_ms = self.now_ms.get();
        if self.rng.chance(5) && !self.object.is_delivering() {
            self.faults.count(Fault::Eviction);
            self.object.die();
        }
        if self.rng.chance(2) {
            self.faults.count(Fault::ClockForward);
            let by_ms = match self.rng.below(4) {
                0 => self.rng.between(0, 259_200_000),
                1 => self.rng.between(0, 120_000),
                _ => next_midnight(now_ms).saturating_sub(now_ms).saturating_sub(self.rng.between(0, 5_000)).max(0),
            };
            self.advance(by_ms);
        }
        if self.rng.chance(5) {
            self.faults.count(Fault::ClockBack);
            self.now_ms.set(now_ms.saturating_sub(self.rng.between(0, MAX_STEP_BACK_MS)).max(START_MS));
        }
        if self.rng.chance(1) {
            self.object.d1.is_down.set(true);
            self.d1_back_at_ms = now_ms.saturating_add(self.rng.between(0, 900_000));
        }
        if self.d1_back_at_ms <= now_ms {
            self.object.d1.is_down.set(false);
        }
    }

    fn advance(&mut self, by_ms: i64) {
        self.now_ms.set(self.now_ms.get().saturating_add(by_ms));
        self.latest_ms = self.latest_ms.max(self.now_ms.get());
    }

    /// The alarm, when it is due.
    fn ring(&mut self) -> Result<(), Violation> {
        let now_ms = self.now_ms.get();
        let at_ms = *self.alarm_at_ms.get_or_insert(now_ms.saturating_add(TICK_MS));
        if now_ms < at_ms {
            return Ok(());
        }
        if !self.is_calm && self.rng.chance(100) {
            self.faults.count(Fault::AlarmLate);
            self.alarm_at_ms = Some(now_ms.saturating_add(self.rng.between(0, 600_000)));
            return Ok(());
        }
        self.alarm_at_ms = None;
        if !self.is_calm && self.rng.chance(50) {
            self.faults.count(Fault::AlarmRepeated);
            self.alarm_at_ms = Some(now_ms);
        }
        self.book.forget(self.latest_ms.saturating_sub(120_000));
        self.light_fuse();
        let swept = self.run_command(&Command::Sweep)?;
        if swept.is_some() {
            // A failure here leaves everything for the next alarm.
            drop(self.object.tidy());
        }
        self.put_out_fuse();
        self.look()
    }

    fn deliver(&mut self) -> Result<(), Violation> {
        self.light_fuse();
        self.object.poll_delivery();
        if self.put_out_fuse() == Some(Break::Crash) {
            self.faults.count(Fault::CrashInDelivery);
        }
        invariants::cursor(&self.object)
    }

    /// Rows that D1 had confirmed are gone, and the operator repairs that.
    fn lose_rows(&mut self) -> Result<(), Violation> {
        let lost = invariants::lose_rows(&self.object, 2 + self.rng.below(9))?;
        (0..lost).for_each(|_| self.faults.count(Fault::D1RowsLost));
        invariants::cursor(&self.object)
    }

    fn arrive(&mut self, flight: Flight) -> Result<(), Violation> {
        self.commands = self.commands.saturating_add(1);
        self.light_fuse();
        let is_due = |state: &billing::ledger::State| state.has_due(self.now_ms.get());
        let sweeps = matches!(flight.command, Command::Admit(_)) && self.object.memory.as_ref().is_some_and(is_due);
        let swept = !sweeps || self.run_command(&Command::Sweep)?.is_some();
        let result = if swept { self.run_command(&flight.command)? } else { None };
        let broke = self.put_out_fuse();
        if self.is_loud {
            let broke = broke.map(|broke| format!(" ({broke:?})")).unwrap_or_default();
            eprintln!("{} {:?}\n    {result:?}{broke}", self.now_ms.get(), flight.command);
        }
        let Some(result) = result else {
            let now_ms = self.now_ms.get();
            self.network.retry(flight, now_ms, &mut self.rng, &mut self.faults);
            return self.look();
        };
        self.look()?;
        let opened = flight.command.id().and_then(|id| self.book.requests.get(id));
        let age_ms = opened.map_or(0, |request| self.latest_ms.saturating_sub(request.opened_at_ms));
        self.first.check(&flight.command, &result, age_ms)?;
        self.answers.count(answers::name(&result));
        let fault = match self.rng.below(100) {
            _ if self.is_calm => None,
            0 => Some(Fault::CrashAfterCommit),
            1..4 => Some(Fault::LostReply),
            _ => None,
        };
        let Some(fault) = fault else {
            self.workload.heard(&flight.command, &result);
            return Ok(());
        };
        self.faults.count(fault);
        if fault == Fault::CrashAfterCommit {
            self.object.die();
        }
        let now_ms = self.now_ms.get();
        self.network.retry(flight, now_ms, &mut self.rng, &mut self.faults);
        Ok(())
    }

    /// Runs a command and tells the book; `None` when it broke off.
    fn run_command(&mut self, command: &Command) -> Result<Option<Result<Answer, Refusal>>, Violation> {
        let Ok(ran) = self.object.run(command) else { return Ok(None) };
        if let (Command::Admit(admit), Err(Refusal::InsufficientCredit { .. })) = (command, &ran.result) {
            must(!admit.terms.price.is_free(), || "a free request was refused for want of money".into())?;
        }
        if !ran.events.is_empty() {
            self.book.committed(&ran.events, self.now_ms.get())?;
            self.book.read_journal(&self.object.store.0)?;
        }
        if let (Command::Sweep, Some(state)) = (command, &self.object.memory) {
            must(!state.has_due(self.now_ms.get()), || "a sweep left holds behind their deadline".into())?;
        }
        Ok(Some(ran.result))
    }

    /// Every rule that holds after every step.
    fn look(&mut self) -> Result<(), Violation> {
        let Some(state) = &self.object.memory else { return Ok(()) };
        if state.account.is_none() {
            return Ok(());
        }
        let now_ms = self.now_ms.get();
        invariants::memory(&self.book, state, now_ms)?;
        if self.rng.chance(self.reloaded_per_mille) {
            invariants::reload(&self.object, &self.book, state, self.latest_ms)?;
        }
        Ok(())
    }

    /// Now and then, something will happen between two of the next statements.
    fn light_fuse(&mut self) {
        if !self.is_calm && self.rng.chance(40) {
            let how = self.rng.pick(&[Break::Error, Break::Panic, Break::Crash]).copied().unwrap_or(Break::Error);
            self.object.store.0.arm(self.rng.below(8), how);
        }
    }

    fn put_out_fuse(&mut self) -> Option<Break> {
        let broke = self.object.store.0.disarm()?;
        self.faults.count(match broke {
            Break::Error => Fault::StatementFails,
            Break::Panic => Fault::Panic,
            Break::Crash => Fault::Crash,
        });
        if broke == Break::Crash {
            self.object.die();
        }
        Some(broke)
    }
}
