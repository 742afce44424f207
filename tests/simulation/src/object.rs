//! The account object of the simulation: the shell that ships, over an SQLite that breaks, a D1 that breaks, and a
//! virtual clock. This module does what `durable_objects/src/account.rs` does on workerd: hands calls and alarms to the
//! shell, catches panics, and sets the next alarm after each alarm.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use account::audit::Report;
use account::object::{Failed, Notice, Object as Shell};
use account::protocol::{Ask, Call, Outcome, VERSION};
use account::sql::SqlError;
use account::store::Store;
use account::time::Clock;
use billing::ledger::{Answer, Command, Event, Refusal};

use crate::book::Violation;
use crate::d1::D1;
use crate::database::Database;

/// The account's public id.
pub const ACCOUNT_ID: &str = "acct_1";

/// How long rows wait for D1, in seconds. Shorter than in production, so that a run sees many deliveries.
const FLUSH_SECONDS: &str = "1-15";

/// The virtual clock, and the object's alarm, which outlives the object's memory. A clone is another handle.
#[derive(Clone, Default)]
pub struct VirtualClock {
    /// Milliseconds since the epoch.
    pub now_ms: Rc<Cell<i64>>,
    /// The time of the alarm; `None`: no alarm is set.
    pub alarm_at_ms: Rc<Cell<Option<i64>>>,
}

impl Clock for VirtualClock {
    fn now_ms(&self) -> i64 {
        self.now_ms.get()
    }

    async fn alarm_at_ms(&self) -> Result<Option<i64>, String> {
        Ok(self.alarm_at_ms.get())
    }

    async fn set_alarm(&self, in_ms: u64) -> Result<(), String> {
        self.alarm_at_ms.set(Some(self.now_ms().saturating_add_unsigned(in_ms)));
        Ok(())
    }
}

type AlarmWork = Pin<Box<dyn Future<Output = Result<(), Failed>>>>;

/// The object's process, and the storage that outlives it.
pub struct Object {
    /// D1.
    pub d1: D1,
    /// The clock and the stored alarm.
    pub clock: VirtualClock,
    /// The shell that ships, with its memory.
    pub shell: Rc<Shell<Database, D1, VirtualClock>>,
    database: Database,
    /// The events of each commit since [`Self::take_committed`] was last called.
    committed: Rc<RefCell<Vec<Vec<Event>>>>,
    /// The work of an alarm that waits for D1.
    alarm_work: Option<AlarmWork>,
}

impl Object {
    /// An object that was never called.
    #[must_use]
    pub fn new(database: Database, d1: D1, clock: VirtualClock) -> Self {
        let committed = Rc::default();
        let shell = shell(&database, &d1, &clock, &committed);
        Self { d1, clock, shell, database, committed, alarm_work: None }
    }

    /// The process ends: everything that is not stored is gone. The platform rings an alarm again whose work did not
    /// end.
    pub fn die(&mut self) {
        if self.alarm_work.take().is_some() {
            self.clock.alarm_at_ms.set(Some(self.clock.now_ms()));
        }
        self.shell = shell(&self.database, &self.d1, &self.clock, &self.committed);
    }

    /// The object's tables.
    #[must_use]
    pub fn store(&self) -> &Store<Database> {
        self.shell.store()
    }

    /// Sends one command to the object; `None`: the call failed, and the caller hears of a failure.
    ///
    /// # Errors
    /// [`Violation`] when the object waits for something within a command.
    pub fn call(&self, command: &Command) -> Result<Option<Result<Answer, Refusal>>, Violation> {
        match self.ask(Ask::Command(Box::new(command.clone())))? {
            Some(Outcome::Answer(answer)) => Ok(Some(Ok(answer))),
            Some(Outcome::Refused(refusal)) => Ok(Some(Err(refusal))),
            Some(other) => Err(Violation(format!("{command:?} was answered {other:?}"))),
            None => Ok(None),
        }
    }

    /// Has the object audited, over a line that does not break.
    ///
    /// # Errors
    /// [`Violation`] when no report comes.
    pub fn audit(&self, repair: bool) -> Result<Report, Violation> {
        match self.ask(Ask::Audit { repair })? {
            Some(Outcome::Report(report)) => Ok(*report),
            other => Err(Violation(format!("an audit was answered {other:?}"))),
        }
    }

    fn ask(&self, ask: Ask) -> Result<Option<Outcome>, Violation> {
        let call = Call { v: VERSION, session_issued_at_s: None, ask };
        match poll_once(pin!(self.shell.answer(&call))) {
            Some(Poll::Ready(answer)) => Ok(answer.ok()),
            Some(Poll::Pending) => Err(Violation(format!("the object waits within {call:?}"))),
            None => Ok(None),
        }
    }

    /// The alarm rings. Its work goes on in [`Self::go_on`] when it waits for D1.
    pub fn ring(&mut self) {
        self.clock.alarm_at_ms.set(None);
        let shell = Rc::clone(&self.shell);
        self.alarm_work = Some(Box::pin(async move { shell.ring().await }));
        self.go_on();
    }

    /// Goes on with the alarm's work up to the point where that waits for D1 again. Calls run in between.
    pub fn go_on(&mut self) {
        let Some(work) = &mut self.alarm_work else { return };
        if matches!(poll_once(work.as_mut()), Some(Poll::Pending)) {
            return;
        }
        self.alarm_work = None;
        // An error leaves the rest to the next alarm or call.
        drop(poll_once(pin!(self.shell.schedule())));
    }

    /// Whether an alarm's work waits for D1.
    #[must_use]
    pub fn is_at_work(&self) -> bool {
        self.alarm_work.is_some()
    }

    /// The events of each commit since the last call of this.
    #[must_use]
    pub fn take_committed(&self) -> Vec<Vec<Event>> {
        self.committed.take()
    }

    /// The last journal row that D1 has confirmed, read past the fuse.
    ///
    /// # Errors
    /// [`SqlError`].
    pub fn delivered_seq(&self) -> Result<u64, SqlError> {
        let rows = self.database.run("SELECT delivered_seq FROM account", &[])?;
        rows.into_iter().map(|mut row| row.int().map(i64::unsigned_abs)).sum()
    }
}

/// The shell with an empty memory.
fn shell(
    database: &Database,
    d1: &D1,
    clock: &VirtualClock,
    committed: &Rc<RefCell<Vec<Vec<Event>>>>,
) -> Rc<Shell<Database, D1, VirtualClock>> {
    let committed = Rc::clone(committed);
    let notify = move |notice: Notice<'_>| match notice {
        Notice::Committed(events) => committed.borrow_mut().push(events.to_vec()),
        Notice::HoldsExpired(_) => {}
    };
    Rc::new(Shell::new(database.clone(), d1.clone(), clock.clone(), FLUSH_SECONDS.to_owned(), notify))
}

/// Polls once; `None`: the future panicked.
fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Option<Poll<F::Output>> {
    let mut context = Context::from_waker(Waker::noop());
    catch_unwind(AssertUnwindSafe(|| future.poll(&mut context))).ok()
}
