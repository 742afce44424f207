//! Automatic top-ups: one attempt in flight, never beyond the cap, and none after a refusal.

use super::*;
use crate::ledger::auto::ATTEMPT_STALE_MS;

const USD: i64 = 1_000_000_000;
const MONTH_MS: i64 = 31 * 86_400_000;

fn nano(nano: i64) -> NanoUsd {
    NanoUsd::new(nano).unwrap()
}

fn set(threshold: i64, amount: i64, monthly_cap: i64) -> Command {
    let (threshold, amount, monthly_cap) = (nano(threshold * USD), nano(amount * USD), nano(monthly_cap * USD));
    Command::SetAutoTopUp(AutoSettings { enabled: true, threshold, amount, monthly_cap })
}

fn save(method: &str, created_at_ms: i64) -> Command {
    Command::SaveMethod(SavedMethod {
        customer: "cus_1".into(),
        method: method.into(),
        brand: "visa".into(),
        last4: "4242".into(),
        created_at_ms,
    })
}

fn stop(attempt_id: &str) -> Command {
    Command::StopTopUp { attempt_id: attempt_id.into(), reason: StopReason::Declined }
}

fn credit(attempt: &Attempt) -> Command {
    enter(&entry_id(&attempt.id), EntryKind::Credit, attempt.amount.nano())
}

impl Bench {
    fn auto(&mut self) -> AutoTopUp {
        match self.ok(Command::AutoTopUp) {
            Answer::AutoTopUp { auto, .. } => *auto,
            other => panic!("{other:?}"),
        }
    }

    /// Uses so many thousandths of a dollar; the attempt that the settle names.
    fn spend(&mut self, id: &str, thousandths: u64) -> Option<Attempt> {
        let now = self.now_ms;
        self.ok(admit(id, thousandths, now));
        handed(&self.ok(settle(id, thousandths)))
    }
}

fn handed(answer: &Answer) -> Option<Attempt> {
    match answer {
        Answer::Settled { top_up, .. } | Answer::AutoTopUp { top_up, .. } => top_up.as_deref().cloned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_settle_below_the_threshold_names_one_attempt_and_its_credit_ends_it() {
    let mut bench = Bench::funded("10");
    assert_eq!(handed(&bench.ok(set(5, 20, 100))), None, "no method");
    bench.ok(save("pm_1", bench.now_ms));
    assert_eq!(bench.spend("r1", 4_000), None, "above the threshold");
    let attempt = bench.spend("r2", 2_000).unwrap();
    assert_eq!((attempt.id.as_str(), attempt.amount.to_string().as_str()), ("auto_1_1", "20"));
    assert_eq!((attempt.customer.as_str(), attempt.method.as_str()), ("cus_1", "pm_1"));
    assert_eq!(bench.spend("r3", 1_000), None, "one in flight");
    assert_eq!(bench.auto().spent_in_month(bench.now_ms), nano(20 * USD));
    bench.ok(credit(&attempt));
    assert_eq!((bench.balance().as_str(), bench.auto().attempt), ("23", None));
    bench.ok(credit(&attempt));
    assert_eq!(bench.balance(), "23", "once");
    let next = bench.spend("r4", 19_000).unwrap();
    assert_eq!(next.id, "auto_1_2");
}

#[test]
fn what_is_held_counts_and_what_is_freed_is_available_again() {
    let mut bench = Bench::funded("10");
    bench.ok(save("pm_1", bench.now_ms));
    bench.ok(set(5, 20, 100));
    let now = bench.now_ms;
    bench.ok(admit("long", 4_000, now));
    bench.ok(admit("short", 3_000, now));
    assert!(handed(&bench.ok(settle("short", 2_000))).is_some(), "8 less 4 held is below 5");
    let mut bench = Bench::funded("10");
    bench.ok(save("pm_1", bench.now_ms));
    bench.ok(set(5, 20, 100));
    bench.ok(admit("long", 9_000, now));
    assert_eq!(handed(&bench.ok(settle("long", 1_000))), None, "its own hold is gone by then");
}

#[test]
fn a_lost_attempt_is_handed_out_again_under_the_same_id() {
    let mut bench = Bench::funded("10");
    bench.ok(save("pm_1", bench.now_ms));
    bench.ok(set(5, 20, 100));
    let first = bench.spend("r1", 6_000).unwrap();
    bench.now_ms += ATTEMPT_STALE_MS - 1;
    assert_eq!(bench.spend("r2", 1), None);
    bench.now_ms += 1;
    let again = bench.spend("r3", 1).unwrap();
    assert_eq!((&again.id, again.amount, again.began_at_ms), (&first.id, first.amount, first.began_at_ms));
    assert_eq!(bench.spend("r4", 1), None);
    let taken = handed(&bench.ok(Command::TakeAttempt)).unwrap();
    assert_eq!(taken.id, first.id, "whoever asks for it has it");
    bench.ok(credit(&taken));
    assert_eq!(handed(&bench.ok(Command::TakeAttempt)), None);
}

#[test]
fn a_refusal_stops_them_until_the_owner_says_otherwise() {
    let mut bench = Bench::funded("10");
    bench.ok(save("pm_1", bench.now_ms));
    bench.ok(set(5, 20, 100));
    let attempt = bench.spend("r1", 6_000).unwrap();
    bench.ok(stop("auto_1_7"));
    assert!(bench.auto().attempt.is_some(), "another's refusal");
    bench.ok(stop(&attempt.id));
    bench.ok(stop(&attempt.id));
    let auto = bench.auto();
    assert_eq!((auto.attempt, auto.spent), (None, NanoUsd::ZERO));
    assert_eq!(auto.stopped, Some(Stopped { reason: StopReason::Declined, at_ms: bench.now_ms }));
    assert_eq!(bench.spend("r2", 1), None);
    let next = handed(&bench.ok(set(5, 20, 100))).unwrap();
    assert_eq!(next.id, "auto_1_2");
    bench.ok(stop(&next.id));
    // The old card, told late, is no news; another one is.
    bench.ok(save("pm_1", bench.now_ms));
    assert!(bench.auto().stopped.is_some());
    bench.now_ms += 1;
    assert_eq!(handed(&bench.ok(save("pm_2", bench.now_ms))).unwrap().method, "pm_2");
}

#[test]
fn a_removed_method_is_charged_no_more_and_does_not_come_back_late() {
    let mut bench = Bench::funded("10");
    bench.ok(save("pm_1", bench.now_ms));
    bench.ok(set(5, 20, 100));
    bench.now_ms += 1_000;
    bench.ok(Command::RemoveMethod);
    bench.ok(save("pm_1", bench.now_ms - 1_000));
    assert_eq!((bench.spend("r1", 6_000), bench.auto().method), (None, None));
}

#[test]
fn what_goes_back_charges_nothing_and_a_dispute_stops() {
    let mut bench = Bench::funded("10");
    bench.ok(save("pm_1", bench.now_ms));
    bench.ok(set(5, 20, 100));
    bench.ok(enter("refund:re_1", EntryKind::Refund, -6 * USD));
    // The alarm that delivers the refund sweeps too.
    bench.ok(Command::Sweep);
    assert_eq!(bench.auto().attempt, None);
    bench.ok(enter("dispute:dp_1", EntryKind::Dispute, -USD));
    let stopped = bench.auto().stopped.unwrap();
    assert_eq!(stopped.reason, StopReason::Disputed);
    assert_eq!(bench.spend("r1", 1), None);
    bench.ok(set(5, 20, 100));
    assert_eq!(bench.run(enter("dispute:dp_1", EntryKind::Dispute, -USD)).map(drop), Ok(()));
    assert_eq!(bench.auto().stopped, None, "a repeat says nothing new");
}

#[test]
fn expiry_and_an_operators_correction_ask_for_money_too() {
    for ends in [Command::Sweep, enter("operator:1", EntryKind::Adjustment, -6 * USD)] {
        let mut bench = Bench::funded("10");
        bench.ok(save("pm_1", bench.now_ms));
        bench.ok(set(5, 20, 100));
        let now = bench.now_ms;
        bench.ok(admit("lost", 6_000, now));
        bench.ok(Command::Checkpoint {
            request_id: "lost".into(),
            usage: usage(6_000),
            upstream: "u".into(),
            grow_to: None,
        });
        bench.now_ms += HOLD_TTL_MS;
        bench.ok(ends);
        let attempt = bench.auto().attempt.unwrap();
        assert_eq!((attempt.handed_at_ms, attempt.due_at_ms()), (None, bench.now_ms), "nobody was told yet");
    }
}

#[test]
fn an_account_without_them_writes_nothing_for_them() {
    let mut bench = Bench::funded("1");
    let now = bench.now_ms;
    bench.ok(admit("r1", 100, now));
    bench.ok(Command::AutoTopUp);
    bench.ok(Command::TakeAttempt);
    bench.ok(stop("auto_1_1"));
    let (events, _) = decide(&bench.state, &settle("r1", 10), &Prior::default(), now).unwrap();
    assert!(events.iter().all(|event| !matches!(event, Event::AutoSet(_))));
    assert_eq!(bench.state.auto, None);
}

#[derive(Debug, Clone)]
enum Turn {
    Spend(u64),
    Charge { succeeds: bool },
    Set { threshold: i64, amount: i64, cap: i64 },
    Save,
    Remove,
    Refund(i64),
    Take,
    Wait(i64),
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let one = prop_oneof![
        6 => (1_u64..3_000).prop_map(Turn::Spend),
        4 => prop_oneof![4 => Just(true), 1 => Just(false)].prop_map(|succeeds| Turn::Charge { succeeds }),
        1 => (0_i64..12, 5_i64..30, 5_i64..80).prop_map(|(threshold, amount, cap)| Turn::Set { threshold, amount, cap }),
        1 => Just(Turn::Save),
        1 => Just(Turn::Remove),
        1 => (1_i64..5).prop_map(Turn::Refund),
        1 => Just(Turn::Take),
        2 => prop_oneof![0..ATTEMPT_STALE_MS * 2, Just(MONTH_MS / 3)].prop_map(Turn::Wait),
    ];
    proptest::collection::vec(one, 1..150)
}

proptest! {
    /// Whoever is told of an attempt charges it sooner or later, perhaps twice.
    #[test]
    fn one_attempt_is_in_flight_and_the_cap_is_kept(turns in turns()) {
        let mut bench = Bench::funded("10");
        let mut told: BTreeMap<String, Attempt> = BTreeMap::new();
        let mut open: Vec<String> = Vec::new();
        // By month: what was credited and may still be.
        let mut months: BTreeMap<i64, i64> = BTreeMap::new();
        let mut highest_cap: BTreeMap<i64, i64> = BTreeMap::new();
        let month = |at_ms| calendar::start_of(Period::Monthly, at_ms);
        for (turn, step) in turns.into_iter().enumerate() {
            let now = bench.now_ms;
            let id = format!("r{turn}");
            let stopped = bench.state.auto.as_ref().and_then(|auto| auto.stopped);
            let answer = match step {
                Turn::Spend(thousandths) => match bench.run(admit(&id, thousandths, now)) {
                    Ok(_) => Some(bench.ok(settle(&id, thousandths))),
                    Err(_) => None,
                },
                Turn::Charge { succeeds } => {
                    if let Some(attempt) = open.pop().and_then(|id| told.get(&id).cloned()) {
                        if succeeds {
                            bench.ok(credit(&attempt));
                        } else {
                            *months.entry(month(attempt.began_at_ms)).or_default() -= attempt.amount.nano();
                            bench.ok(stop(&attempt.id));
                        }
                    }
                    None
                }
                Turn::Set { threshold, amount, cap } => Some(bench.ok(set(threshold, amount, cap))),
                Turn::Save => Some(bench.ok(save("pm_1", now))),
                Turn::Remove => Some(bench.ok(Command::RemoveMethod)),
                Turn::Refund(usd) => { bench.ok(enter(&format!("refund:{turn}"), EntryKind::Refund, -usd * USD)); None }
                Turn::Take => Some(bench.ok(Command::TakeAttempt)),
                Turn::Wait(ms) => { bench.now_ms += ms; None }
            };
            let auto = bench.state.auto.clone().unwrap_or_default();
            let cap = highest_cap.entry(month(bench.now_ms)).or_default();
            *cap = (*cap).max(auto.settings.monthly_cap.nano());
            if let Some(attempt) = answer.as_ref().and_then(handed) {
                match told.get(&attempt.id) {
                    Some(first) => prop_assert_eq!((first.amount, &first.method), (attempt.amount, &attempt.method)),
                    None => {
                        prop_assert!(stopped.is_none() || auto.stopped.is_none(), "stopped");
                        *months.entry(month(attempt.began_at_ms)).or_default() += attempt.amount.nano();
                        open.push(attempt.id.clone());
                        told.insert(attempt.id.clone(), attempt);
                    }
                }
            }
            prop_assert!(open.len() <= 1, "in flight: {:?}", open);
            prop_assert!(auto.spent >= NanoUsd::ZERO);
            for (month, sum) in &months {
                prop_assert!(*sum <= highest_cap.get(month).copied().unwrap_or_default(), "{} beyond the cap", sum);
            }
        }
    }
}
