//! A deterministic simulation of one account: the ledger and the SQL that run on workerd, under crashes
//! between any two statements, a line that loses, doubles and delays, a D1 that fails, and a clock that
//! jumps.
//!
//! The one rule: everything follows from the seed, so a failure is replayed by its number. What must be
//! true is kept by [`book`], which shares no arithmetic with the ledger, and is checked after every step.

pub mod answers;
pub mod book;
pub mod calendar;
pub mod d1;
pub mod database;
pub mod faults;
pub mod invariants;
pub mod limits;
pub mod network;
pub mod object;
pub mod rng;
pub mod workload;
pub mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use faults::{Counts, Faults};
use world::World;

/// What became of one seed.
#[derive(Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// How many commands arrived.
    pub commands: u64,
    /// What went wrong around the account.
    pub faults: Faults,
    /// What was answered, by kind.
    pub answers: Counts<&'static str>,
    /// The rule that the account broke.
    pub violation: Option<String>,
}

/// Runs one seed; a loud one says on standard error what happens.
#[must_use]
pub fn run(seed: u64, commands: u64, is_loud: bool) -> Outcome {
    let mut outcome =
        Outcome { seed, commands: 0, faults: Faults::default(), answers: Counts::default(), violation: None };
    let mut world = match World::new(seed, is_loud) {
        Ok(world) => world,
        Err(error) => {
            outcome.violation = Some(error.to_string());
            return outcome;
        }
    };
    // A panic that nobody injected must not hide its seed.
    let ran = catch_unwind(AssertUnwindSafe(|| world.run(commands).map_err(|violation| violation.to_string())));
    let violation = ran.unwrap_or_else(|_| Err("a panic".into())).err();
    Outcome { seed, commands: world.commands, faults: world.faults, answers: world.answers, violation }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Fault;

    /// All that an account can answer, except that it has a thousand keys.
    const ANSWERS: [&str; 28] = [
        "provisioned",
        "entered",
        "key_created",
        "key_updated",
        "key_revoked",
        "keys",
        "authorized",
        "balance",
        "admitted",
        "admitted_owner",
        "checkpointed",
        "settled",
        "swept",
        "no_account",
        "conflict",
        "stale",
        "unknown_key",
        "revoked_key",
        "expired_key",
        "not_permitted",
        "exceeds",
        "unknown_hold",
        "rate_limited",
        "too_many_running",
        "short_of_balance",
        "short_of_held",
        "short_of_budget",
        "too_large",
    ];

    #[test]
    fn no_seed_breaks_a_rule_and_together_they_meet_everything() {
        let (mut faults, mut answers) = (Faults::default(), Counts::default());
        for seed in 1..=25 {
            let outcome = run(seed, 800, false);
            assert_eq!(outcome.violation, None, "seed {seed}");
            faults.add(&outcome.faults);
            answers.add(&outcome.answers);
        }
        for answer in ANSWERS {
            assert!(answers.of(answer) > 0, "nobody was answered {answer}");
        }
        for fault in Fault::ALL {
            assert!(faults.of(fault) > 0, "{fault:?} never happened");
        }
    }

    #[test]
    fn a_seed_is_the_same_run_every_time() {
        let (first, second) = (run(7, 400, false), run(7, 400, false));
        assert_eq!((first.commands, first.faults, first.answers), (second.commands, second.faults, second.answers));
    }
}
