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
    /// D1 says that it wrote, and did not.
    D1WriteDropped,
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

impl Fault {
    /// Every kind.
    pub const ALL: [Self; 20] = [
        Self::StatementFails,
        Self::Panic,
        Self::Crash,
        Self::CrashAfterCommit,
        Self::CrashInDelivery,
        Self::Eviction,
        Self::DuplicatedCommand,
        Self::DelayedCommand,
        Self::ReorderedCommand,
        Self::LostCommand,
        Self::LostReply,
        Self::D1Outage,
        Self::D1AnswerLost,
        Self::D1WriteDropped,
        Self::D1RowRefused,
        Self::D1RowsLost,
        Self::AlarmLate,
        Self::AlarmRepeated,
        Self::ClockForward,
        Self::ClockBack,
    ];
}

/// How often each of something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts<K: Ord>(BTreeMap<K, u64>);

/// How often each fault was injected.
pub type Faults = Counts<Fault>;

impl<K: Ord + Copy> Counts<K> {
    /// Counts one.
    pub fn count(&mut self, kind: K) {
        let count = self.0.entry(kind).or_default();
        *count = count.saturating_add(1);
    }

    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        for (kind, more) in &other.0 {
            let count = self.0.entry(*kind).or_default();
            *count = count.saturating_add(*more);
        }
    }

    /// How often this one happened.
    #[must_use]
    pub fn of(&self, kind: K) -> u64 {
        self.0.get(&kind).copied().unwrap_or(0)
    }
}

impl<K: Ord> Default for Counts<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

/// One line for each kind.
impl<K: Ord + fmt::Debug> fmt::Display for Counts<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|(kind, count)| writeln!(f, "  {:<20}{count:>12}", format!("{kind:?}").trim_matches('"')))
    }
}
