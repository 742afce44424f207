//! A deterministic simulation of one account: the ledger and the SQL that run on workerd, under crashes
//! between any two statements, a line that loses, doubles and delays, a D1 that fails, and a clock that
//! jumps.
//!
//! The one rule: everything follows from the seed, so a failure is replayed by its number. What must be
//! true is kept by [`book`], which shares no arithmetic with the ledger, and is checked after every step.

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

use faults::Faults;
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
    /// The rule that the account broke.
    pub violation: Option<String>,
}

/// Runs one seed; a loud one says on standard error what happens.
#[must_use]
pub fn run(seed: u64, commands: u64, is_loud: bool) -> Outcome {
    let mut world = match World::new(seed, is_loud) {
        Ok(world) => world,
        Err(error) => {
            return Outcome { seed, commands: 0, faults: Faults::default(), violation: Some(error.to_string()) };
        }
    };
    // A panic that nobody injected must not hide its seed.
    let ran = catch_unwind(AssertUnwindSafe(|| world.run(commands).map_err(|violation| violation.to_string())));
    let violation = ran.unwrap_or_else(|_| Err("a panic".into())).err();
    Outcome { seed, commands: world.commands, faults: world.faults, violation }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_seeds_break_no_rule() {
        for seed in 1..=20 {
            let outcome = run(seed, 600, false);
            assert_eq!(outcome.violation, None, "seed {seed}");
        }
    }

    #[test]
    fn a_seed_is_the_same_run_every_time() {
        let (first, second) = (run(7, 400, false), run(7, 400, false));
        assert_eq!((first.commands, first.faults), (second.commands, second.faults));
    }
}
