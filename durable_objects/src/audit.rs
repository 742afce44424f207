//! Whether an account's journal is in itself right, and whether D1 has the same.
//!
//! Each entry checks only the row before it; the whole sum is checked here, page by page.

use billing::money::NanoUsd;
use serde::{Deserialize, Serialize};

/// How many rows are compared at once.
pub const PAGE: u64 = 1_000;

/// How many findings of one kind are named; the rest is counted.
const MOST_NAMED: usize = 20;

/// What two copies of a journal row must agree on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Line {
    /// The row.
    pub seq: u64,
    /// The request's or the entry's id.
    pub id: String,
    /// Signed change of the balance.
    pub amount: NanoUsd,
    /// The balance after it.
    pub balance_after: NanoUsd,
}

/// What D1 has of a page of the journal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copy {
    /// Its rows, in order.
    pub lines: Vec<Line>,
    /// Those that it did not take and that were set aside, by `seq`, in order.
    pub set_aside: Vec<u64>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Rows of the journal.
    pub rows: u64,
    /// `balance_after` of the last of them.
    pub balance: NanoUsd,
    /// The sum of all amounts.
    pub sum: NanoUsd,
    /// Up to which row the object takes D1 to be complete.
    pub delivered_seq: u64,
    /// Rows up to there that D1 lacks.
    pub missing: u64,
    /// The first of them.
    pub first_missing: Option<u64>,
    /// Rows that D1 has otherwise.
    pub differing: u64,
    /// Rows that D1 did not take and that were set aside: to send them again changes nothing.
    #[serde(default)]
    pub set_aside: u64,
    /// What is wrong, in words; the first of each kind.
    pub problems: Vec<String>,
    /// Whether the outbox was set back to deliver what is missing.
    pub repaired: bool,
}

/// An audit that has read so many rows.
#[derive(Debug, Default)]
pub struct Audit {
    report: Report,
    breaks: u64,
}

impl Audit {
    /// Reads the next rows of the account's own journal.
    pub fn journal(&mut self, page: &[Line]) {
        for line in page {
            let (expected_seq, before) = (self.report.rows.saturating_add(1), self.report.balance);
            if line.seq != expected_seq {
                self.broken(format!("row {} stands where row {expected_seq} should", line.seq));
            }
            if before.plus(line.amount) != Ok(line.balance_after) {
                self.broken(format!("row {}: {before} and {} are not {}", line.seq, line.amount, line.balance_after));
            }
            match self.report.sum.plus(line.amount) {
                Ok(sum) => self.report.sum = sum,
                Err(error) => self.broken(format!("row {}: {error}", line.seq)),
            }
            self.report.rows = line.seq;
            self.report.balance = line.balance_after;
        }
    }

    /// Compares rows that D1 should have with those that it has, both in order.
    pub fn copy(&mut self, own: &[Line], copy: &Copy) {
        let mut copied = copy.lines.iter().peekable();
        for line in own {
            while copied.next_if(|copy| copy.seq < line.seq).is_some() {}
            match copied.next_if(|copy| copy.seq == line.seq) {
                Some(copy) if copy == line => {}
                Some(copy) => {
                    self.report.differing = self.report.differing.saturating_add(1);
                    self.name(format!("row {}: D1 has {copy:?}", line.seq));
                }
                None if copy.set_aside.binary_search(&line.seq).is_ok() => {
                    self.report.set_aside = self.report.set_aside.saturating_add(1);
                }
                None => {
                    self.report.missing = self.report.missing.saturating_add(1);
                    let first = self.report.first_missing.unwrap_or(line.seq);
                    self.report.first_missing = Some(first.min(line.seq));
                }
            }
        }
    }

    /// What was found.
    #[must_use]
    pub fn finish(mut self, delivered_seq: u64) -> Report {
        self.report.delivered_seq = delivered_seq;
        if self.report.sum != self.report.balance {
            let sentence = format!("the amounts sum up to {}, the balance is {}", self.report.sum, self.report.balance);
            self.report.problems.push(sentence);
        }
        if self.report.missing > 0 {
            self.report.problems.push(format!("D1 lacks {} rows", self.report.missing));
        }
        if self.report.set_aside > 0 {
            self.report.problems.push(format!("D1 did not take {} rows, which were set aside", self.report.set_aside));
        }
        if self.breaks > 0 {
            self.report.problems.push(format!("{} breaks in the journal", self.breaks));
        }
        self.report
    }

    fn broken(&mut self, problem: String) {
        self.breaks = self.breaks.saturating_add(1);
        self.name(problem);
    }

    fn name(&mut self, problem: String) {
        if self.report.problems.len() < MOST_NAMED {
            self.report.problems.push(problem);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(seq: u64, amount: i64, balance_after: i64) -> Line {
        let nano = |n| NanoUsd::new(n).unwrap();
        Line { seq, id: format!("e{seq}"), amount: nano(amount), balance_after: nano(balance_after) }
    }

    fn audit(own: &[Line], lines: &[Line], set_aside: &[u64]) -> Report {
        let copy = Copy { lines: lines.to_vec(), set_aside: set_aside.to_vec() };
        let mut audit = Audit::default();
        for page in own.chunks(2) {
            audit.journal(page);
            audit.copy(page, &copy);
        }
        audit.finish(3)
    }

    #[test]
    fn a_sound_journal_with_its_copy() {
        let own = [line(1, 10, 10), line(2, -3, 7), line(3, 0, 7)];
        let report = audit(&own, &own, &[]);
        assert_eq!(report.problems, [""; 0]);
        assert_eq!((report.rows, report.balance.nano(), report.sum.nano()), (3, 7, 7));
    }

    #[test]
    fn every_break_is_named() {
        let own = [line(1, 10, 10), line(3, -3, 7), line(4, -1, 5)];
        let report = audit(&own, &own, &[]);
        assert_eq!(
            report.problems,
            [
                "row 3 stands where row 2 should",
                "row 4: 0.000000007 and -0.000000001 are not 0.000000005",
                "the amounts sum up to 0.000000006, the balance is 0.000000005",
                "2 breaks in the journal",
            ]
        );
    }

    #[test]
    fn what_d1_lacks_or_has_otherwise_is_counted() {
        let own = [line(1, 10, 10), line(2, -3, 7), line(3, 0, 7)];
        let report = audit(&own, &[line(1, 10, 10), line(3, -1, 7)], &[]);
        assert_eq!((report.missing, report.first_missing, report.differing), (1, Some(2), 1));
        assert_eq!(report.problems.len(), 2);
    }

    #[test]
    fn a_row_that_was_set_aside_is_named_and_is_not_missing() {
        let own = [line(1, 10, 10), line(2, -3, 7), line(3, 0, 7)];
        // Row 1 was mended: it stands in both.
        let report = audit(&own, &[line(1, 10, 10), line(3, 0, 7)], &[1, 2]);
        assert_eq!((report.set_aside, report.missing, report.first_missing), (1, 0, None));
        assert_eq!(report.problems, ["D1 did not take 1 rows, which were set aside"]);
        let report = audit(&own, &[line(1, 10, 10)], &[2]);
        assert_eq!((report.set_aside, report.missing, report.first_missing), (1, 1, Some(3)));
    }
}
