//! Random limits of keys: mostly none of each kind, else tight enough to be met.

use billing::ledger::{Budget, KeyLimits};
use billing::money::NanoUsd;

use crate::calendar::PERIODS;
use crate::rng::Rng;

/// Limits for a key at `now_ms`.
pub fn random_limits(now_ms: i64, rng: &mut Rng) -> KeyLimits {
    let small = |rng: &mut Rng, most: u64| u32::try_from(1 + rng.below(most)).unwrap_or(1);
    let most_nano = if rng.chance(500) { 4_000_000_000 } else { 300_000_000 };
    KeyLimits {
        requests_per_minute: rng.chance(300).then(|| small(rng, 40)),
        max_running: rng.chance(200).then(|| small(rng, 6)),
        budget: rng.chance(500).then(|| Budget {
            amount: NanoUsd::new(rng.between(0, most_nano)).unwrap_or_default(),
            period: rng.pick(&PERIODS).copied().unwrap_or(billing::ledger::Period::Total),
        }),
        expires_at_ms: rng.chance(20).then(|| now_ms.saturating_add(rng.between(60_000, 200_000_000))),
        ..KeyLimits::default()
    }
}
