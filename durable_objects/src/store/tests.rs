//! The store's SQL on a native SQLite: a reload after every command must make no difference.

use billing::ledger::{Answer, HOLD_TTL_MS, LimitsChange, Period, Refusal, UpdateKey, decide};
use proptest::prelude::*;

use super::*;
use crate::tail::{self, Reading, Rows, Tail};

mod bench;
mod found;
mod wake;

use bench::{Bench, admit, admit_owner, checkpoint, create_key, enter, limits, release, rotate_key, settle};

#[test]
fn an_object_that_nobody_provisioned_has_no_tables() {
    let mut bench = Bench::empty();
    assert_eq!(bench.load(), State::default());
    for command in [admit("r1", 1, bench.now_ms), settle("r1", 1), enter("e", 1), create_key("k"), Command::Balance] {
        assert_eq!(bench.run(&command), Err(Refusal::NoAccount), "{command:?}");
    }
    assert_eq!((bench.count("SELECT count(*) FROM sqlite_master"), bench.store.0.total_changes()), (0, 0));
}

#[test]
fn trap_15_trap_19_what_was_committed_answers_its_repeat_after_a_crash() {
    let mut bench = Bench::funded();
    let now = bench.now_ms;
    for (command, changed) in [
        (Command::Provision { account_id: "acct_1".into() }, None),
        (create_key("key_1"), None),
        (enter("top-up", 5), Some(enter("top-up", 6))),
        (admit("settled", 100, now), Some(admit("settled", 101, now))),
        (settle("settled", 20), Some(settle("settled", 21))),
        (admit("released", 100, now), Some(admit("released", 101, now))),
        (release("released"), Some(settle("released", 1))),
    ] {
        let first = bench.ok(&command);
        let rows = bench.store.0.total_changes();
        assert_eq!(bench.ok(&command), first, "{command:?}");
        if let Some(changed) = changed {
            assert_eq!(bench.run(&changed), Err(Refusal::Conflict), "{changed:?}");
        }
        assert_eq!(bench.store.0.total_changes(), rows, "{command:?} wrote again");
    }
}

#[test]
fn trap_19_a_hold_that_expired_before_the_crash_takes_its_late_settle_once() {
    let mut bench = Bench::funded();
    let now = bench.now_ms;
    bench.ok(&admit("r1", 300, now));
    bench.ok(&checkpoint("r1", 50));
    bench.now_ms += HOLD_TTL_MS;
    assert_eq!(bench.ok(&Command::Sweep), Answer::Swept { expired: 1 });
    let late = bench.ok(&settle("r1", 70));
    assert_eq!(bench.memory.state.balance.to_string(), "0.93");
    assert_eq!(bench.ok(&settle("r1", 70)), late);
    assert_eq!(bench.run(&settle("r1", 71)), Err(Refusal::Conflict));
    assert_eq!(bench.memory.journal.len(), 3, "start, expiry, adjustment");
}

#[test]
fn a_statement_that_fails_in_the_middle_takes_everything_back() {
    let mut bench = Bench::funded();
    bench.ok(&admit("r1", 100, bench.now_ms));
    let before = bench.load();
    let prior = bench.store.prior(&settle("r1", 20), &before).unwrap();
    let (events, _) = decide(&before, &settle("r1", 20), &prior, bench.now_ms).unwrap();
    assert!(matches!(events.as_slice(), [Event::HoldResolved { .. }, Event::EntryAppended(_)]), "{events:?}");
    // The hold's row is updated by then; ABORT ends the statement alone and leaves the transaction open.
    let fail = "CREATE TRIGGER fail BEFORE INSERT ON journal BEGIN SELECT raise(ABORT, 'disk full'); END";
    bench.store.0.execute_batch(fail).unwrap();
    let error = bench.write(&events).unwrap_err();
    assert!(error.0.contains("disk full"), "{error}");
    bench.store.0.execute_batch("DROP TRIGGER fail").unwrap();
    assert_eq!(bench.load(), before);
    bench.ok(&settle("r1", 20));
    assert_eq!(bench.memory.state.balance.to_string(), "0.98");
}

#[test]
fn an_ordinary_request_writes_three_rows() {
    let mut bench = Bench::funded();
    let written = |bench: &mut Bench, command: &Command| {
        let before = bench.load();
        let prior = bench.store.prior(command, &before).unwrap();
        let (events, _) = decide(&before, command, &prior, bench.now_ms).unwrap();
        let rows = bench.store.0.total_changes();
        bench.write(&events).unwrap();
        bench.store.0.total_changes() - rows
    };
    let now = bench.now_ms;
    assert_eq!(written(&mut bench, &admit("r1", 100, now)), 1);
    assert_eq!(written(&mut bench, &checkpoint("r1", 10)), 1, "of a long request alone");
    assert_eq!(written(&mut bench, &settle("r1", 20)), 2);
    // A row change is one written row only where no index has to be written beside it: a key of a
    // table WITHOUT ROWID, or an INTEGER PRIMARY KEY, is the table itself.
    let indexed = "SELECT count(*) FROM sqlite_master AS t, pragma_index_list(t.name) AS i
        WHERE t.name IN ('holds', 'journal') AND (i.origin <> 'pk' OR t.sql NOT LIKE '%WITHOUT ROWID')";
    assert_eq!(bench.count(indexed), 0);
    assert_eq!(bench.count("SELECT count(*) FROM pragma_index_list('keys')"), 1, "the pragma works");
}

#[test]
fn the_outbox_reads_each_journal_row_until_it_is_delivered() {
    let mut bench = Bench::funded();
    let now = bench.now_ms;
    assert_eq!(bench.ok(&admit("r1", 100, now)), bench.ok(&admit("r1", 100, now)));
    bench.ok(&settle("r1", 20));
    bench.ok(&enter("top-up", 5));
    let journal = bench.memory.journal.clone();
    assert_eq!(journal.len(), 3);
    assert_eq!(bench.store.oldest_undelivered(100).unwrap(), (0, journal.clone()));
    assert_eq!(bench.store.undelivered_since_ms(), Ok(Some(journal[0].at_ms)));
    assert_eq!(bench.store.oldest_undelivered(2).unwrap(), (0, journal[..2].to_vec()), "the oldest first");
    assert_eq!(bench.store.entries_delivered(0, 2), Ok(2));
    assert_eq!(bench.store.oldest_undelivered(100).unwrap(), (2, journal[2..].to_vec()));
    assert_eq!(bench.store.entries_delivered(2, 3), Ok(3));
    assert_eq!(bench.store.oldest_undelivered(100).unwrap(), (3, vec![]));
    assert_eq!(bench.store.undelivered_since_ms(), Ok(None));
    assert_eq!(bench.load(), bench.memory.recent(bench.now_ms), "delivery is no part of the state");
}

#[test]
fn the_tail_is_what_d1_has_not_confirmed_with_the_money_of_that_moment() {
    let mut bench = Bench::funded();
    let now = bench.now_ms;
    for (n, id) in ["r1", "r2", "r3"].into_iter().enumerate() {
        bench.ok(&admit(id, 100, now));
        bench.ok(&settle(id, u64::try_from(n).unwrap()));
    }
    bench.ok(&admit("r4", 100, now));
    let read = |bench: &Bench, rows, limit| {
        let reading = Reading { rows, limit, names: limit == 0 };
        tail::read(&bench.store, &bench.memory.state, &reading).unwrap()
    };
    let seqs = |tail: Tail| tail.entries.iter().map(|entry| entry.seq).collect::<Vec<_>>();
    assert_eq!(bench.store.entries_delivered(0, 2), Ok(2));
    for (rows, limit, expected) in [
        (Rows::Waiting { before: None }, 500, vec![4, 3]),
        (Rows::Waiting { before: None }, 1, vec![4]),
        (Rows::Waiting { before: Some(4) }, 500, vec![3]),
        (Rows::Waiting { before: Some(3) }, 500, vec![]),
        (Rows::Waiting { before: Some(u64::MAX) }, u64::MAX, vec![4, 3]),
        (Rows::After { seq: 1 }, 500, vec![2, 3, 4]),
        (Rows::After { seq: 1 }, 2, vec![2, 3]),
        (Rows::After { seq: u64::MAX }, 500, vec![]),
        (Rows::After { seq: 1 }, 0, vec![]),
    ] {
        assert_eq!(seqs(read(&bench, rows, limit)), expected, "{rows:?} {limit}");
    }
    let money = read(&bench, Rows::Waiting { before: None }, 0);
    assert_eq!((money.delivered_seq, money.seq, money.running), (2, 4, 1));
    assert_eq!((money.balance.to_string(), money.held.to_string()), ("0.997".into(), "0.1".into()));
    assert_eq!(money.key_names, [("key_1".to_owned(), "first".to_owned())].into());
}

#[test]
fn a_rotation_is_read_back_with_what_was_spent() {
    let mut bench = Bench::funded();
    let now = bench.now_ms;
    bench.ok(&admit("r1", 100, now));
    bench.ok(&settle("r1", 20));
    bench.ok(&rotate_key("key_1", "key_2", 60_000));
    // With the old secret: it counts for the new key.
    bench.ok(&admit("r2", 100, now));
    bench.ok(&settle("r2", 30));
    let spent = |key_id: &str| bench.load().spend[key_id].within(Period::Total, now).to_string();
    assert_eq!((spent("key_1"), spent("key_2")), ("0.05".into(), "0.05".into()));
    assert_eq!(bench.store.undelivered_keys().unwrap(), ["key_1", "key_2"]);
    bench.now_ms += 60_000;
    let late = admit("r3", 100, bench.now_ms);
    assert_eq!(bench.run(&late), Err(Refusal::ExpiredKey));
}

#[test]
fn the_cursor_goes_on_from_where_it_stood_and_back_as_far_as_anyone_says() {
    let bench = Bench::funded();
    assert_eq!(bench.store.entries_delivered(0, 9), Ok(9));
    assert_eq!(bench.store.deliver_again(4), Ok(4));
    assert_eq!(bench.store.entries_delivered(9, 12), Ok(4), "these rows set out before");
    assert_eq!(bench.store.deliver_again(6), Ok(4), "an earlier gap is still open");
    assert_eq!(bench.store.entries_delivered(4, 12), Ok(12));
}

#[test]
fn a_key_that_changes_while_it_is_delivered_is_delivered_again() {
    let mut bench = Bench::funded();
    let undelivered = |bench: &Bench| bench.store.undelivered_keys().unwrap();
    assert_eq!(undelivered(&bench), ["key_1"]);
    let sent = bench.memory.state.keys["key_1"].clone();
    bench.ok(&Command::RevokeKey { key_id: "key_1".into(), by: None });
    bench.store.key_delivered(&sent).unwrap();
    assert_eq!(undelivered(&bench), ["key_1"], "D1 has the state before the revocation");
    bench.store.key_delivered(&bench.memory.state.keys["key_1"]).unwrap();
    assert_eq!(undelivered(&bench), [""; 0]);
    assert!(bench.load().keys["key_1"].revoked_at_ms.is_some());

    let mut bench = Bench::funded();
    bench.store.key_delivered(&bench.memory.state.keys["key_1"]).unwrap();
    bench.ok(&Command::RevokeKey { key_id: "key_1".into(), by: None });
    assert_eq!(undelivered(&bench), ["key_1"], "a delivered key that is revoked");
}

#[test]
fn pruning_keeps_open_holds_and_young_tombstones() {
    let mut bench = Bench::funded();
    let opened = bench.now_ms;
    bench.ok(&admit("old", 10, opened));
    bench.ok(&admit("open", 10, opened));
    bench.ok(&settle("old", 1));
    bench.now_ms += 1;
    bench.ok(&admit("young", 10, opened + 1));
    let young = bench.ok(&settle("young", 1));
    bench.store.prune(opened + TOMBSTONE_MS).unwrap();
    assert_eq!(bench.count("SELECT count(*) FROM holds"), 3, "a day old, not older");
    bench.store.prune(opened + TOMBSTONE_MS + 1).unwrap();
    assert_eq!(bench.count("SELECT count(*) FROM holds"), 2);
    bench.now_ms = opened + TOMBSTONE_MS + 1;
    // Memory has it still; the object answers that there is no such hold, and charges nothing.
    bench.memory.resolved.remove("old");
    assert_eq!(bench.run(&settle("old", 1)), Err(Refusal::UnknownHold));
    assert_eq!(bench.ok(&settle("young", 1)), young);
    bench.ok(&settle("open", 1));
    assert_eq!(bench.memory.state.balance.to_string(), "0.997");
}

#[test]
fn money_beyond_what_javascript_can_hold_is_not_read() {
    let bench = Bench::funded();
    bench.store.0.execute_batch("UPDATE journal SET balance_after_nano = 9007199254740992").unwrap();
    assert!(bench.store.load(bench.now_ms).is_err());
}

fn commands() -> impl Strategy<Value = Vec<(i64, Command)>> {
    let id = || (0u8..8).prop_map(|n| format!("r{n}"));
    let command = prop_oneof![
        3 => (id(), 1u64..400).prop_map(|(id, n)| admit(&id, n, 0)),
        1 => (id(), 1u64..400).prop_map(|(id, n)| admit_owner(&id, n, 0)),
        3 => (id(), 0u64..600).prop_map(|(id, n)| settle(&id, n)),
        1 => id().prop_map(|id| release(&id)),
        2 => (id(), 0u64..400).prop_map(|(id, n)| checkpoint(&id, n)),
        1 => Just(Command::Sweep),
        // The ids of entries and of requests overlap: they must not be taken for each other.
        1 => (id(), 0i64..1_000_000_000).prop_map(|(id, nano)| enter(&id, nano)),
        1 => "key_[1-3]".prop_map(|id| create_key(&id)),
        1 => "key_[2-4]".prop_map(|key_id| Command::RevokeKey { key_id, by: None }),
        1 => Just(Command::EndSessions),
        1 => ("key_[1-3]", 1i64..4).prop_map(|(key_id, usd)| {
            Command::UpdateKey(UpdateKey { key_id, name: Some(usd.to_string()), limits: Some(limits(usd)), change: LimitsChange::default(), by: None })
        }),
        1 => ("key_[1-3]", "key_[5-7]", 0u64..60_000).prop_map(|(key_id, new, grace_ms)| rotate_key(&key_id, &new, grace_ms)),
    ];
    proptest::collection::vec((0i64..40_000, command), 1..80)
}

/// A command whose repeat answers the first result: a checkpoint moves its deadline, a sweep finds nothing.
fn is_repeatable(command: &Command) -> bool {
    !matches!(command, Command::Sweep | Command::Checkpoint { .. } | Command::RevokeKey { .. })
}

proptest! {
    // Each command is read back three times: 64 accounts take as long as 256 do elsewhere.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn trap_18_a_reload_after_every_command_makes_no_difference(commands in commands()) {
        let mut bench = Bench::funded();
        let mut settled = Vec::new();
        for (wait_ms, mut command) in commands {
            bench.now_ms += wait_ms;
            if let Command::Admit(admit) = &mut command {
                admit.created_at_ms = bench.now_ms;
            }
            let first = bench.run(&command);
            if is_repeatable(&command) && first.is_ok() {
                let rows = bench.memory.journal.len();
                prop_assert_eq!(&bench.run(&command), &first, "{:?}", command);
                prop_assert_eq!(bench.memory.journal.len(), rows);
            }
            if matches!(command, Command::Settle(_)) && first.is_ok() {
                settled.push((command, first));
            }
        }
        for (command, first) in settled {
            prop_assert_eq!(bench.run(&command), first, "long after");
        }
        let (delivered, entries) = bench.store.oldest_undelivered(1_000).unwrap();
        prop_assert_eq!((delivered, entries), (0, bench.memory.journal));
    }
}
