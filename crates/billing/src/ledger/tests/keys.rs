//! Allow-lists and rotation.

use super::*;

fn models(entries: &[&str]) -> KeyLimits {
    let entries: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
    KeyLimits { models: Some(Models::new(&entries).unwrap()), ..KeyLimits::default() }
}

fn addresses(entries: &[&str]) -> KeyLimits {
    let entries: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
    KeyLimits { addresses: Some(Networks::new(&entries).unwrap()), ..KeyLimits::default() }
}

fn from(address: &str, digest: &str, id: &str, model: &str, now_ms: i64) -> Command {
    let request = admit_request(id, 1, now_ms);
    let terms = Terms { model: model.into(), ..request.terms.clone() };
    let address = address.parse().ok();
    Command::Admit(Box::new(Admit { digest: Some(digest.into()), address, terms, ..request }))
}

fn rotate(key_id: &str, new: &str, digest: &str, grace_ms: u64, by: Option<&str>) -> Command {
    Command::RotateKey(RotateKey {
        key_id: key_id.into(),
        new_key_id: new.into(),
        digest: digest.into(),
        start: "oi_1new".into(),
        grace_ms,
        by: by.map(str::to_owned),
    })
}

#[test]
fn a_model_or_an_address_that_no_list_has_is_refused() {
    let mut bench = Bench::funded("1");
    let now = bench.now_ms;
    bench.ok(key("a", "da", models(&["gpt-*"]), None));
    let Command::CreateKey(b) = key("b", "db", addresses(&["203.0.113.0/24", "2001:db8::/32"]), None) else { panic!() };
    bench.ok(Command::CreateKey(CreateKey { permissions: Permission::ALL.into(), ..b }));
    assert_eq!(bench.run(from("", "da", "r1", "claude", now)), Err(Refusal::ModelNotAllowed));
    bench.ok(from("", "da", "r1", "gpt-4o", now));
    for (address, admitted) in [
        ("203.0.113.9", true),
        ("::ffff:203.0.113.9", true),
        ("2001:db8::9", true),
        ("203.0.114.1", false),
        ("", false),
    ] {
        let result = bench.run(from(address, "db", &format!("from {address}"), "m", now));
        assert_eq!(result.map(|_| ()), if admitted { Ok(()) } else { Err(Refusal::AddressNotAllowed) }, "{address}");
    }
    let kept = bench.state.holds.values().all(|hold| hold.admit.address.is_none());
    assert!(kept, "no address is kept");
    let address = "203.0.113.9".parse().ok();
    let authorize = |address| Command::Authorize { digest: "db".into(), permission: None, address };
    assert_eq!(bench.run(authorize(None)), Err(Refusal::AddressNotAllowed));
    bench.ok(authorize(address));
    // What it may ask of itself and of the account as well.
    for ask in [
        |address| Command::OwnKey { digest: "db".into(), address },
        |address| Command::Account { digest: Some("db".into()), address },
        |address| Command::Find { request_id: "r1".into(), created_at_ms: 0, digest: "db".into(), address },
    ] {
        for elsewhere in [None, "203.0.114.1".parse().ok()] {
            assert_eq!(bench.run(ask(elsewhere)), Err(Refusal::AddressNotAllowed), "{:?}", ask(elsewhere));
        }
        bench.ok(ask(address));
    }
    // A repeat is a success, from wherever.
    bench.ok(from("203.0.113.10", "db", "from 203.0.113.9", "m", now));
}

#[test]
fn a_child_is_bound_by_all_lists_above_it() {
    let mut bench = Bench::funded("1");
    bench.ok(key("a", "da", models(&["gpt-*", "claude-x"]), None));
    assert_eq!(bench.run(key("wide", "dw", models(&["*"]), Some("da"))), Err(Refusal::Exceeds));
    bench.ok(key("b", "db", KeyLimits::default(), Some("da")));
    // Its parent names no list, but that one's parent does.
    bench.ok(key("c", "dc", models(&["claude-*", "gpt-4o"]), Some("db")));
    let now = bench.now_ms;
    for (model, admitted) in [("gpt-4o", true), ("claude-x", true), ("claude-y", false), ("gpt-5", false)] {
        assert_eq!(bench.run(from("", "dc", model, model, now)).is_ok(), admitted, "{model}");
    }
    let authorized = bench.ok(Command::Authorize { digest: "dc".into(), permission: None, address: None });
    let Answer::Authorized { key: narrowed } = authorized else { panic!("{authorized:?}") };
    assert_eq!(narrowed.limits.models.unwrap().entries(), ["claude-x", "gpt-4o"]);
    bench.ok(key_of_networks("n", "dn"));
    assert_eq!(bench.run(key("o", "do", addresses(&["10.0.0.0/7"]), Some("dn"))), Err(Refusal::Exceeds));
    bench.ok(key("o", "do", addresses(&["10.1.0.0/16"]), Some("dn")));
}

fn key_of_networks(id: &str, digest: &str) -> Command {
    key(id, digest, addresses(&["10.0.0.0/8"]), None)
}

#[test]
fn a_rotated_key_goes_on_until_its_grace_ends() {
    let mut bench = Bench::funded("10");
    bench.ok(key("old", "d2", budget("1", Period::Total), None));
    bench.ok(key("child", "d3", KeyLimits::default(), Some("d2")));
    let now = bench.now_ms;
    bench.ok(admit_with("d2", "r1", 400, now));
    bench.ok(settle("r1", 400));
    bench.ok(admit_with("d2", "r2", 300, now));
    let rotation = rotate("old", "new", "d4", 60_000, None);
    let answer = bench.ok(rotation.clone());
    let Answer::KeyRotated { key: new, old_ends_at_ms } = &answer else { panic!("{answer:?}") };
    assert_eq!((new.limits.budget, old_ends_at_ms - now), (budget("1", Period::Total).budget, 60_000));
    assert_eq!(bench.ok(rotation), answer, "a repeat");
    assert_eq!(bench.run(rotate("old", "new", "d5", 60_000, None)), Err(Refusal::Conflict));
    assert_eq!(bench.run(rotate("old", "newer", "d5", 0, None)), Err(Refusal::ReplacedKey));
    let revive = UpdateKey {
        key_id: "old".into(),
        name: None,
        limits: Some(KeyLimits::default()),
        change: LimitsChange::default(),
        by: None,
    };
    assert_eq!(bench.run(Command::UpdateKey(revive)), Err(Refusal::ReplacedKey));

    // 0.4 are spent and 0.3 held: 0.3 are left for all of them together.
    for digest in ["d2", "d3", "d4"] {
        assert_eq!(shortage(bench.run(admit_with(digest, digest, 301, now))), None, "{digest} has less, not nothing");
        bench.ok(release(digest));
    }
    bench.ok(settle("r2", 300));
    bench.ok(admit_with("d4", "r3", 300, now));
    bench.ok(settle("r3", 300));
    for digest in ["d2", "d3", "d4"] {
        assert_eq!(shortage(bench.run(admit_with(digest, "r4", 1, now))), Some(Shortage::KeyBudget), "{digest}");
    }
    bench.ok(Command::UpdateKey(UpdateKey {
        key_id: "new".into(),
        name: None,
        limits: Some(budget("9", Period::Total)),
        change: LimitsChange::default(),
        by: None,
    }));
    bench.ok(admit_with("d2", "r4", 1, now));
    assert_eq!(bench.run(key("late", "d6", KeyLimits::default(), Some("d2"))), Err(Refusal::RotatedKey));

    bench.now_ms += 60_000;
    let now = bench.now_ms;
    assert_eq!(bench.run(admit_with("d2", "r5", 1, now)), Err(Refusal::ExpiredKey));
    for (n, digest) in ["d3", "d4"].into_iter().enumerate() {
        bench.ok(admit_with(digest, &format!("s{n}"), 1, now));
    }
    let ended = bench.ok(Command::RevokeKey { key_id: "new".into(), by: None });
    assert_eq!(ended, Answer::KeyRevoked { key_ids: ["child", "new", "old"].map(String::from).into() });
}

#[test]
fn a_key_that_has_ended_is_not_rotated_and_no_expiry_moves() {
    let mut bench = Bench::funded("1");
    let expires_at_ms = bench.now_ms + 5_000;
    bench.ok(key("brief", "d2", KeyLimits { expires_at_ms: Some(expires_at_ms), ..KeyLimits::default() }, None));
    let answer = bench.ok(rotate("brief", "next", "d3", 60_000, None));
    assert!(matches!(answer, Answer::KeyRotated { old_ends_at_ms, .. } if old_ends_at_ms == expires_at_ms));
    assert_eq!(bench.run(rotate("nobody", "x", "d9", 0, None)), Err(Refusal::UnknownKey));
    bench.now_ms = expires_at_ms;
    assert_eq!(bench.run(rotate("next", "x", "d9", 0, None)), Err(Refusal::ExpiredKey));
    bench.ok(key("gone", "d4", KeyLimits::default(), None));
    bench.ok(Command::RevokeKey { key_id: "gone".into(), by: None });
    assert_eq!(bench.run(rotate("gone", "x", "d9", 0, None)), Err(Refusal::RevokedKey));
    bench.ok(key("limited", "d5", per_minute(5), None));
    assert_eq!(bench.run(rotate("limited", "x", "d9", 0, Some("d5"))), Err(Refusal::NotPermitted));
}

#[test]
fn no_key_gets_the_secret_of_one_that_may_do_more() {
    let mut bench = Bench::funded("1");
    bench.ok(key("rich", "d2", KeyLimits::default(), None));
    let Command::CreateKey(writer) = key("writer", "d3", KeyLimits::default(), None) else { panic!() };
    let (write, read) = (Permission::KeysWrite, Permission::AccountRead);
    bench.ok(Command::CreateKey(CreateKey { permissions: vec![write], ..writer.clone() }));
    let plain = CreateKey { key_id: "plain".into(), digest: "d4".into(), permissions: vec![write], ..writer.clone() };
    bench.ok(Command::CreateKey(plain));
    let reader = CreateKey { key_id: "reader".into(), digest: "d5".into(), permissions: vec![read], ..writer };
    bench.ok(Command::CreateKey(reader));
    for (of, allowed) in [("rich", false), ("reader", false), ("plain", true)] {
        let rotated = bench.run(rotate(of, &format!("new {of}"), &format!("new {of}"), 0, Some("d3")));
        assert_eq!(rotated.is_ok(), allowed, "{rotated:?}");
        assert!(allowed || rotated == Err(Refusal::Exceeds));
    }
}

#[test]
fn the_eighth_generation_may_be_rotated_and_its_root_still_counts() {
    let mut bench = Bench::funded("10");
    bench.ok(key("g1", "g1", budget("0.5", Period::Total), None));
    for generation in 2..=MAX_GENERATIONS {
        let maker = format!("g{}", generation - 1);
        bench.ok(key(&format!("g{generation}"), &format!("g{generation}"), KeyLimits::default(), Some(&maker)));
    }
    bench.ok(rotate("g8", "n8", "n8", 60_000, None));
    bench.ok(rotate("n8", "m8", "m8", 60_000, None));
    let now = bench.now_ms;
    for digest in ["g8", "n8", "m8"] {
        assert!(bench.run(admit_with(digest, digest, 256, now)).is_ok(), "{digest}");
        bench.ok(release(digest));
        let whole = bench.run(admit_with(digest, &format!("{digest} wants more"), 501, now));
        assert!(matches!(whole, Ok(Answer::Admitted { granted_output: Some(500), .. })), "{digest}: {whole:?}");
        bench.ok(release(&format!("{digest} wants more")));
    }
}

#[test]
fn rates_go_on_over_a_rotation() {
    let mut bench = Bench::funded("1");
    bench.ok(key("old", "d2", per_minute(2), None));
    let now = bench.now_ms;
    bench.ok(admit_with("d2", "r1", 1, now));
    bench.ok(rotate("old", "new", "d3", 60_000, None));
    bench.ok(admit_with("d2", "r2", 1, now));
    for digest in ["d2", "d3"] {
        assert_eq!(
            bench.run(admit_with(digest, "r3", 1, now)),
            Err(Refusal::RateLimited { retry_after_ms: MINUTE_MS as u64 })
        );
    }
}

#[test]
fn a_key_knows_when_it_was_last_used_itself() {
    let mut bench = Bench::funded("1");
    bench.ok(key("child", "d2", KeyLimits::default(), None));
    bench.ok(key("grandchild", "d3", KeyLimits::default(), Some("d2")));
    let last_used = |bench: &mut Bench| {
        let Answer::Keys(keys) = bench.ok(Command::Keys) else { panic!() };
        keys.into_iter().map(|view| view.last_used_ms).collect::<Vec<_>>()
    };
    assert_eq!(last_used(&mut bench), [None, None, None]);
    let first = bench.now_ms;
    bench.ok(admit_with("d3", "r1", 1, first));
    assert_eq!(last_used(&mut bench), [None, Some(first), None], "while it runs");
    bench.ok(release("r1"));
    bench.now_ms += 500;
    bench.ok(admit_with("d2", "r2", 1, first));
    assert_eq!(last_used(&mut bench), [Some(first + 500), Some(first), None], "and when it has ended");
}

proptest! {
    /// However often keys of one tree are rotated, all of them together never get more than the budget of its root.
    #[test]
    fn rotating_never_buys_more_than_the_budget(moves in proptest::collection::vec((0usize..12, 1u64..120, 0u64..3), 1..80)) {
        let mut bench = Bench::funded("100");
        bench.ok(key("k0", "d0", budget("0.6", Period::Total), None));
        let mut made = 1;
        let mut open = Vec::new();
        for (turn, (which, amount, what)) in moves.into_iter().enumerate() {
            let (now, of) = (bench.now_ms, which % made);
            let digest = format!("d{of}");
            let fresh = (format!("k{made}"), format!("d{made}"));
            match what {
                0 => made += usize::from(bench.run(rotate(&format!("k{of}"), &fresh.0, &fresh.1, 40_000, None)).is_ok()),
                1 => made += usize::from(bench.run(key(&fresh.0, &fresh.1, KeyLimits::default(), Some(&digest))).is_ok()),
                _ => {
                    let id = format!("r{turn}");
                    if bench.run(admit_with(&digest, &id, amount, now)).is_ok() {
                        open.push((id, amount));
                    }
                    if turn % 2 == 0 && let Some((id, amount)) = open.pop() {
                        bench.ok(settle(&id, amount.min(5)));
                    }
                }
            }
            bench.now_ms += 1_000;
            let spent: i64 = bench.journal.iter().filter(|entry| entry.usage.is_some()).map(|entry| -entry.amount.nano()).sum();
            let held: i64 = bench.state.holds.values().map(|hold| hold.amount.nano()).sum();
            prop_assert!(spent + held <= 600_000_000, "{spent} spent and {held} held");
            let living = bench.state.keys.values().filter(|key| key.key_id != "key_1" && key.replaced_by.is_none());
            let roots = living.filter(|key| key.parent.is_none()).count();
            prop_assert_eq!(roots, 1, "one key stands for the tree");
            for key in bench.state.keys.values() {
                prop_assert!(bench.state.lineage(Some(&key.key_id)).last().unwrap().parent.is_none(), "{} has its root", key.key_id);
            }
        }
    }
}
