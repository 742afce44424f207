//! A key that was rotated runs requests and reads itself, and nothing else.

use super::*;

fn rotation(key_id: &str, new_key_id: &str, by: Option<&str>) -> Command {
    Command::RotateKey(RotateKey {
        key_id: key_id.into(),
        new_key_id: new_key_id.into(),
        digest: format!("digest of {new_key_id}"),
        start: String::new(),
        grace_ms: 60_000,
        by: by.map(str::to_owned),
    })
}

/// A key that may do everything, which it was before it was rotated, with a child.
fn rotated() -> Bench {
    let mut bench = Bench::funded("10");
    let all = |key_id: &str, digest: &str, by: Option<&str>| {
        Command::CreateKey(CreateKey {
            key_id: key_id.into(),
            digest: digest.into(),
            start: String::new(),
            name: key_id.into(),
            permissions: Permission::ALL.to_vec(),
            limits: KeyLimits::default(),
            by: by.map(str::to_owned),
        })
    };
    bench.ok(all("old", "old", None));
    bench.ok(all("child", "child", Some("old")));
    bench.ok(all("other", "other", None));
    bench.ok(rotation("old", "new", Some("old")));
    bench
}

/// Every command that is asked in a key's name. `None`: it is done.
#[test]
fn issue_13_every_command_of_a_rotated_key() {
    let by = || Some("old".to_owned());
    let digest = || "old".to_owned();
    let update = |key_id: &str| {
        Command::UpdateKey(UpdateKey {
            key_id: key_id.into(),
            name: Some("mine".into()),
            limits: None,
            change: LimitsChange::default(),
            by: by(),
        })
    };
    let revoke = |key_id: &str| Command::RevokeKey { key_id: key_id.into(), by: by() };
    let authorize = |permission| Command::Authorize { digest: digest(), permission, address: None };
    let now = Bench::funded("0").now_ms;
    let request = Admit { digest: by(), ..admit_request("r1", 256, now) };
    let find = Command::Find { request_id: "r1".into(), created_at_ms: now, digest: digest(), address: None };
    let create = CreateKey {
        key_id: "made".into(),
        digest: "made".into(),
        start: String::new(),
        name: "made".into(),
        permissions: vec![Permission::Inference],
        limits: KeyLimits::default(),
        by: by(),
    };
    let refused = Some(Refusal::RotatedKey);
    let table = [
        (Command::Admit(Box::new(request)), None),
        (authorize(Some(Permission::Inference)), None),
        (authorize(None), None),
        (Command::OwnKey { digest: digest(), address: None }, None),
        (find, None),
        (authorize(Some(Permission::AccountRead)), refused.clone()),
        (authorize(Some(Permission::KeysWrite)), refused.clone()),
        (Command::Account { digest: by(), address: None }, refused.clone()),
        (Command::CreateKey(create), refused.clone()),
        (update("old"), refused.clone()),
        (update("new"), refused.clone()),
        (update("child"), refused.clone()),
        (update("other"), refused.clone()),
        (revoke("old"), refused.clone()),
        (revoke("new"), refused.clone()),
        (revoke("child"), refused.clone()),
        (revoke("other"), refused.clone()),
        (rotation("old", "stolen", Some("old")), refused.clone()),
        (rotation("new", "stolen", Some("old")), refused.clone()),
        (rotation("child", "stolen", Some("old")), refused.clone()),
        (rotation("other", "stolen", Some("old")), refused),
    ];
    for (command, refusal) in table {
        let mut bench = rotated();
        let keys = bench.state.keys.clone();
        assert_eq!(bench.run(command.clone()).err(), refusal, "{command:?}");
        assert_eq!(bench.state.keys, keys, "{command:?}");
    }
}

#[test]
fn a_rotated_key_is_told_what_it_may_do_and_sees_no_money() {
    let mut bench = rotated();
    let now = bench.now_ms;
    let Answer::Authorized { key } =
        bench.ok(Command::Authorize { digest: "old".into(), permission: None, address: None })
    else {
        panic!()
    };
    assert_eq!(key.permissions, [Permission::Inference]);
    for (digest, sees) in [("old", false), ("digest of new", true)] {
        let request = Admit { digest: Some(digest.into()), ..admit_request(digest, 256, now) };
        let Answer::Admitted { available, .. } = bench.ok(Command::Admit(Box::new(request))) else { panic!() };
        assert_eq!(available.is_some(), sees, "{digest}");
    }
    // Requests of others, which it found before.
    bench.ok(settle("digest of new", 1));
    let find = |digest: &str| Command::Find {
        request_id: "digest of new".into(),
        created_at_ms: now,
        digest: digest.into(),
        address: None,
    };
    for (digest, sees) in [("old", false), ("digest of new", true)] {
        assert_eq!(matches!(bench.ok(find(digest)), Answer::Found { entry: Some(_) }), sees, "{digest}");
    }
}

#[test]
fn a_rotation_whose_answer_was_lost_is_answered_again_and_so_is_one_without_grace() {
    let mut bench = rotated();
    let first = bench.ok(rotation("old", "new", Some("old")));
    assert!(matches!(&first, Answer::KeyRotated { key, .. } if key.key_id == "new"));
    bench.now_ms += 60_000;
    assert_eq!(bench.ok(rotation("old", "new", Some("old"))), first);
    assert_eq!(bench.run(rotation("other", "new", Some("old"))), Err(Refusal::Conflict));
}
