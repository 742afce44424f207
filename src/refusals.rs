//! What an isolate remembers of refusals, so that a refused client wakes as little as possible.
//!
//! A key that has ended has ended for good, and is answered here for as long as the isolate lives. A
//! balance that was too low is too low for another second. Nothing here admits anything.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use billing::hold::HoldRequest;
use billing::ledger::Refusal;
use billing::money::NanoUsd;

/// How many keys are remembered; then it begins anew. A digest is 64 bytes, so this is a megabyte.
const MOST: usize = 10_000;
/// How long a 402 is remembered, in milliseconds.
const SHORT_MS: i64 = 1_000;

#[derive(Debug, Default)]
struct Memory {
    ended: BTreeSet<String>,
    short: BTreeMap<String, Short>,
}

#[derive(Debug, Clone)]
struct Short {
    until_ms: i64,
    needed: NanoUsd,
    refusal: Refusal,
}

thread_local! {
    /// Keyed by the digest of a key's secret, or by the account where its owner was refused, so no account
    /// sees another's.
    static MEMORY: RefCell<Memory> = RefCell::default();
}

/// Whether the key with this digest has ended.
#[must_use]
pub fn has_ended(digest: &str) -> bool {
    MEMORY.with_borrow(|memory| memory.ended.contains(digest))
}

/// Notes that a key has ended, if that is what the refusal says.
pub fn note_end(digest: &str, refusal: &Refusal) {
    if matches!(refusal, Refusal::UnknownKey | Refusal::RevokedKey | Refusal::ExpiredKey) {
        MEMORY.with_borrow_mut(|memory| memory.note_end(digest));
    }
}

/// Notes a refusal of an admit; `source` is the payer's.
pub fn note(source: &str, refusal: &Refusal, now_ms: i64) {
    note_end(source, refusal);
    MEMORY.with_borrow_mut(|memory| memory.note_short(source, refusal, now_ms));
}

/// The refusal that `hold` would meet again; `None`: ask the account.
#[must_use]
pub fn recall(source: &str, hold: &HoldRequest, now_ms: i64) -> Option<Refusal> {
    MEMORY.with_borrow(|memory| memory.recall(source, hold, now_ms))
}

impl Memory {
    fn note_end(&mut self, digest: &str) {
        if self.ended.len() >= MOST {
            self.ended.clear();
        }
        self.ended.insert(digest.to_owned());
    }

    fn note_short(&mut self, source: &str, refusal: &Refusal, now_ms: i64) {
        let Refusal::InsufficientCredit { needed, .. } = refusal else { return };
        if self.short.len() >= MOST {
            self.short.clear();
        }
        let until_ms = now_ms.saturating_add(SHORT_MS);
        self.short.insert(source.to_owned(), Short { until_ms, needed: *needed, refusal: refusal.clone() });
    }

    fn recall(&self, source: &str, hold: &HoldRequest, now_ms: i64) -> Option<Refusal> {
        let short = self.short.get(source).filter(|short| now_ms < short.until_ms)?;
        // A smaller request may well be affordable.
        (hold.least().ok()? >= short.needed).then(|| short.refusal.clone())
    }
}

#[cfg(test)]
mod tests {
    use billing::ledger::Shortage;
    use billing::money::PicoUsd;

    use super::*;

    fn hold(nano: i64) -> HoldRequest {
        HoldRequest { fixed: NanoUsd::new(nano).unwrap(), per_output: PicoUsd::ZERO, output: None }
    }

    #[test]
    fn a_shortage_is_remembered_for_a_second_and_for_what_is_as_dear() {
        let mut memory = Memory::default();
        let zero = NanoUsd::ZERO;
        let needed = NanoUsd::new(100).unwrap();
        let refusal = Refusal::InsufficientCredit {
            reason: Shortage::Balance,
            available: zero,
            held: zero,
            needed,
            period: None,
        };
        memory.note_short("a", &refusal, 1_000);
        assert_eq!(memory.recall("a", &hold(100), 1_999), Some(refusal));
        assert_eq!(memory.recall("a", &hold(99), 1_999), None);
        assert_eq!(memory.recall("a", &hold(100), 2_000), None);
        assert_eq!(memory.recall("b", &hold(100), 1_000), None);
    }

    #[test]
    fn memory_is_bounded() {
        let mut memory = Memory::default();
        (0..=MOST).for_each(|n| memory.note_end(&n.to_string()));
        assert!(memory.ended.len() <= MOST && memory.ended.contains(&MOST.to_string()));
    }
}
