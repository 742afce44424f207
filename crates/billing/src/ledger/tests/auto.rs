//! Automatic top-ups: one attempt in flight, never beyond the cap, and none that the owner's last word forbids.

use super::*;

const USD: i64 = 1_000_000_000;
const MONTH_MS: i64 = 31 * 86_400_000;

fn nano(nano: i64) -> NanoUsd {
    NanoUsd::new(nano).unwrap()
}

const OFF: Command = Command::SetAutoTopUp(AutoSettings {
    enabled: false,
    threshold: NanoUsd::ZERO,
    amount: NanoUsd::ZERO,
    monthly_cap: NanoUsd::ZERO,
});

pub(super) fn set(threshold: i64, amount: i64, monthly_cap: i64) -> Command {
    let (threshold, amount, monthly_cap) = (nano(threshold * USD), nano(amount * USD), nano(monthly_cap * USD));
    Command::SetAutoTopUp(AutoSettings { enabled: true, threshold, amount, monthly_cap })
}

pub(super) fn save(method: &str, created_at_ms: i64) -> Command {
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

fn not_found(attempt: &Attempt) -> Command {
    Command::AttemptNotFound { attempt_id: attempt.id.clone() }
}

pub(super) fn credit(attempt: &Attempt) -> Command {
    enter(&entry_id(&attempt.id), EntryKind::Credit, attempt.amount.nano())
}

impl Bench {
    /// 10 USD, a card that was saved, and a top-up of 20 USD below 5 USD.
    fn saver() -> Self {
        let mut bench = Self::funded("10");
        bench.ok(save("pm_1", bench.now_ms));
        bench.ok(set(5, 20, 100));
        bench
    }

    pub(super) fn auto(&mut self) -> AutoTopUp {
        match self.ok(Command::AutoTopUp) {
            Answer::AutoTopUp { auto, .. } => *auto,
            other => panic!("{other:?}"),
        }
    }

    /// Uses so many thousandths of a dollar; whether the settle names a top-up.
    fn spend(&mut self, id: &str, thousandths: u64) -> bool {
        let now = self.now_ms;
        self.ok(admit(id, thousandths, now));
        waits(&self.ok(settle(id, thousandths)))
    }

    /// What the account allows to be charged now.
    fn charge(&mut self) -> Option<Attempt> {
        allowed(&self.ok(Command::ChargeAttempt))
    }

    fn stage(&mut self) -> Option<Stage> {
        self.auto().attempt.map(|attempt| attempt.stage)
    }
}

fn waits(answer: &Answer) -> bool {
    match answer {
        Answer::Settled { top_up_waits, .. } | Answer::AutoTopUp { top_up_waits, .. } => *top_up_waits,
        other => panic!("{other:?}"),
    }
}

fn allowed(answer: &Answer) -> Option<Attempt> {
    match answer {
        Answer::AutoTopUp { top_up, .. } => top_up.as_deref().cloned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_settle_below_the_threshold_names_one_attempt_and_its_credit_ends_it() {
    let mut bench = Bench::funded("10");
    assert!(!waits(&bench.ok(set(5, 20, 100))), "no method");
    bench.ok(save("pm_1", bench.now_ms));
    assert!(!bench.spend("r1", 4_000), "above the threshold");
    assert!(bench.spend("r2", 2_000));
    assert!(!bench.spend("r3", 1_000), "one in flight, of which somebody was told");
    let attempt = bench.charge().unwrap();
    assert_eq!((attempt.id.as_str(), attempt.amount.to_string().as_str()), ("auto_1_1", "20"));
    assert_eq!((attempt.customer.as_str(), attempt.method.as_str()), ("cus_1", "pm_1"));
    assert_eq!(bench.charge(), None, "handed out once");
    assert_eq!(bench.auto().spent_in_month(bench.now_ms), nano(20 * USD));
    bench.ok(credit(&attempt));
    assert_eq!((bench.balance().as_str(), bench.auto().attempt), ("23", None));
    bench.ok(credit(&attempt));
    assert_eq!(bench.balance(), "23", "once");
    assert!(bench.spend("r4", 19_000));
    assert_eq!(bench.charge().unwrap().id, "auto_1_2");
}

#[test]
fn what_running_requests_hold_charges_nothing() {
    let mut bench = Bench::funded("10");
    bench.ok(save("pm_1", bench.now_ms));
    bench.ok(set(5, 20, 100));
    let now = bench.now_ms;
    bench.ok(admit("long", 7_000, now));
    bench.ok(admit("short", 3_000, now));
    assert!(!waits(&bench.ok(settle("short", 2_000))), "8, of which 7 are held");
    assert!(!waits(&bench.ok(settle("long", 1_000))));
    assert!(bench.spend("last", 2_001));
}

#[test]
fn what_came_in_before_the_charge_makes_it_needless() {
    let mut bench = Bench::saver();
    assert!(bench.spend("r1", 6_000));
    bench.ok(enter("checkout:cs_1", EntryKind::Credit, 50 * USD));
    assert_eq!((bench.charge(), bench.stage()), (None, None), "54 are there");
    assert_eq!(bench.auto().spent, NanoUsd::ZERO);
}

/// Whatever the owner, a bank or a check says while an attempt is in flight: what waits ends, what may have been
/// charged is looked up and never asked for again, and what was charged is credited and counted.
#[test]
fn every_later_word_withdraws_an_attempt() {
    let card = |bench: &Bench| save("pm_2", bench.now_ms + 1);
    type Word = Box<dyn Fn(&Bench) -> Command>;
    let words: Vec<(&str, Word, Option<&str>)> = vec![
        ("off", Box::new(|_| OFF), None),
        ("a lower amount and cap", Box::new(|_| set(5, 5, 5)), Some("5")),
        ("a lower threshold", Box::new(|_| set(1, 20, 100)), None),
        ("another cap", Box::new(|_| set(5, 20, 99)), Some("20")),
        ("another card", Box::new(card), Some("20")),
        ("no card", Box::new(|_| Command::RemoveMethod), None),
        ("cancelled", Box::new(|_| Command::CancelAttempt), None),
        ("disputed", Box::new(|_| enter("dispute:dp_1", EntryKind::Dispute, -USD)), None),
    ];
    for (name, word, next) in &words {
        let next = next.map(str::to_owned);
        let amount = |attempt: Option<Attempt>| attempt.map(|attempt| attempt.amount.to_string());
        // Nobody was told to charge it.
        let mut bench = Bench::saver();
        bench.spend("r1", 6_000);
        let command = word(&bench);
        bench.ok(command);
        let charged = bench.charge();
        assert!(charged.as_ref().is_none_or(|attempt| attempt.id == "auto_1_2"), "{name}: {charged:?}");
        assert_eq!(amount(charged), next, "{name}");
        // Somebody was, and Stripe may have it.
        for was_charged in [false, true] {
            let mut bench = Bench::saver();
            bench.spend("r1", 6_000);
            let attempt = bench.charge().unwrap();
            let command = word(&bench);
            bench.ok(command);
            assert!(matches!(bench.stage(), Some(Stage::Withdrawn { .. })), "{name}");
            assert_eq!(bench.charge(), None, "{name}: none beside it");
            bench.ok(not_found(&attempt));
            assert!(bench.stage().is_some(), "{name}: the charge may still be at work");
            bench.now_ms += ATTEMPT_STALE_MS;
            assert_eq!(bench.charge(), None, "{name}");
            let now_ms = bench.now_ms;
            let looked_up = Step::of(None, bench.auto().attempt.as_ref(), now_ms);
            assert!(matches!(looked_up, Step::LookUp(again) if again.id == attempt.id), "{name}");
            let before = bench.state.balance.nano();
            if was_charged {
                bench.ok(credit(&attempt));
                assert_eq!(bench.state.balance.nano() - before, 20 * USD, "{name}");
                assert_eq!((bench.stage(), bench.auto().spent), (None, nano(20 * USD)), "{name}");
                assert_eq!(bench.charge(), None, "{name}: enough is there");
            } else {
                bench.ok(not_found(&attempt));
                assert_eq!(amount(bench.charge()), next, "{name}");
            }
        }
    }
}

#[test]
fn the_same_word_again_withdraws_nothing() {
    let mut bench = Bench::saver();
    bench.spend("r1", 6_000);
    let attempt = bench.charge().unwrap();
    bench.ok(set(5, 20, 100));
    bench.ok(save("pm_0", bench.now_ms - 1));
    assert_eq!(bench.auto().attempt, Some(attempt));
}

#[test]
fn an_attempt_whose_answer_is_lost_is_looked_up_before_it_is_asked_for_again() {
    let mut bench = Bench::saver();
    bench.spend("r1", 6_000);
    let first = bench.charge().unwrap();
    bench.now_ms += ATTEMPT_STALE_MS - 1;
    assert!(!bench.spend("r2", 1));
    bench.now_ms += 1;
    assert!(bench.spend("r3", 1), "somebody is told again");
    assert_eq!(bench.charge(), None);
    let again = allowed(&bench.ok(not_found(&first))).unwrap();
    assert_eq!((&again.id, again.amount, again.began_at_ms), (&first.id, first.amount, first.began_at_ms));
    assert_eq!(bench.auto().spent, nano(20 * USD), "counted once");
    // Stripe has forgotten the id by then: it is looked up, and not asked for again.
    bench.now_ms += ATTEMPT_LIFE_MS + 1;
    let answer = bench.ok(not_found(&first));
    assert_eq!(allowed(&answer), None);
    assert_eq!(bench.charge().unwrap().id, "auto_1_2", "the next one has an id of its own");
}

#[test]
fn an_attempt_that_was_given_up_and_charged_all_the_same_counts_in_the_month() {
    let mut bench = Bench::saver();
    bench.ok(set(5, 20, 40));
    bench.spend("r1", 6_000);
    let attempt = bench.charge().unwrap();
    bench.ok(OFF);
    bench.now_ms += ATTEMPT_STALE_MS;
    bench.ok(not_found(&attempt));
    assert_eq!(bench.auto().spent, NanoUsd::ZERO);
    bench.ok(credit(&attempt));
    bench.ok(credit(&attempt));
    assert_eq!((bench.auto().spent, bench.balance().as_str()), (nano(20 * USD), "24"));
}

#[test]
fn the_cap_of_a_month_counts_what_is_charged_in_it() {
    let mut bench = Bench::saver();
    bench.ok(set(5, 20, 20));
    bench.spend("r1", 6_000);
    // It waits over the end of the month.
    bench.now_ms += MONTH_MS;
    let attempt = bench.charge().unwrap();
    bench.ok(credit(&attempt));
    bench.spend("r2", 20_000);
    assert_eq!((bench.charge(), bench.auto().spent_in_month(bench.now_ms)), (None, nano(20 * USD)));
}

#[test]
fn a_threshold_above_the_amount_counts_as_the_amount() {
    let mut bench = Bench::funded("30");
    bench.ok(save("pm_1", bench.now_ms));
    // Settings of a version that allowed them.
    assert!(!waits(&bench.ok(set(100, 20, 200))), "30 are there");
    assert!(bench.spend("r1", 11_000));
    let attempt = bench.charge().unwrap();
    bench.ok(credit(&attempt));
    assert_eq!((bench.balance().as_str(), bench.spend("r2", 1), bench.charge()), ("39", false, None));
}

#[test]
fn a_refusal_stops_them_until_the_owner_says_otherwise() {
    let mut bench = Bench::saver();
    bench.spend("r1", 6_000);
    let attempt = bench.charge().unwrap();
    bench.ok(stop("auto_1_7"));
    assert!(bench.auto().attempt.is_some(), "another's refusal");
    bench.ok(stop(&attempt.id));
    bench.ok(stop(&attempt.id));
    let auto = bench.auto();
    assert_eq!((auto.attempt, auto.spent), (None, NanoUsd::ZERO));
    assert_eq!(auto.stopped, Some(Stopped { reason: StopReason::Declined, at_ms: bench.now_ms }));
    assert!(!bench.spend("r2", 1));
    assert!(waits(&bench.ok(set(5, 20, 100))));
    let next = bench.charge().unwrap();
    assert_eq!(next.id, "auto_1_2");
    bench.ok(stop(&next.id));
    // The old card, told late, is no news; another one is.
    bench.ok(save("pm_1", bench.now_ms));
    assert!(bench.auto().stopped.is_some());
    bench.now_ms += 1;
    bench.ok(save("pm_2", bench.now_ms));
    assert_eq!(bench.charge().unwrap().method, "pm_2");
}

#[test]
fn the_refusal_of_a_card_that_was_replaced_stops_nothing() {
    let mut bench = Bench::saver();
    bench.spend("r1", 6_000);
    let attempt = bench.charge().unwrap();
    bench.ok(save("pm_2", bench.now_ms + 1));
    bench.ok(stop(&attempt.id));
    assert_eq!((bench.auto().stopped, bench.stage()), (None, None));
    bench.spend("r2", 1);
    assert_eq!(bench.charge().unwrap().method, "pm_2");
}

#[test]
fn a_cancellation_stops_them_and_one_that_comes_too_late_does_not() {
    let mut bench = Bench::saver();
    bench.ok(Command::CancelAttempt);
    assert_eq!(bench.auto().stopped, None, "nothing was in flight");
    bench.spend("r1", 6_000);
    bench.ok(Command::CancelAttempt);
    assert_eq!(bench.auto().stopped.unwrap().reason, StopReason::Cancelled);
    assert!(!bench.spend("r2", 1));
    assert!(waits(&bench.ok(set(5, 20, 100))));
}

#[test]
fn a_removed_method_is_charged_no_more_and_does_not_come_back_late() {
    let mut bench = Bench::saver();
    bench.now_ms += 1_000;
    bench.ok(Command::RemoveMethod);
    bench.ok(save("pm_1", bench.now_ms - 1_000));
    assert_eq!((bench.spend("r1", 6_000), bench.auto().method), (false, None));
}

#[test]
fn what_goes_back_charges_nothing_and_a_dispute_stops() {
    let mut bench = Bench::saver();
    bench.ok(enter("refund:re_1", EntryKind::Refund, -6 * USD));
    // The alarm that delivers the refund sweeps too.
    bench.ok(Command::Sweep);
    assert_eq!(bench.auto().attempt, None);
    bench.ok(enter("dispute:dp_1", EntryKind::Dispute, -USD));
    let stopped = bench.auto().stopped.unwrap();
    assert_eq!(stopped.reason, StopReason::Disputed);
    assert!(!bench.spend("r1", 1));
    bench.ok(set(5, 20, 100));
    assert_eq!(bench.run(enter("dispute:dp_1", EntryKind::Dispute, -USD)).map(drop), Ok(()));
    assert_eq!(bench.auto().stopped, None, "a repeat says nothing new");
}

#[test]
fn expiry_and_an_operators_correction_ask_for_money_too() {
    for ends in [Command::Sweep, enter("operator:1", EntryKind::Adjustment, -6 * USD)] {
        let mut bench = Bench::saver();
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
        assert_eq!((attempt.stage, attempt.due_at_ms()), (Stage::Waiting, bench.now_ms), "nobody was told yet");
        bench.ok(Command::TakeAttempt);
        assert_eq!(bench.auto().attempt.unwrap().due_at_ms(), bench.now_ms + ATTEMPT_STALE_MS, "the cron was");
    }
}

#[test]
fn attempts_of_versions_before_are_read() {
    let flat = r#"{"id":"auto_1_1","amount":20,"customer":"c","method":"m","began_at_ms":9"#;
    for (rest, stage) in [
        ("", Stage::Waiting),
        (r#","handed_at_ms":10"#, Stage::Charging { handed_at_ms: 10 }),
        (r#","handed_at_ms":10,"withdrawn":true"#, Stage::Withdrawn { handed_at_ms: 10 }),
    ] {
        let json = format!("{flat}{rest}}}");
        let attempt: Attempt = serde_json::from_str(&json).unwrap();
        assert_eq!((attempt.stage, attempt.terms), (stage, None));
        assert_eq!(serde_json::to_string(&attempt).unwrap(), json);
    }
    // One that waits, and that the settings of now would not begin, is not charged.
    let mut bench = Bench::saver();
    bench.spend("r1", 6_000);
    let mut auto = bench.state.auto.clone().unwrap();
    let old = auto.attempt.take().unwrap();
    auto.attempt = Some(Attempt { terms: None, amount: nano(50 * USD), ..old });
    bench.state.auto = Some(auto);
    assert_eq!(bench.charge(), None);
    assert_eq!(bench.charge().unwrap().amount, nano(20 * USD), "another one is");
}

#[test]
fn an_account_without_them_writes_nothing_for_them() {
    let mut bench = Bench::funded("1");
    let now = bench.now_ms;
    bench.ok(admit("r1", 100, now));
    for command in [Command::AutoTopUp, Command::TakeAttempt, Command::ChargeAttempt, Command::CancelAttempt] {
        bench.ok(command);
    }
    bench.ok(stop("auto_1_1"));
    bench.ok(Command::AttemptNotFound { attempt_id: "auto_1_1".into() });
    let (events, _) = decide(&bench.state, &settle("r1", 10), &Prior::default(), now).unwrap();
    assert!(events.iter().all(|event| !matches!(event, Event::AutoSet(_))));
    assert_eq!(bench.state.auto, None);
}

/// Nothing settles in an account that a refund left short, so the Worker has the account look again when it refuses a
/// request.
#[test]
fn issue_13_an_account_that_a_refund_left_short_begins_a_top_up_when_it_is_asked() {
    let mut bench = Bench::saver();
    let amount = NanoUsd::new(-30 * USD).unwrap();
    bench.ok(Command::Enter(Enter { id: "back".into(), kind: EntryKind::Refund, amount }));
    assert_eq!(bench.auto().attempt, None, "money that goes back charges no card");
    bench.ok(Command::ChargeAttempt);
    assert!(bench.auto().attempt.is_some());
}

#[test]
fn issue_13_a_debt_that_takes_a_whole_top_up_leaves_room_for_the_next() {
    let mut bench = Bench::saver();
    bench.ok(set(5, 5, 100));
    let now_ms = bench.now_ms;
    bench.ok(admit("r1", 1_000, now_ms));
    bench.ok(settle("r1", 40_000));
    let first = bench.auto().attempt.unwrap();
    bench.ok(credit(&first));
    assert_eq!((bench.balance().as_str(), bench.auto().attempt), ("0", None), "the debt took all of it");
    bench.ok(Command::ChargeAttempt);
    assert_ne!(bench.auto().attempt.unwrap().id, first.id);
}

#[test]
fn issue_13_a_new_month_makes_room_in_the_cap_for_an_account_that_is_short() {
    let mut bench = Bench::saver();
    bench.ok(set(5, 20, 20));
    let spend = |bench: &mut Bench, id: &str, thousandths: u64| {
        let now_ms = bench.now_ms;
        bench.ok(admit(id, thousandths, now_ms));
        bench.ok(settle(id, thousandths));
    };
    spend(&mut bench, "r1", 9_000);
    let first = bench.auto().attempt.unwrap();
    bench.ok(credit(&first));
    spend(&mut bench, "r2", 20_000);
    assert_eq!(bench.auto().attempt, None, "the cap is used up");
    bench.ok(Command::ChargeAttempt);
    assert_eq!(bench.auto().attempt, None, "and a refused request does not change that");
    bench.now_ms += 40 * 86_400_000;
    bench.ok(Command::ChargeAttempt);
    assert!(bench.auto().attempt.is_some());
}
