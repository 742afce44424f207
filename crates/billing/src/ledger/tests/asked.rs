//! What an account tells of itself, and to whom; and sessions of its owner.

use super::*;

#[test]
fn an_account_tells_its_money_to_its_owner_and_to_keys_that_may_read_it() {
    let mut bench = Bench::funded("1");
    let now = bench.now_ms;
    bench.ok(admit("r1", 500, now));
    bench.ok(settle("r1", 20));
    bench.ok(admit("r2", 300, now));
    let Answer::Account(view) = bench.ok(Command::Account { digest: None, address: None }) else { panic!() };
    let shown = [view.balance, view.held, view.uncollected, view.used].map(|amount| amount.to_string());
    assert_eq!(shown, ["0.98", "0.3", "0", "0.02"]);
    assert_eq!((view.account_id.as_str(), view.created_at_ms), ("acct_1", now));
    let ask = |digest: &str| Command::Account { digest: Some(digest.into()), address: None };
    assert_eq!(bench.run(ask("d1")), Err(Refusal::NotPermitted));
    assert_eq!(bench.run(ask("d2")), Err(Refusal::UnknownKey));
    create(&mut bench, "reader", "d2", Permission::AccountRead);
    assert_eq!(bench.ok(ask("d2")), Answer::Account(view));
}

#[test]
fn a_key_may_always_see_itself_and_its_own_requests() {
    let mut bench = Bench::funded("1");
    let now = bench.now_ms;
    bench.ok(admit("r1", 500, now));
    bench.ok(settle("r1", 20));
    let Answer::OwnKey(view) = bench.ok(Command::OwnKey { digest: "d1".into(), address: None }) else { panic!() };
    assert_eq!((view.key.key_id.as_str(), view.spend.within(Period::Total, now).to_string()), ("key_1", "0.02".into()));
    create(&mut bench, "other", "d2", Permission::Inference);
    create(&mut bench, "reader", "d3", Permission::AccountRead);
    let find = |digest: &str| Command::Find {
        request_id: "r1".into(),
        created_at_ms: now,
        digest: digest.into(),
        address: None,
    };
    let row = bench.journal.last().cloned().map(Box::new);
    assert_eq!(bench.ok(find("d1")), Answer::Found { entry: row.clone() });
    assert_eq!(bench.ok(find("d2")), Answer::Found { entry: None }, "as if it were not there");
    assert_eq!(bench.ok(find("d3")), Answer::Found { entry: row });
    bench.ok(Command::RevokeKey { key_id: "key_1".into(), by: None });
    assert_eq!(bench.run(find("d1")), Err(Refusal::RevokedKey));
    assert_eq!(bench.run(Command::OwnKey { digest: "d1".into(), address: None }), Err(Refusal::RevokedKey));
}

#[test]
fn sessions_from_before_they_were_ended_count_no_more() {
    let mut bench = Bench::funded("0");
    let now_s = bench.now_ms / 1_000;
    assert!(bench.state.honours_session(0));
    bench.now_ms += 500;
    bench.ok(Command::EndSessions);
    assert!(!bench.state.honours_session(now_s - 1) && !bench.state.honours_session(now_s), "the second is over");
    assert!(bench.state.honours_session(now_s + 1));
    // The clock is set back.
    bench.now_ms -= 60_000;
    bench.ok(Command::EndSessions);
    assert!(!bench.state.honours_session(now_s) && bench.state.honours_session(now_s + 1));
}

fn create(bench: &mut Bench, key_id: &str, digest: &str, permission: Permission) {
    bench.ok(Command::CreateKey(CreateKey {
        key_id: key_id.into(),
        digest: digest.into(),
        name: key_id.into(),
        start: String::new(),
        permissions: vec![permission],
        limits: KeyLimits::default(),
        by: None,
    }));
}
