//! A request is found by its id, with and without its tombstone; and an account that is older than its columns.

use super::bench::{Bench, admit, settle};
use super::*;

fn find(request_id: &str, created_at_ms: i64) -> Command {
    Command::Find { request_id: request_id.into(), created_at_ms, digest: "d1".into(), address: None }
}

/// The row of the request, as the store finds it.
fn row(bench: &Bench, request_id: &str, created_at_ms: i64) -> Option<u64> {
    let prior = bench.store.prior(&find(request_id, created_at_ms), &bench.load()).unwrap();
    prior.entry.map(|entry| entry.seq)
}

#[test]
fn a_request_is_found_before_and_after_its_tombstone_is_gone() {
    let mut bench = Bench::funded();
    let begun = bench.now_ms;
    let created = |n: i64| begun + n * 60_000;
    for n in 1..=1_000 {
        bench.now_ms = created(n);
        bench.quickly(&admit(&format!("r{n}"), 1, bench.now_ms));
        bench.quickly(&settle(&format!("r{n}"), 0));
    }
    for n in [1, 2, 500, 999, 1_000] {
        let seq = u64::try_from(n).unwrap() + 1;
        assert_eq!(row(&bench, &format!("r{n}"), created(n)), Some(seq), "by its tombstone");
    }
    bench.store.prune(begun + 2 * TOMBSTONE_MS).unwrap();
    assert_eq!(bench.count("SELECT count(*) FROM holds"), 0);
    for n in [1, 2, 500, 999, 1_000] {
        let seq = u64::try_from(n).unwrap() + 1;
        assert_eq!(row(&bench, &format!("r{n}"), created(n)), Some(seq), "by its time");
    }
    assert_eq!(row(&bench, "r500", created(900)), None, "its id says another time");
    assert_eq!(row(&bench, "r1001", created(1_001)), None);
    assert_eq!(row(&bench, "start", begun), None, "an entry of money is no request");
}

#[test]
fn a_running_request_is_not_found_yet() {
    let mut bench = Bench::funded();
    bench.ok(&admit("r1", 100, bench.now_ms));
    assert_eq!(row(&bench, "r1", bench.now_ms), None);
    bench.ok(&settle("r1", 20));
    assert_eq!(row(&bench, "r1", bench.now_ms), Some(2));
}

#[test]
fn an_account_from_before_there_were_the_columns_gets_them() {
    let mut bench = Bench::funded();
    bench.ok(&admit("r1", 100, bench.now_ms));
    bench.ok(&settle("r1", 20));
    bench.store.snapshot(&bench.memory.state).unwrap();
    bench.ok(&admit("r2", 100, bench.now_ms));
    bench.ok(&settle("r2", 5));
    let drop = "ALTER TABLE account DROP COLUMN sessions_valid_from_ms; ALTER TABLE account DROP COLUMN used_nano;
        UPDATE account SET spend_seq = 2";
    bench.store.0.execute_batch(drop).unwrap();
    let loaded = bench.load();
    assert_eq!((loaded.used.to_string().as_str(), loaded.sessions_valid_from_ms), ("0.025", 0));
    bench.ok(&Command::EndSessions);
    assert_eq!(bench.load().sessions_valid_from_ms, bench.now_ms);
}
