//! What a wake reads: not the day of requests that ended.

use std::cell::Cell;

use billing::ledger::{AutoSettings, KeyLimits, LimitsChange, SavedMethod, UpdateKey};
use rusqlite::{Connection, StatementStatus};

use super::super::load::{RATE_PAGE, entries_backwards, open_holds};
use super::bench::{Bench, admit, limits, settle};
use super::*;

/// Counts what SQLite does for each statement: the steps of its virtual machine, and the rows that it went
/// through without an index.
struct Counted<'a> {
    connection: &'a Connection,
    steps: Cell<i64>,
    scanned: Cell<i64>,
}

impl Sql for Counted<'_> {
    fn query(&self, sql: &str, params: &[Value]) -> Result<Vec<Row>, SqlError> {
        let mut statement = self.connection.prepare(sql).map_err(|e| SqlError(e.to_string()))?;
        let rows = bench::rows(&mut statement, params)?;
        self.steps.set(self.steps.get() + i64::from(statement.get_status(StatementStatus::VmStep)));
        self.scanned.set(self.scanned.get() + i64::from(statement.get_status(StatementStatus::FullscanStep)));
        Ok(rows)
    }
}

/// The state as a wake finds it, and what finding it took: (steps, rows scanned).
fn wake(bench: &Bench) -> (State, (i64, i64)) {
    let counted = Counted { connection: &bench.store.0, steps: Cell::new(0), scanned: Cell::new(0) };
    let store = Store(counted);
    let state = store.load(bench.now_ms).unwrap();
    (state, (store.0.steps.get(), store.0.scanned.get()))
}

/// An account that has served so many requests, ten a second, and whose alarm has come since; one of them,
/// the last but nine, still runs.
fn after_requests(requests: i64) -> Bench {
    let mut bench = Bench::funded();
    let limits = Some(KeyLimits { requests_per_minute: Some(1_000), ..limits(5) });
    bench.ok(&Command::UpdateKey(UpdateKey {
        key_id: "key_1".into(),
        name: None,
        limits,
        change: LimitsChange::default(),
        by: None,
    }));
    for n in 1..=requests {
        bench.now_ms += 100;
        let id = format!("req_{n:06}");
        let command = admit(&id, 1, bench.now_ms);
        bench.quickly(&command);
        if n != requests - 9 {
            bench.quickly(&settle(&id, 0));
        }
    }
    bench.store.snapshot(&bench.memory.state).unwrap();
    bench
}

#[test]
fn a_wake_reads_as_much_after_a_day_as_after_a_minute() {
    let (minute, day) = (after_requests(1_300), after_requests(6_000));
    let ((first, few), (second, many)) = (wake(&minute), wake(&day));
    assert_eq!(first, minute.memory.recent(minute.now_ms));
    assert_eq!(second, day.memory.recent(day.now_ms));
    assert_eq!(second.holds.len(), 1);
    assert_eq!(many, few, "steps and scanned rows");
}

#[test]
fn holds_and_the_journal_are_searched_and_not_scanned() {
    let bench = after_requests(10);
    let plan = |sql: &str, params: &[Value]| {
        let rows = bench.store.0.query(&format!("EXPLAIN QUERY PLAN {sql}"), params).unwrap();
        let detail = |mut row: Row| [row.int(), row.int(), row.int()].iter().all(Result::is_ok).then(|| row.text());
        rows.into_iter().map(|row| detail(row).unwrap().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(plan(&open_holds(), &["".into()]), ["SEARCH holds USING PRIMARY KEY (request_id>?)"]);
    let page = [9_i64.into(), RATE_PAGE.into()];
    assert_eq!(plan(&entries_backwards(), &page), ["SEARCH journal USING INTEGER PRIMARY KEY (rowid<?)"]);
}

#[test]
fn a_hold_whose_id_lies_before_the_mark_is_found_again() {
    let mut bench = Bench::funded();
    let now = bench.now_ms;
    bench.ok(&admit("req_5", 1, now));
    bench.ok(&settle("req_5", 1));
    bench.store.snapshot(&bench.memory.state).unwrap();
    let open_from = |bench: &Bench| bench.store.0.query("SELECT open_from FROM account", &[]).unwrap()[0].text();
    assert_eq!(bench.count("SELECT count(*) FROM account WHERE open_from = 'req_5'"), 1);
    // Another Worker's clock was behind.
    bench.ok(&admit("req_4", 1, now));
    assert_eq!(open_from(&bench), Ok("req_4".into()));
    assert_eq!(bench.load().holds.len(), 1);
    bench.ok(&admit("req_6", 1, now));
    bench.store.snapshot(&bench.memory.state).unwrap();
    assert_eq!(open_from(&bench), Ok("req_4".into()), "it is open still");
}

#[test]
fn an_account_from_before_the_mark_is_read_and_marked() {
    let mut bench = Bench::funded();
    bench.ok(&admit("req_1", 1, bench.now_ms));
    for column in ["account DROP COLUMN open_from", "keys DROP COLUMN start", "keys DROP COLUMN replaced_by"] {
        bench.store.0.execute_batch(&format!("ALTER TABLE {column}")).unwrap();
    }
    let mut expected = bench.memory.recent(bench.now_ms);
    expected.keys.values_mut().for_each(|key| key.start.clear());
    assert_eq!(bench.load(), expected);
    bench.memory.state.keys.values_mut().for_each(|key| key.start.clear());
    bench.ok(&settle("req_1", 1));
    bench.store.snapshot(&bench.memory.state).unwrap();
    assert_eq!(bench.count("SELECT count(*) FROM account WHERE open_from = 'req_1'"), 1);
}

#[test]
fn automatic_top_ups_are_read_again_also_where_the_table_is_older_than_they_are() {
    let mut bench = Bench::funded();
    bench.store.0.execute_batch("ALTER TABLE account DROP COLUMN auto_top_up").unwrap();
    assert_eq!(bench.load().auto, None);
    let nano = |usd: i64| NanoUsd::new(usd * 1_000_000_000).unwrap();
    let settings = AutoSettings { enabled: true, threshold: nano(9), amount: nano(5), monthly_cap: nano(20) };
    let method = SavedMethod {
        customer: "cus_1".into(),
        method: "pm_1".into(),
        brand: "visa".into(),
        last4: "4242".into(),
        created_at_ms: bench.now_ms,
    };
    bench.ok(&Command::SaveMethod(method));
    bench.ok(&Command::SetAutoTopUp(settings));
    let Answer::AutoTopUp { top_up: Some(attempt), .. } = bench.ok(&Command::ChargeAttempt) else {
        panic!("nothing is attempted")
    };
    let auto = bench.load().auto.unwrap();
    assert_eq!((auto.attempt, auto.settings), (Some(*attempt), settings));
    let rows = bench.store.0.total_changes();
    bench.ok(&Command::AutoTopUp);
    assert_eq!(bench.store.0.total_changes(), rows, "a look writes nothing");
}
