//! The line between the Worker and the object: commands are lost, doubled, delayed and overtaken, and
//! those who do not hear an answer send the same command again.

use std::collections::BTreeMap;

use billing::ledger::Command;

use crate::faults::{Fault, Faults};
use crate::rng::Rng;

/// How long after each unanswered attempt a command is sent again, in milliseconds: by the request
/// itself, by its `waitUntil`, then by the Worker's cron.
const RETRIES_MS: [i64; 6] = [500, 2_000, 10_000, 60_000, 120_000, 600_000];

/// A command on its way.
#[derive(Debug, Clone)]
pub struct Flight {
    /// What is asked.
    pub command: Command,
    attempt: usize,
    sent: u64,
}

/// All that is on its way, by when it arrives.
#[derive(Debug, Default)]
pub struct Network {
    flights: BTreeMap<(i64, u64), Flight>,
    sent: u64,
    arrived: u64,
}

impl Network {
    /// Sends a command for the first time.
    pub fn send(&mut self, command: Command, now_ms: i64, rng: &mut Rng, faults: &mut Faults) {
        self.launch(&Flight { command, attempt: 0, sent: 0 }, now_ms, rng, faults);
    }

    /// The sender of `flight` heard nothing, and sends again unless it has given up.
    pub fn retry(&mut self, flight: Flight, now_ms: i64, rng: &mut Rng, faults: &mut Faults) {
        let Some(wait_ms) = RETRIES_MS.get(flight.attempt) else { return };
        // Whoever waits for an admit is gone after a few seconds.
        let gives_up = matches!(flight.command, Command::Admit(_)) && flight.attempt >= 2;
        if gives_up {
            return;
        }
        let again = Flight { attempt: flight.attempt.saturating_add(1), ..flight };
        self.launch(&again, now_ms.saturating_add(*wait_ms), rng, faults);
    }

    fn launch(&mut self, flight: &Flight, now_ms: i64, rng: &mut Rng, faults: &mut Faults) {
        if rng.chance(20) {
            faults.count(Fault::LostCommand);
            return self.retry(flight.clone(), now_ms, rng, faults);
        }
        let copies = if rng.chance(30) { 2 } else { 1 };
        for copy in 0..copies {
            if copy > 0 {
                faults.count(Fault::DuplicatedCommand);
            }
            let delay_ms = if rng.chance(20) {
                faults.count(Fault::DelayedCommand);
                rng.between(1_000, 300_000)
            } else {
                rng.between(1, 300)
            };
            self.sent = self.sent.saturating_add(1);
            let at = (now_ms.saturating_add(delay_ms), self.sent);
            self.flights.insert(at, Flight { sent: self.sent, ..flight.clone() });
        }
    }

    /// The next command that has arrived by `now_ms`.
    pub fn arrived(&mut self, now_ms: i64, faults: &mut Faults) -> Option<Flight> {
        let first = self.flights.first_entry().filter(|entry| entry.key().0 <= now_ms)?;
        let flight = first.remove();
        if flight.sent < self.arrived {
            faults.count(Fault::ReorderedCommand);
        }
        self.arrived = self.arrived.max(flight.sent);
        Some(flight)
    }

    /// Whether nothing is on its way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.flights.is_empty()
    }
}
