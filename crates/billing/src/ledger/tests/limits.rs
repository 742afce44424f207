//! How much a key may do: rates, running requests, budgets and expiry, its own and those of its line.

use super::*;

#[test]
fn sixty_requests_then_silence_then_sixty_more() {
    let mut bench = Bench::funded("100");
    bench.ok(key("limited", "d2", per_minute(60), None));
    let burst = |bench: &mut Bench, name: &str| {
        let now = bench.now_ms;
        (0..60).filter(|n| bench.run(admit_with("d2", &format!("{name}{n}"), 1, now)).is_ok()).count()
    };
    assert_eq!(burst(&mut bench, "a"), 60);
    bench.now_ms += 12_000;
    assert_eq!(burst(&mut bench, "b"), 0, "no minute holds more than sixty");
    let now = bench.now_ms;
    assert_eq!(bench.run(admit_with("d2", "c", 1, now)), Err(Refusal::RateLimited { retry_after_ms: 48_000 }));
    bench.now_ms += 47_999;
    assert_eq!(burst(&mut bench, "d"), 0);
    bench.now_ms += 1;
    assert_eq!(burst(&mut bench, "e"), 60);
}

#[test]
fn trap_20_a_refused_request_uses_up_no_rate() {
    let mut bench = Bench::funded("0.1");
    bench.ok(key("limited", "d2", per_minute(1), None));
    let now = bench.now_ms;
    for n in 0..10 {
        assert_eq!(shortage(bench.run(admit_with("d2", &format!("big{n}"), 256, now))), Some(Shortage::Balance));
    }
    bench.ok(admit_with("d2", "small", 1, now));
    assert!(matches!(bench.run(admit_with("d2", "next", 1, now)), Err(Refusal::RateLimited { .. })));
}

#[test]
fn running_requests_are_bounded() {
    let mut bench = Bench::funded("1");
    bench.ok(key("limited", "d2", KeyLimits { max_running: Some(2), ..KeyLimits::default() }, None));
    let now = bench.now_ms;
    bench.ok(admit_with("d2", "r1", 1, now));
    bench.ok(admit_with("d2", "r2", 1, now));
    assert_eq!(bench.run(admit_with("d2", "r3", 1, now)), Err(Refusal::TooManyRunning));
    bench.ok(settle("r1", 1));
    bench.ok(admit_with("d2", "r3", 1, now));
}

#[test]
fn the_reason_of_a_402_is_told() {
    let mut bench = Bench::funded("0.3");
    bench.ok(key("budgeted", "d2", budget("0.1", Period::Daily), None));
    let now = bench.now_ms;
    assert_eq!(shortage(bench.run(admit_with("d2", "r", 256, now))), Some(Shortage::KeyBudget));
    assert!(matches!(bench.run(admit("r", 400, now)), Ok(Answer::Admitted { granted_output: Some(300), .. })));
    assert_eq!(shortage(bench.run(admit("s", 1, now))), Some(Shortage::Held));
    bench.ok(release("r"));
    let big = Admit {
        hold: HoldRequest { fixed: NanoUsd::from_usd("0.4").unwrap(), ..admit_request("t", 1, now).hold },
        ..admit_request("t", 1, now)
    };
    assert_eq!(shortage(bench.run(Command::Admit(Box::new(big)))), Some(Shortage::Balance));
}

#[test]
fn a_budget_lowers_the_output_as_a_balance_does() {
    let mut bench = Bench::funded("10");
    bench.ok(key("budgeted", "d2", budget("0.5", Period::Total), None));
    let now = bench.now_ms;
    let answer = bench.ok(admit_with("d2", "r1", 2_000, now));
    assert!(matches!(answer, Answer::Admitted { granted_output: Some(500), .. }), "{answer:?}");
    bench.ok(settle("r1", 100));
    let answer = bench.ok(admit_with("d2", "r2", 2_000, now));
    assert!(matches!(answer, Answer::Admitted { granted_output: Some(400), .. }), "{answer:?}");
}

#[test]
fn trap_28_a_request_counts_in_the_period_that_admitted_it() {
    let mut bench = Bench::funded("10");
    bench.ok(key("daily", "d2", budget("0.5", Period::Daily), None));
    let midnight = (bench.now_ms / 86_400_000 + 1) * 86_400_000;
    bench.now_ms = midnight - 1;
    bench.ok(admit_with("d2", "before", 500, midnight - 1));
    assert_eq!(shortage(bench.run(admit_with("d2", "more", 256, midnight - 1))), Some(Shortage::KeyBudget));
    bench.now_ms = midnight;
    let answer = bench.ok(admit_with("d2", "after", 500, midnight));
    assert!(
        matches!(answer, Answer::Admitted { granted_output: Some(500), .. }),
        "a new day, a new budget: {answer:?}"
    );
    bench.ok(settle("before", 500));
    bench.ok(settle("after", 300));
    let spend = bench.state.spend["daily"];
    assert_eq!(spend.within(Period::Daily, midnight).to_string(), "0.3");
    assert_eq!(spend.within(Period::Total, midnight).to_string(), "0.8");
}

#[test]
fn trap_27_a_lowered_budget_counts_at_once() {
    let mut bench = Bench::funded("10");
    bench.ok(key("k", "d2", budget("5", Period::Total), None));
    let now = bench.now_ms;
    bench.ok(admit_with("d2", "running", 1_000, now));
    let lowered = UpdateKey {
        key_id: "k".into(),
        name: None,
        limits: Some(budget("0.5", Period::Total)),
        change: LimitsChange::default(),
        by: None,
    };
    bench.ok(Command::UpdateKey(lowered));
    assert_eq!(shortage(bench.run(admit_with("d2", "next", 256, now))), Some(Shortage::KeyBudget));
    bench.ok(settle("running", 1_000));
    assert_eq!(bench.balance(), "9", "what runs is paid in full");
}

#[test]
fn a_hold_grows_until_the_balance_ends() {
    let mut bench = Bench::funded("1");
    let now = bench.now_ms;
    bench.ok(admit("r1", 300, now));
    let grow = |to| Command::Checkpoint {
        request_id: "r1".into(),
        usage: usage(250),
        upstream: "u".into(),
        grow_to: Some(to),
    };
    assert_eq!(bench.ok(grow(600)), Answer::Checkpointed { granted_output: Some(600) });
    assert_eq!(bench.ok(grow(600)), Answer::Checkpointed { granted_output: Some(600) }, "a repeat changes nothing");
    assert_eq!(bench.state.held().to_string(), "0.6");
    assert_eq!(bench.ok(grow(5_000)), Answer::Checkpointed { granted_output: Some(1_000) });
    assert_eq!(bench.ok(grow(6_000)), Answer::Checkpointed { granted_output: Some(1_000) });
    assert_eq!(shortage(bench.run(admit("r2", 1, now))), Some(Shortage::Held));
    bench.ok(settle("r1", 1_000));
    assert_eq!(bench.balance(), "0");
}

/// Found by the simulation: below zero, what is free was refused as `held`.
#[test]
fn a_free_model_is_served_where_money_is_owed() {
    let mut bench = Bench::funded("1");
    bench.ok(enter("chargeback", EntryKind::Dispute, -2_000_000_000));
    let now = bench.now_ms;
    let free = Price { rates: Rates { output: Some(PicoUsd::ZERO), ..Rates::default() }, ..price() };
    let request = admit_request("r1", 1, now);
    let hold = HoldRequest::new(&free, 9, false, request.hold.output).unwrap();
    let terms = Terms { price: free, ..request.terms.clone() };
    bench.ok(Command::Admit(Box::new(Admit { hold, terms, ..request })));
    assert_eq!(shortage(bench.run(admit("r2", 1, now))), Some(Shortage::Balance));
}

/// Found by the simulation: a hold of yesterday grew by the budget of today.
#[test]
fn trap_28_a_hold_grows_by_the_budget_of_the_period_that_admitted_it() {
    let mut bench = Bench::funded("10");
    bench.ok(key("daily", "d2", budget("0.5", Period::Daily), None));
    let midnight = (bench.now_ms / 86_400_000 + 1) * 86_400_000;
    bench.now_ms = midnight - 1;
    bench.ok(admit_with("d2", "spent", 100, midnight - 1));
    bench.ok(settle("spent", 100));
    bench.ok(admit_with("d2", "running", 300, midnight - 1));
    bench.now_ms = midnight;
    bench.ok(admit_with("d2", "today", 100, midnight));
    bench.ok(settle("today", 100));
    let grow = Command::Checkpoint {
        request_id: "running".into(),
        usage: usage(250),
        upstream: "u".into(),
        grow_to: Some(2_000),
    };
    assert_eq!(bench.ok(grow), Answer::Checkpointed { granted_output: Some(400) });
}

/// Found by the simulation: behind midnight and back again, the day's budget was whole.
#[test]
fn a_clock_that_steps_back_over_midnight_finds_what_was_spent() {
    let mut bench = Bench::funded("10");
    bench.ok(key("daily", "d2", budget("0.5", Period::Daily), None));
    let midnight = (bench.now_ms / 86_400_000 + 1) * 86_400_000;
    for (now, id) in [(midnight - 1, "before"), (midnight, "behind")] {
        bench.now_ms = now;
        bench.ok(admit_with("d2", id, 500, now));
        bench.ok(settle(id, 500));
    }
    bench.now_ms = midnight - 1;
    assert_eq!(shortage(bench.run(admit_with("d2", "again", 256, midnight - 1))), Some(Shortage::KeyBudget));
}

#[test]
fn no_key_does_more_through_another_than_by_itself() {
    let mut bench = Bench::funded("10");
    bench.ok(key("parent", "d2", budget("0.5", Period::Total), None));
    assert_eq!(bench.run(key("richer", "d3", budget("0.6", Period::Total), Some("d2"))), Err(Refusal::Exceeds));
    let all = CreateKey { permissions: Permission::ALL.to_vec(), ..create("wider", Some("d2")) };
    assert_eq!(bench.run(Command::CreateKey(all)), Err(Refusal::Exceeds));
    assert_eq!(bench.run(key("x", "d9", KeyLimits::default(), Some("unknown"))), Err(Refusal::UnknownKey));
    assert_eq!(bench.run(key("x", "d9", KeyLimits::default(), Some("d1"))), Err(Refusal::NotPermitted));
    bench.ok(key("child", "d3", KeyLimits::default(), Some("d2")));
    bench.ok(key("grandchild", "d4", KeyLimits::default(), Some("d3")));
    let now = bench.now_ms;
    bench.ok(admit_with("d4", "r1", 400, now));
    assert_eq!(shortage(bench.run(admit_with("d3", "r2", 256, now))), Some(Shortage::KeyBudget), "one budget for all");
    bench.ok(settle("r1", 400));
    assert_eq!(bench.state.spend["parent"].within(Period::Total, now).to_string(), "0.4");
    let change = |by: &str, key_id: &str| {
        Command::UpdateKey(UpdateKey {
            key_id: key_id.into(),
            name: Some("new".into()),
            limits: None,
            change: LimitsChange::default(),
            by: Some(by.into()),
        })
    };
    assert_eq!(bench.run(change("d3", "parent")), Err(Refusal::NotPermitted));
    assert_eq!(bench.run(change("d3", "child")), Err(Refusal::NotPermitted), "or it would undo its own limits");
    bench.ok(change("d2", "grandchild"));
    let revoke = |by: &str, key_id: &str| Command::RevokeKey { key_id: key_id.into(), by: Some(by.into()) };
    assert_eq!(bench.run(revoke("d4", "parent")), Err(Refusal::NotPermitted));
    let ended = bench.ok(Command::RevokeKey { key_id: "parent".into(), by: None });
    assert_eq!(ended, Answer::KeyRevoked { key_ids: vec!["child".into(), "grandchild".into(), "parent".into()] });
    assert_eq!(bench.run(admit_with("d4", "r3", 1, now)), Err(Refusal::RevokedKey));
}

fn create(id: &str, by: Option<&str>) -> CreateKey {
    let Command::CreateKey(create) = key(id, id, KeyLimits::default(), by) else { unreachable!() };
    create
}

#[test]
fn a_key_expires_by_itself() {
    let mut bench = Bench::funded("1");
    let expires_at_ms = bench.now_ms + 1_000;
    bench.ok(key("brief", "d2", KeyLimits { expires_at_ms: Some(expires_at_ms), ..KeyLimits::default() }, None));
    let now = bench.now_ms;
    bench.ok(admit_with("d2", "r1", 1, now));
    bench.now_ms = expires_at_ms;
    assert_eq!(bench.run(admit_with("d2", "r2", 1, expires_at_ms)), Err(Refusal::ExpiredKey));
    bench.ok(settle("r1", 1));
    let revive = UpdateKey {
        key_id: "brief".into(),
        name: None,
        limits: Some(KeyLimits::default()),
        change: LimitsChange::default(),
        by: None,
    };
    assert_eq!(bench.run(Command::UpdateKey(revive)), Err(Refusal::ExpiredKey), "expiry is final");
}

#[test]
fn issue_13_a_change_sets_and_lifts_single_limits() {
    let mut bench = Bench::funded("10");
    let before = KeyLimits { requests_per_minute: Some(60), max_running: Some(2), ..budget("0.5", Period::Daily) };
    bench.ok(key("k", "d2", before.clone(), None));
    let mut change = |set: KeyLimits, lift: &[Limit]| {
        let change = LimitsChange { set, lift: lift.iter().copied().collect() };
        let update = UpdateKey { key_id: "k".into(), name: None, limits: None, change, by: None };
        let Answer::KeyUpdated { key: Some(view), .. } = bench.ok(Command::UpdateKey(update)) else { panic!() };
        assert_eq!(view.key, bench.state.keys["k"], "the answer is the key as it is now");
        view.key.limits.clone()
    };
    let faster = KeyLimits { requests_per_minute: Some(120), ..before.clone() };
    let set = KeyLimits { requests_per_minute: Some(120), ..KeyLimits::default() };
    assert_eq!(change(set.clone(), &[]), faster, "the budget stays");
    assert_eq!(change(set, &[]), faster, "a repeat");
    assert_eq!(change(KeyLimits::default(), &[]), faster, "nothing is named");
    let lifted = KeyLimits { budget: None, ..faster };
    assert_eq!(change(KeyLimits::default(), &[Limit::Budget]), lifted);
    let all =
        [Limit::RequestsPerMinute, Limit::MaxRunning, Limit::Budget, Limit::ExpiresAt, Limit::Models, Limit::Addresses];
    assert_eq!(change(budget("1", Period::Total), &all), budget("1", Period::Total), "what is set is not lifted");
    assert_eq!(change(KeyLimits::default(), &all), KeyLimits::default());
}

#[test]
fn issue_13_a_change_is_no_looser_than_the_parent_in_what_it_names() {
    let mut bench = Bench::funded("10");
    let rate = |most| KeyLimits { requests_per_minute: Some(most), ..KeyLimits::default() };
    bench.ok(key("parent", "d2", rate(60), None));
    bench.ok(key("child", "d3", rate(60), Some("d2")));
    let change = |key_id: &str, set: KeyLimits| {
        let change = LimitsChange { set, lift: [].into() };
        Command::UpdateKey(UpdateKey { key_id: key_id.into(), name: None, limits: None, change, by: None })
    };
    assert_eq!(bench.run(change("child", rate(61))), Err(Refusal::Exceeds));
    bench.ok(change("parent", rate(30)));
    bench.ok(change("child", KeyLimits { max_running: Some(1), ..KeyLimits::default() }));
    assert_eq!(bench.state.keys["child"].limits, KeyLimits { max_running: Some(1), ..rate(60) });
}

#[test]
fn issue_13_a_short_budget_says_how_often_it_renews() {
    for period in [Period::Daily, Period::Weekly, Period::Monthly, Period::Total] {
        let mut bench = Bench::funded("10");
        bench.ok(key("parent", "d2", budget("0.1", period), None));
        bench.ok(key("child", "d3", KeyLimits::default(), Some("d2")));
        for digest in ["d2", "d3"] {
            let now = bench.now_ms;
            let Err(Refusal::InsufficientCredit { reason, period: told, .. }) =
                bench.run(admit_with(digest, "r", 256, now))
            else {
                panic!("{digest}")
            };
            assert_eq!((reason, told), (Shortage::KeyBudget, Some(period)), "the tightest budget of the lineage");
        }
    }
}
