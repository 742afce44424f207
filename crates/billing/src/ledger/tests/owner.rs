//! Requests of the account's owner, who needs no key.

use super::*;

/// As [`super::admit`], by the owner.
pub fn admit(id: &str, wanted: u64, now_ms: i64) -> Command {
    Command::Admit(Box::new(Admit { digest: None, ..admit_request(id, wanted, now_ms) }))
}

#[test]
fn the_owner_is_admitted_and_charged_without_a_key() {
    let mut bench = Bench::funded("1");
    let now = bench.now_ms;
    let left = |usd: &str| Some(NanoUsd::from_usd(usd).unwrap());
    let first = Answer::Admitted { key_id: None, granted_output: Some(500), available: left("0.5") };
    assert_eq!(bench.ok(admit("r1", 500, now)), first);
    assert_eq!(bench.ok(admit("r1", 500, now)), first, "a repeat");
    // The same id by a key is another request.
    assert_eq!(bench.run(super::admit("r1", 500, now)), Err(Refusal::Conflict));
    bench.ok(settle("r1", 20));
    assert_eq!((bench.balance().as_str(), bench.state.held()), ("0.98", NanoUsd::ZERO));
    let row = bench.journal.last().unwrap().usage.clone().unwrap();
    assert_eq!((row.key_id, row.billing_status), (None, BillingStatus::Settled));
    assert!(bench.state.spend.is_empty() && bench.state.rates.is_empty());
}

#[test]
fn no_limit_of_a_key_binds_the_owner_and_the_balance_does() {
    let mut bench = Bench::funded("1");
    let now = bench.now_ms;
    let tight = KeyLimits { requests_per_minute: Some(1), max_running: Some(1), ..budget("0.1", Period::Total) };
    bench.ok(key("tight", "d2", tight, None));
    bench.ok(admit_with("d2", "k1", 50, now));
    for id in ["r1", "r2"] {
        bench.ok(admit(id, 300, now));
    }
    assert_eq!(bench.state.running("tight"), 1, "the owner's requests are nobody's");
    assert_eq!(bench.state.budget_left(Some("tight"), now), Some(NanoUsd::from_usd("0.05").unwrap()));
    bench.ok(settle("k1", 50));
    // 0.95 are left, of which 0.6 are held.
    let refused = bench.run(admit("r3", 400, now));
    assert!(matches!(refused, Ok(Answer::Admitted { granted_output: Some(350), .. })), "{refused:?}");
    let refused = bench.run(admit("r4", 1, now));
    assert!(matches!(refused, Err(Refusal::InsufficientCredit { reason: Shortage::Held, .. })), "{refused:?}");
    bench.ok(settle("r1", 300));
    bench.ok(settle("r2", 300));
    bench.ok(settle("r3", 350));
    let refused = bench.run(admit("r5", 1, now));
    assert!(matches!(refused, Err(Refusal::InsufficientCredit { reason: Shortage::Balance, .. })), "{refused:?}");
}

#[test]
fn the_owner_s_hold_grows_expires_and_settles_late() {
    let mut bench = Bench::funded("1");
    let now = bench.now_ms;
    bench.ok(admit("r1", 300, now));
    let grow =
        Command::Checkpoint { request_id: "r1".into(), usage: usage(200), upstream: "u".into(), grow_to: Some(600) };
    assert_eq!(bench.ok(grow), Answer::Checkpointed { granted_output: Some(600) });
    bench.now_ms += HOLD_TTL_MS;
    assert_eq!(bench.ok(Command::Sweep), Answer::Swept { expired: 1 });
    bench.ok(settle("r1", 250));
    assert_eq!(bench.balance(), "0.75");
    let keys: Vec<_> = bench.journal.iter().filter_map(|entry| Some(entry.usage.clone()?.key_id)).collect();
    assert_eq!(keys, [None, None], "the expiry and its adjustment");
}

#[test]
fn a_delayed_admit_of_the_owner_is_stale_and_one_without_an_account_is_nobody_s() {
    let mut bench = Bench::funded("1");
    let now = bench.now_ms;
    assert_eq!(bench.run(admit("r", 1, now - ADMIT_MAX_AGE_MS - 1)), Err(Refusal::Stale));
    assert_eq!(Bench::default().run(admit("r", 1, 0)), Err(Refusal::NoAccount));
}
