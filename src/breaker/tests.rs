use proptest::prelude::*;

use super::*;

const FAILED: Verdict = Verdict::Failed { kind: Kind::ServerError, retry_after_s: None };

fn told(seconds: u64) -> Verdict {
    Verdict::Failed { kind: Kind::RateLimited, retry_after_s: Some(seconds) }
}

/// Asks and hears at once, without jitter; whether it could be asked.
fn ask(breaker: &mut Breaker, verdict: Verdict, now_ms: i64) -> bool {
    let Some(attempt) = breaker.begin(now_ms) else { return false };
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
    assert_eq!(breaker.wait_ms(1_000), Some(5_000));
    assert!(!ask(&mut breaker, Verdict::Answered, 5_999));
    assert_eq!(breaker.wait_ms(6_000), None);
    let mut forgiven = Breaker::default();
    for _ in 0..4 {
        assert!((0..4).all(|_| ask(&mut forgiven, FAILED, 0)) && ask(&mut forgiven, Verdict::Answered, 0));
    }
}

#[test]
fn one_probe_at_a_time_decides() {
    let mut breaker = opened_at(0);
    let probe = breaker.begin(5_000).unwrap();
    assert_eq!((breaker.begin(5_000), breaker.wait_ms(5_000)), (None, Some(1_000)));
    assert!(breaker.end(probe, FAILED, 5_100, 0));
    // Twice as long, and longer each time, up to a minute.
    let mut now_ms = 5_100;
    for period_ms in [10_000, 20_000, 40_000, 60_000, 60_000] {
        assert_eq!(breaker.wait_ms(now_ms), Some(period_ms));
        now_ms += i64::try_from(period_ms).unwrap();
        assert!(ask(&mut breaker, FAILED, now_ms));
    }
    now_ms += 60_000;
    assert!(ask(&mut breaker, Verdict::Answered, now_ms));
    assert_eq!(breaker.view(now_ms).state, "closed");
    // From the beginning.
    assert!((0..5).all(|_| ask(&mut breaker, FAILED, now_ms)));
    assert_eq!(breaker.wait_ms(now_ms), Some(5_000));
}

#[test]
fn a_probe_that_never_tells_is_replaced_and_not_heard_any_more() {
    let mut breaker = opened_at(0);
    let lost = breaker.begin(5_000).unwrap();
    assert_eq!(breaker.begin(64_999), None);
    let second = breaker.begin(65_000).unwrap();
    assert!(!breaker.end(lost, FAILED, 65_001, 0));
    assert_eq!(breaker.view(65_001).state, "half_open");
    breaker.end(second, Verdict::Answered, 65_002, 0);
    assert_eq!(breaker.view(65_002).state, "closed");
}

#[test]
fn what_was_asked_before_it_opened_neither_closes_nor_prolongs_it() {
    let mut breaker = Breaker::default();
    let early: Vec<Attempt> = (0..3).map(|_| breaker.begin(0).unwrap()).collect();
    assert!((0..5).all(|_| ask(&mut breaker, FAILED, 0)));
    for (attempt, verdict) in early.into_iter().zip([Verdict::Answered, FAILED, told(100)]) {
        breaker.end(attempt, verdict, 1_000, 0);
        assert_eq!(breaker.wait_ms(1_000), Some(4_000));
    }
    assert_eq!(breaker.view(1_000).failures, [(Kind::RateLimited, 1), (Kind::ServerError, 6)].into());
}

#[test]
fn it_opens_until_it_was_told_to_ask_again() {
    for (seconds, wait_ms) in [(1, Some(1_000)), (86_400, Some(300_000)), (u64::MAX, Some(300_000)), (0, None)] {
        let mut breaker = Breaker::default();
        assert!(ask(&mut breaker, told(seconds), 0));
        assert_eq!(breaker.wait_ms(0), wait_ms, "{seconds}");
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
        let Some(attempt) = breaker.begin(now_ms) else { continue };
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
    assert_eq!(breaker.wait_ms(1_019), None);
    let view = breaker.view(1_019);
    assert_eq!((view.failures_in_a_row, view.recent_attempts, view.recent_failures), (0, 19, 19));
    assert_eq!((view.failures, view.last_failure), ([(Kind::BrokeOff, 19)].into(), Some(Kind::BrokeOff)));
    // The twentieth opens it for five seconds; what comes then is not asked.
    assert_eq!(broken_streams(&mut breaker, 19..30), 1);
    assert_eq!(breaker.wait_ms(1_019), Some(5_000));
    // Those of a slow hour are no more than half of twenty in any minute.
    assert_eq!(broken_streams(&mut Breaker::default(), (0..100).map(|n| n * 4_000)), 100);
    // Half of them.
    let mut breaker = Breaker::default();
    for n in 0..100 {
        let stream = breaker.begin(n).unwrap();
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
            let attempt = breaker.begin(0).unwrap();
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
    let early = breaker.begin(0).unwrap();
    let early = breaker.begun(early, 0);
    assert!((0..5).all(|_| ask(&mut breaker, FAILED, 0)));
    let probe = breaker.begin(5_000).unwrap();
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
    assert_eq!(breaker.wait_ms(0), Some(5_000));
    // A probe that was rejected leaves the next request to be one.
    assert!(ask(&mut breaker, Verdict::Nothing, 5_000));
    assert_eq!((breaker.view(5_000).state, breaker.wait_ms(5_000)), ("open", None));
    assert!(ask(&mut breaker, FAILED, 5_000));
    assert_eq!(breaker.wait_ms(5_000), Some(10_000));
}

#[test]
fn a_clock_that_was_set_back_does_not_keep_it_open() {
    assert_eq!(opened_at(1_000_000).wait_ms(0), None);
}

#[test]
fn what_an_operator_is_shown() {
    let mut breaker = opened_at(1_000);
    breaker.begin(6_000);
    insta::assert_json_snapshot!(breaker.view(6_000));
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
            if let Some(attempt) = breaker.begin(now_ms) {
                if !was_closed {
                    prop_assert!(breaker.begin(now_ms).is_none());
                }
                running.push(attempt);
            }
            if tells && let Some(attempt) = running.pop() {
                breaker.end(attempt, verdict, now_ms, random);
            }
            prop_assert!(breaker.wait_ms(now_ms).is_none_or(|wait_ms| wait_ms <= MOST_TOLD_MS.unsigned_abs()));
            prop_assert!(breaker.wait_ms(now_ms + MOST_TOLD_MS).is_none());
        }
    }

    /// The promise: of an upstream that is down, one attempt a period after the first five.
    #[test]
    fn an_upstream_that_is_down_costs_one_attempt_a_period(gaps_ms in prop::collection::vec(0..1_000_i64, 1..2_000), random in any::<u64>()) {
        let (mut breaker, mut now_ms, mut attempts) = (Breaker::default(), 0, 0);
        for gap_ms in gaps_ms {
            now_ms += gap_ms;
            if let Some(attempt) = breaker.begin(now_ms) {
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
            let attempt = breaker.begin(0).unwrap();
            breaker.end(attempt, FAILED, 0, random);
        }
        prop_assert!((5_000..=6_250).contains(&breaker.wait_ms(0).unwrap()));
    }
}
