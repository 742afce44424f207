use proptest::prelude::*;

use super::*;

/// Whose attempts are told of where the account does not matter.
const GROUP: u8 = 0;
const FAILED: Verdict = Verdict::Failed { kind: Kind::ServerError, retry_after_s: None };

fn told(seconds: u64) -> Verdict {
    Verdict::Failed { kind: Kind::RateLimited, retry_after_s: Some(seconds) }
}

/// Asks and hears at once, without jitter; whether it could be asked.
fn ask(breaker: &mut Breaker, verdict: Verdict, now_ms: i64) -> bool {
    let Some(attempt) = breaker.begin(GROUP, now_ms) else { return false };
    breaker.end(attempt, verdict, now_ms, 0);
    true
}

fn opened_at(now_ms: i64) -> Breaker {
    let mut breaker = Breaker::default();
    assert!((0..5).all(|_| ask(&mut breaker, FAILED, now_ms)));
    breaker
}

#[test]
fn five_failures_in_a_row_open_it_for_five_seconds() {
    let mut breaker = opened_at(1_000);
    assert_eq!(breaker.wait_ms(GROUP, 1_000), Some(5_000));
    assert!(!ask(&mut breaker, Verdict::Answered, 5_999));
    assert_eq!(breaker.wait_ms(GROUP, 6_000), None);
    let mut forgiven = Breaker::default();
    for _ in 0..4 {
        assert!((0..4).all(|_| ask(&mut forgiven, FAILED, 0)) && ask(&mut forgiven, Verdict::Answered, 0));
    }
}

#[test]
fn one_probe_at_a_time_decides() {
    let mut breaker = opened_at(0);
    let probe = breaker.begin(GROUP, 5_000).unwrap();
    assert_eq!((breaker.begin(GROUP, 5_000), breaker.wait_ms(GROUP, 5_000)), (None, Some(1_000)));
    assert!(breaker.end(probe, FAILED, 5_100, 0));
    // Twice as long, and longer each time, up to a minute.
    let mut now_ms = 5_100;
    for period_ms in [10_000, 20_000, 40_000, 60_000, 60_000] {
        assert_eq!(breaker.wait_ms(GROUP, now_ms), Some(period_ms));
        now_ms += i64::try_from(period_ms).unwrap();
        assert!(ask(&mut breaker, FAILED, now_ms));
    }
    now_ms += 60_000;
    assert!(ask(&mut breaker, Verdict::Answered, now_ms));
    assert_eq!(breaker.view(now_ms).state, "closed");
    // From the beginning.
    assert!((0..5).all(|_| ask(&mut breaker, FAILED, now_ms)));
    assert_eq!(breaker.wait_ms(GROUP, now_ms), Some(5_000));
}

#[test]
fn a_probe_that_never_tells_is_replaced_and_not_heard_any_more() {
    let mut breaker = opened_at(0);
    let lost = breaker.begin(GROUP, 5_000).unwrap();
    assert_eq!(breaker.begin(GROUP, 64_999), None);
    let second = breaker.begin(GROUP, 65_000).unwrap();
    assert!(!breaker.end(lost, FAILED, 65_001, 0));
    assert_eq!(breaker.view(65_001).state, "half_open");
    breaker.end(second, Verdict::Answered, 65_002, 0);
    assert_eq!(breaker.view(65_002).state, "closed");
}

#[test]
fn what_was_asked_before_it_opened_neither_closes_nor_prolongs_it() {
    let mut breaker = Breaker::default();
    let early: Vec<Attempt> = (0..3).map(|_| breaker.begin(GROUP, 0).unwrap()).collect();
    assert!((0..5).all(|_| ask(&mut breaker, FAILED, 0)));
    for (attempt, verdict) in early.into_iter().zip([Verdict::Answered, FAILED, told(100)]) {
        breaker.end(attempt, verdict, 1_000, 0);
        assert_eq!(breaker.wait_ms(GROUP, 1_000), Some(4_000));
    }
    assert_eq!(breaker.view(1_000).failures, [(Kind::RateLimited, 1), (Kind::ServerError, 6)].into());
}

#[test]
fn it_opens_until_it_was_told_to_ask_again() {
    for (seconds, wait_ms) in [(1, Some(1_000)), (86_400, Some(300_000)), (u64::MAX, Some(300_000)), (0, None)] {
        let mut breaker = Breaker::default();
        assert!(ask(&mut breaker, told(seconds), 0));
        assert_eq!(breaker.wait_ms(GROUP, 0), wait_ms, "{seconds}");
    }
}

#[test]
fn more_than_half_of_twenty_open_it() {
    let mut breaker = Breaker::default();
    // Half of them, and never five in a row.
    assert!((0..100).all(|n| ask(&mut breaker, if n % 2 == 1 { FAILED } else { Verdict::Answered }, n)));
    let mut breaker = Breaker::default();
    let asked = (0..100).take_while(|n| ask(&mut breaker, if n % 3 == 2 { Verdict::Answered } else { FAILED }, *n));
    assert_eq!(asked.count(), 20);
    // What is older than a minute does not count.
    let mut breaker = Breaker::default();
    assert!((0..100).all(|n| ask(&mut breaker, if n % 3 == 2 { Verdict::Answered } else { FAILED }, n * 4_000)));
}

/// Begins streams at each of these times and has them break off a second later; how many could begin.
fn broken_streams(breaker: &mut Breaker, times_ms: impl Iterator<Item = i64>) -> usize {
    let mut begun = 0;
    for now_ms in times_ms {
        let Some(attempt) = breaker.begin(GROUP, now_ms) else { continue };
        let stream = breaker.begun(attempt, now_ms);
        begun += 1;
        breaker.broke_off(stream, now_ms + 1_000, 0);
    }
    begun
}

#[test]
fn streams_that_break_off_count_in_the_rate_alone() {
    let mut breaker = Breaker::default();
    assert_eq!(broken_streams(&mut breaker, 0..19), 19);
    assert_eq!(breaker.wait_ms(GROUP, 1_019), None);
    let view = breaker.view(1_019);
    assert_eq!((view.failures_in_a_row, view.recent_attempts, view.recent_failures), (0, 19, 19));
    assert_eq!((view.failures, view.last_failure), ([(Kind::BrokeOff, 19)].into(), Some(Kind::BrokeOff)));
    // The twentieth opens it for five seconds; what comes then is not asked.
    assert_eq!(broken_streams(&mut breaker, 19..30), 1);
    assert_eq!(breaker.wait_ms(GROUP, 1_019), Some(5_000));
    // Those of a slow hour are no more than half of twenty in any minute.
    assert_eq!(broken_streams(&mut Breaker::default(), (0..100).map(|n| n * 4_000)), 100);
    // Half of them.
    let mut breaker = Breaker::default();
    for n in 0..100 {
        let stream = breaker.begin(GROUP, n).unwrap();
        let stream = breaker.begun(stream, n);
        if n % 2 == 1 {
            assert!(!breaker.broke_off(stream, n, 0));
        }
    }
}

#[test]
fn all_that_run_break_at_once_and_are_no_more_than_the_attempts_of_the_minute() {
    let mut breaker = Breaker::default();
    let streams: Vec<Attempt> = (0..200)
        .map(|_| {
            let attempt = breaker.begin(GROUP, 0).unwrap();
            breaker.begun(attempt, 0)
        })
        .collect();
    // Long after they were noted: nothing was asked in this minute, so nothing is judged.
    for stream in &streams {
        assert!(!breaker.broke_off(*stream, 600_000, 0));
    }
    assert_eq!(breaker.view(600_000).recent_failures, 0);
    assert_eq!(breaker.view(600_000).failures, [(Kind::BrokeOff, 200)].into());
}

#[test]
fn a_stream_of_an_earlier_time_decides_nothing_and_one_of_the_probe_does() {
    let mut breaker = Breaker::default();
    let early = breaker.begin(GROUP, 0).unwrap();
    let early = breaker.begun(early, 0);
    assert!((0..5).all(|_| ask(&mut breaker, FAILED, 0)));
    let probe = breaker.begin(GROUP, 5_000).unwrap();
    let probe = breaker.begun(probe, 5_000);
    assert_eq!(breaker.view(5_000).state, "closed");
    breaker.broke_off(early, 5_000, 0);
    assert_eq!(breaker.view(5_000).recent_failures, 0);
    breaker.broke_off(probe, 5_000, 0);
    assert_eq!(breaker.view(5_000).recent_failures, 1);
}

#[test]
fn what_says_nothing_leaves_it_as_it_was() {
    let mut breaker = Breaker::default();
    assert!((0..4).all(|_| ask(&mut breaker, FAILED, 0)));
    assert!((0..100).all(|_| ask(&mut breaker, Verdict::Nothing, 0)));
    assert!(ask(&mut breaker, FAILED, 0));
    assert_eq!(breaker.wait_ms(GROUP, 0), Some(5_000));
    // A probe that was rejected leaves the next request to be one.
    assert!(ask(&mut breaker, Verdict::Nothing, 5_000));
    assert_eq!((breaker.view(5_000).state, breaker.wait_ms(GROUP, 5_000)), ("open", None));
    assert!(ask(&mut breaker, FAILED, 5_000));
    assert_eq!(breaker.wait_ms(GROUP, 5_000), Some(10_000));
}

#[test]
fn a_clock_that_was_set_back_does_not_keep_it_open() {
    assert_eq!(opened_at(1_000_000).wait_ms(GROUP, 0), None);
}

#[test]
fn what_an_operator_is_shown() {
    let mut breaker = opened_at(1_000);
    breaker.begin(GROUP, 6_000);
    insta::assert_json_snapshot!(breaker.view(6_000));
}

/// Asks for an account and hears at once; whether the upstream could be asked.
fn ask_for(breaker: &mut ModelBreaker, account: &str, verdict: Verdict, now_ms: i64) -> bool {
    let Some(leave) = breaker.begin(account, now_ms) else { return false };
    match verdict {
        Verdict::Answered => drop(breaker.begun(leave, now_ms)),
        verdict => drop(breaker.end(&leave, verdict, now_ms, 0)),
    }
    true
}

#[test]
fn failures_of_one_account_keep_that_account_alone_from_the_upstream() {
    let mut breaker = ModelBreaker::default();
    assert_eq!((0..100).filter(|n| ask_for(&mut breaker, "a", FAILED, *n)).count(), 5);
    assert_eq!((breaker.wait_ms("a", 100), breaker.wait_ms("b", 100)), (Some(4_904), None));
    assert!((0..100).all(|n| ask_for(&mut breaker, "b", Verdict::Answered, 100 + n)));
    let view = breaker.view(200);
    assert_eq!((view.everyone.state, view.accounts_waiting), ("closed", 1));
}

#[test]
fn failures_of_three_accounts_keep_everyone_from_the_upstream_and_two_do_not() {
    let mut two = ModelBreaker::default();
    assert_eq!((0..100).filter(|n| ask_for(&mut two, if n % 2 == 0 { "a" } else { "b" }, FAILED, *n)).count(), 10);
    assert_eq!(two.wait_ms("d", 100), None);
    let mut three = ModelBreaker::default();
    let account = |n: i64| ["a", "b", "c"][usize::try_from(n % 3).unwrap()];
    assert_eq!((0..100).filter(|n| ask_for(&mut three, account(*n), FAILED, *n)).count(), 5);
    assert_eq!(three.wait_ms("d", 100), Some(4_904));
    assert!(ask_for(&mut three, "d", Verdict::Answered, 6_000) && three.is_closed_for_everyone());
}

#[test]
fn what_one_account_is_told_to_wait_others_are_not() {
    let mut breaker = ModelBreaker::default();
    assert!(ask_for(&mut breaker, "a", told(60), 0));
    assert_eq!((breaker.wait_ms("a", 0), breaker.wait_ms("b", 0)), (Some(60_000), None));
    assert!(ask_for(&mut breaker, "b", told(60), 0) && ask_for(&mut breaker, "c", told(60), 0));
    assert_eq!(breaker.wait_ms("d", 0), Some(60_000));
}

#[test]
fn probes_of_one_account_do_not_keep_the_breaker_open_for_others() {
    let mut breaker = ModelBreaker::default();
    let account = |n: i64| ["a", "b", "c"][usize::try_from(n % 3).unwrap()];
    (0..5).for_each(|n| assert!(ask_for(&mut breaker, account(n), FAILED, 0)));
    // The account whose probe fails waits for a period, and the next one may probe at once.
    assert!(ask_for(&mut breaker, "a", FAILED, 5_000));
    assert!(breaker.wait_ms("a", 5_000).is_some_and(|wait_ms| wait_ms >= 10_000));
    assert_eq!(breaker.wait_ms("d", 5_000), None);
    assert!(ask_for(&mut breaker, "d", Verdict::Answered, 5_000) && breaker.is_closed_for_everyone());
    // Two accounts whose probes fail keep everyone away for another period.
    (0..5).for_each(|n| assert!(ask_for(&mut breaker, &format!("e{n}"), FAILED, 6_000)));
    assert!(ask_for(&mut breaker, "f", FAILED, 11_000) && ask_for(&mut breaker, "g", FAILED, 11_000));
    assert_eq!(breaker.wait_ms("h", 11_000), Some(10_000));
}

#[test]
fn streams_of_one_account_that_break_off_close_nothing_for_others() {
    let mut breaker = ModelBreaker::default();
    let mut broken = |account: &str, now_ms: i64| {
        let Some(leave) = breaker.begin(account, now_ms) else { return false };
        let leave = breaker.begun(leave, now_ms);
        breaker.broke_off(&leave, now_ms, 0);
        true
    };
    assert_eq!((0..100).filter(|n| broken("a", *n)).count(), 20);
    assert!(broken("b", 100));
    assert_eq!(breaker.wait_ms("c", 100), None);
}

#[test]
fn accounts_that_have_recovered_are_forgotten_and_their_number_is_bounded() {
    let mut breaker = ModelBreaker::default();
    assert!(ask_for(&mut breaker, "a", FAILED, 0));
    assert_eq!(breaker.own.len(), 1);
    assert!(ask_for(&mut breaker, "a", Verdict::Answered, 100_000));
    assert_eq!(breaker.own.len(), 0);
    for n in 0..3_000 {
        ask_for(
            &mut breaker,
            &n.to_string(),
            Verdict::Failed { kind: Kind::ServerError, retry_after_s: None },
            n * 400_000,
        );
        assert!(breaker.own.len() <= 1_000);
    }
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        3 => Just(Verdict::Answered),
        5 => Just(FAILED),
        1 => (0..400_u64).prop_map(told),
        1 => Just(Verdict::Nothing),
    ]
}

proptest! {
    /// Whatever happens, it may be asked again in five minutes at most, and while it is not closed one
    /// attempt runs at a time.
    #[test]
    fn it_is_never_open_for_ever(steps in prop::collection::vec((verdict(), 0..20_000_i64, any::<u64>(), any::<bool>()), 0..200)) {
        let (mut breaker, mut now_ms, mut running) = (Breaker::default(), 0, Vec::new());
        for (verdict, later_ms, random, tells) in steps {
            now_ms += later_ms;
            let was_closed = breaker.view(now_ms).state == "closed";
            if let Some(attempt) = breaker.begin(GROUP, now_ms) {
                if !was_closed {
                    prop_assert!(breaker.begin(GROUP, now_ms).is_none());
                }
                running.push(attempt);
            }
            if tells && let Some(attempt) = running.pop() {
                breaker.end(attempt, verdict, now_ms, random);
            }
            prop_assert!(breaker.wait_ms(GROUP, now_ms).is_none_or(|wait_ms| wait_ms <= MOST_TOLD_MS.unsigned_abs()));
            prop_assert!(breaker.wait_ms(GROUP, now_ms + MOST_TOLD_MS).is_none());
        }
    }

    /// The promise: of an upstream that is down, one attempt a period after the first five.
    #[test]
    fn an_upstream_that_is_down_costs_one_attempt_a_period(gaps_ms in prop::collection::vec(0..1_000_i64, 1..2_000), random in any::<u64>()) {
        let (mut breaker, mut now_ms, mut attempts) = (Breaker::default(), 0, 0);
        for gap_ms in gaps_ms {
            now_ms += gap_ms;
            if let Some(attempt) = breaker.begin(GROUP, now_ms) {
                attempts += 1;
                breaker.end(attempt, FAILED, now_ms, random);
            }
        }
        // Periods of 5, 10, 20, 40 and then 60 s.
        let periods = [5_000, 15_000, 35_000, 75_000].into_iter().filter(|end_ms| *end_ms <= now_ms).count();
        let long = (now_ms - 75_000).max(0) / 60_000;
        prop_assert!(attempts <= 5 + i64::try_from(periods).unwrap() + long, "{attempts} in {now_ms} ms");
    }

    /// The jitter makes a period longer, by a quarter at most.
    #[test]
    fn the_jitter_is_a_quarter(random in any::<u64>()) {
        let mut breaker = Breaker::default();
        for _ in 0..5 {
            let attempt = breaker.begin(GROUP, 0).unwrap();
            breaker.end(attempt, FAILED, 0, random);
        }
        prop_assert!((5_000..=6_250).contains(&breaker.wait_ms(GROUP, 0).unwrap()));
    }

    /// Whatever two accounts do, at any times and with any answers, a third one may always ask.
    #[test]
    fn two_accounts_never_keep_a_third_one_away(
        steps in prop::collection::vec((verdict(), 0..3_000_i64, any::<bool>(), any::<bool>()), 0..300),
    ) {
        let (mut breaker, mut now_ms, mut streams) = (ModelBreaker::default(), 0, Vec::new());
        for (verdict, later_ms, first, stream) in steps {
            now_ms += later_ms;
            let account = if first { "a" } else { "b" };
            if let Some(leave) = breaker.begin(account, now_ms) {
                if stream {
                    streams.push(breaker.begun(leave, now_ms));
                } else {
                    breaker.end(&leave, verdict, now_ms, 0);
                }
            } else if let Some(leave) = streams.pop() {
                breaker.broke_off(&leave, now_ms, 0);
            }
            prop_assert_eq!(breaker.wait_ms("other", now_ms), None);
        }
    }

    /// The promise to accounts: whatever the others do meanwhile, an upstream that is down costs each account no
    /// more than five attempts, and one a period.
    #[test]
    fn an_upstream_that_is_down_costs_each_account_little(
        steps in prop::collection::vec((0..6_u8, 0..1_000_i64), 1..1_500),
    ) {
        let (mut breaker, mut now_ms, mut attempts) = (ModelBreaker::default(), 0, [0_i64; 6]);
        for (account, later_ms) in steps {
            now_ms += later_ms;
            if ask_for(&mut breaker, &account.to_string(), FAILED, now_ms) {
                attempts[usize::from(account)] += 1;
            }
        }
        let periods = [5_000, 15_000, 35_000, 75_000].into_iter().filter(|end_ms| *end_ms <= now_ms).count();
        let long = (now_ms - 75_000).max(0) / 60_000;
        let most = 5 + i64::try_from(periods).unwrap() + long;
        prop_assert!(attempts.iter().all(|each| *each <= most), "{attempts:?} in {now_ms} ms, {most} at most");
    }
}
