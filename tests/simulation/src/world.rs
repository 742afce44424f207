//! The world around one account, step by step: a clock, a line that loses things, a process that dies,
//! a D1 that fails. Everything follows from the seed.

use account::sql::SqlError;
use billing::ledger::{Command, Refusal};

use crate::answers::{self, Answers};
use crate::book::{Book, Violation, must};
use crate::calendar::next_midnight;
use crate::d1::D1;
use crate::database::{Break, Database};
use crate::faults::{Counts, Fault, Faults};
use crate::invariants;
use crate::network::{Flight, Network};
use crate::object::{Object, VirtualClock};
use crate::rng::Rng;
use crate::workload::Workload;

/// 2026-12-30T20:00:00Z: midnight, a month's end and a weekend are near.
const START_MS: i64 = 1_798_660_800_000;

/// How far the clock steps back at most, in milliseconds.
pub const MAX_STEP_BACK_MS: i64 = 2_000;

/// In how many of a thousand commands the whole state is read again from SQL and compared. Every fourth
/// seed does so after each.
const RELOADED_PER_MILLE: u64 = 100;

/// Steps within which everything must come to rest.
const MOST_QUIET_STEPS: u64 = 10_000;

/// One account and all around it.
pub struct World {
    rng: Rng,
    clock: VirtualClock,
    latest_ms: i64,
    object: Object,
    network: Network,
    workload: Workload,
    book: Book,
    first: Answers,
    /// The platform is late: the alarm does not ring before this time.
    no_alarm_before_ms: i64,
    /// The platform rings the last alarm again.
    rings_again: bool,
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
        let clock = VirtualClock::default();
        clock.now_ms.set(START_MS);
        Ok(Self {
            object: Object::new(Database::new()?, D1::new(rng.next_u64())?, clock.clone()),
            rng,
            clock,
            latest_ms: START_MS,
            network: Network::default(),
            workload: Workload::default(),
            book: Book::default(),
            first: Answers::default(),
            answers: Counts::default(),
            no_alarm_before_ms: 0,
            rings_again: false,
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
            let is_quiet = self.network.is_empty() && self.book.open.is_empty() && !self.object.is_at_work();
            if is_quiet && !self.waits()? {
                return invariants::quiet(&self.object, &self.book);
            }
            self.advance(1_000);
            self.ring()?;
            self.object.go_on();
            self.keep_book()?;
            while let Some(flight) = self.network.arrived(self.clock.now_ms.get(), &mut self.faults) {
                self.arrive(flight)?;
            }
        }
        let (delivered, seq) = (self.object.delivered_seq()?, self.book.seq);
        Err(Violation(format!("never at rest: {:?} open, {delivered} of {seq} rows delivered", self.book.open)))
    }

    /// Whether D1 has not heard of something.
    fn waits(&self) -> Result<bool, SqlError> {
        let keys = self.object.store().undelivered_keys()?;
        Ok(!keys.is_empty() || self.object.delivered_seq()? < self.book.seq)
    }

    fn step(&mut self) -> Result<(), Violation> {
        self.disturb();
        let wait_ms = self.rng.between(0, 300);
        self.advance(wait_ms);
        self.ring()?;
        if self.object.is_at_work() && self.rng.chance(300) {
            self.deliver()?;
        }
        if self.object.is_at_work() && self.rng.chance(2) {
            self.lose_rows()?;
        }
        // Oftener than the alarm does it: the journal behind a snapshot is read again on each wake.
        if self.rng.chance(30) {
            self.object.shell.snapshot()?;
        }
        match self.network.arrived(self.clock.now_ms.get(), &mut self.faults) {
            Some(flight) => self.arrive(flight),
            None => {
                let command = self.workload.next(self.clock.now_ms.get(), &mut self.rng);
                self.network.send(command, self.clock.now_ms.get(), &mut self.rng, &mut self.faults);
                Ok(())
            }
        }
    }

    /// What goes wrong by itself.
    fn disturb(&mut self) {
        let now_ms = self.clock.now_ms.get();
        if self.rng.chance(5) && !self.object.is_at_work() {
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
            self.clock.now_ms.set(now_ms.saturating_sub(self.rng.between(0, MAX_STEP_BACK_MS)).max(START_MS));
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
        self.clock.now_ms.set(self.clock.now_ms.get().saturating_add(by_ms));
        self.latest_ms = self.latest_ms.max(self.clock.now_ms.get());
    }

    /// The alarm, when it is due. The platform rings no second alarm while the work of one goes on.
    fn ring(&mut self) -> Result<(), Violation> {
        let now_ms = self.clock.now_ms.get();
        let is_due = self.clock.alarm_at_ms.get().is_some_and(|at_ms| at_ms.max(self.no_alarm_before_ms) <= now_ms);
        if self.object.is_at_work() || !(is_due || self.rings_again) {
            return Ok(());
        }
        if !self.is_calm && self.rng.chance(100) {
            self.faults.count(Fault::AlarmLate);
            self.no_alarm_before_ms = now_ms.saturating_add(self.rng.between(0, 600_000));
            return Ok(());
        }
        self.rings_again = !self.is_calm && self.rng.chance(50);
        if self.rings_again {
            self.faults.count(Fault::AlarmRepeated);
        }
        self.book.forget(self.latest_ms.saturating_sub(120_000));
        self.light_fuse();
        self.object.ring();
        self.keep_book()?;
        if self.put_out_alarm_fuse().is_none() {
            self.must_be_swept()?;
        }
        self.look()
    }

    /// Goes on with the work of the alarm. A step of a delivery has few statements, so the fuse is lit oftener and is
    /// shorter than elsewhere.
    fn deliver(&mut self) -> Result<(), Violation> {
        self.light_fuse_within(120, 4);
        self.object.go_on();
        self.keep_book()?;
        if self.put_out_alarm_fuse() == Some(Break::Crash) {
            self.faults.count(Fault::CrashInDelivery);
        }
        invariants::cursor(&self.object)
    }

    /// The platform rings an alarm again when the process dies in its work.
    fn put_out_alarm_fuse(&mut self) -> Option<Break> {
        let broke = self.put_out_fuse();
        if broke == Some(Break::Crash) {
            self.clock.alarm_at_ms.set(Some(self.clock.now_ms.get()));
        }
        broke
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
        let result = self.object.call(&flight.command)?;
        self.keep_book()?;
        let broke = self.put_out_fuse();
        if self.is_loud {
            let broke = broke.map(|broke| format!(" ({broke:?})")).unwrap_or_default();
            eprintln!("{} {:?}\n    {result:?}{broke}", self.clock.now_ms.get(), flight.command);
        }
        let Some(result) = result else {
            let now_ms = self.clock.now_ms.get();
            self.network.retry(flight, now_ms, &mut self.rng, &mut self.faults);
            return self.look();
        };
        self.look()?;
        if let (Command::Admit(admit), Err(Refusal::InsufficientCredit { .. })) = (&flight.command, &result) {
            must(!admit.terms.price.is_free(), || "a free request was refused for want of money".into())?;
        }
        if matches!(flight.command, Command::Admit(_) | Command::Sweep) {
            self.must_be_swept()?;
        }
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
        let now_ms = self.clock.now_ms.get();
        self.network.retry(flight, now_ms, &mut self.rng, &mut self.faults);
        Ok(())
    }

    /// Enters the events of each commit in the book, and reads the journal's new rows.
    fn keep_book(&mut self) -> Result<(), Violation> {
        for events in self.object.take_committed() {
            self.book.committed(&events, self.clock.now_ms.get())?;
            self.book.read_journal(&self.object.store().0)?;
        }
        Ok(())
    }

    /// No hold in memory is past its deadline: a sweep came before.
    fn must_be_swept(&self) -> Result<(), Violation> {
        let has_due = self.object.shell.memory().as_ref().is_some_and(|state| state.has_due(self.clock.now_ms.get()));
        must(!has_due, || "a sweep left holds past their deadline".into())
    }

    /// Every rule that holds after every step.
    fn look(&mut self) -> Result<(), Violation> {
        let memory = self.object.shell.memory();
        let Some(state) = memory.as_ref().filter(|state| state.account.is_some()) else { return Ok(()) };
        let now_ms = self.clock.now_ms.get();
        invariants::memory(&self.book, state, now_ms)?;
        if self.rng.chance(self.reloaded_per_mille) {
            invariants::reload(&self.object, &self.book, state, self.latest_ms)?;
        }
        Ok(())
    }

    /// Now and then, makes one of the next eight statements break.
    fn light_fuse(&mut self) {
        self.light_fuse_within(40, 8);
    }

    /// In so many cases of a thousand, makes one of the next `statements` break.
    fn light_fuse_within(&mut self, per_mille: u64, statements: u64) {
        if !self.is_calm && self.rng.chance(per_mille) {
            let how = self.rng.pick(&[Break::Error, Break::Panic, Break::Crash]).copied().unwrap_or(Break::Error);
            self.object.store().0.arm(self.rng.below(statements), how);
        }
    }

    fn put_out_fuse(&mut self) -> Option<Break> {
        let broke = self.object.store().0.disarm()?;
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
