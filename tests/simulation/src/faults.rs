//! What goes wrong, how often it did, and how often it is made to.

use std::collections::BTreeMap;
use std::fmt;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A statement of a command fails; the object goes on without its memory.
    StatementFails,
    /// The code panics between two statements; the panic is caught.
    Panic,
    /// The process dies between two statements.
    Crash,
    /// The process dies after the commit and before the reply.
    CrashAfterCommit,
    /// The process dies while rows travel to D1.
    CrashInDelivery,
    /// The object is evicted while nothing runs.
    Eviction,
    /// A command arrives twice.
    DuplicatedCommand,
    /// A command arrives minutes late.
    DelayedCommand,
    /// A command overtakes one that was sent before it.
    ReorderedCommand,
    /// A command never arrives.
    LostCommand,
    /// A reply never arrives.
    LostReply,
    /// D1 answers nothing but errors.
    D1Outage,
    /// D1 did what it was asked, and the answer was lost.
    D1AnswerLost,
    /// D1 does not take a row.
    D1RowRefused,
    /// D1 loses rows that it had confirmed.
    D1RowsLost,
    /// The alarm rings late.
    AlarmLate,
    /// The alarm rings twice.
    AlarmRepeated,
    /// The clock jumps forward.
    ClockForward,
    /// The clock steps back.
    ClockBack,
}

/// How often each fault was injected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(BTreeMap<Fault, u64>);

impl Faults {
    /// Counts one.
    pub fn count(&mut self, fault: Fault) {
        let count = self.0.entry(fault).or_default();
        *count = count.saturating_add(1);
    }

    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        for (fault, more) in &other.0 {
            let count = self.0.entry(*fault).or_default();
            *count = count.saturating_add(*more);
        }
    }

    /// How often this one was injected.
    #[must_use]
    pub fn of(&self, fault: Fault) -> u64 {
        self.0.get(&fault).copied().unwrap_or(0)
    }
}

/// One line for each kind.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(fault, count)| writeln!(f, "  {:<20}{count:>12}", format!("{fault:?}")))
    }
}
