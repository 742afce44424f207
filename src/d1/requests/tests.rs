//! The SQL on a native SQLite with D1's migrations, against a plain filter of the same rows.

use account::outbox::INSERT_ENTRIES;
use billing::usage::Usage;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

use super::*;
use crate::d1::{daily, entries};

/// As far as these tests look at once: a few rows.
const FEW: u64 = 7;

fn database() -> Connection {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/d1_migrations");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let db = Connection::open_in_memory().unwrap();
    files.iter().for_each(|file| db.execute_batch(&std::fs::read_to_string(file).unwrap()).unwrap());
    db
}

/// Of few days, keys and models, so that filters meet; now and then a grant or a late settle.
fn journal() -> impl Strategy<Value = Vec<Entry>> {
    let one = (0u8..12, 0i64..4, 0u8..3, 0u8..3, 0i64..1_000);
    proptest::collection::vec(one, 1..60).prop_map(|rows| {
        let entry = |(seq, (what, day, key, model, cost)): (u64, (u8, i64, u8, u8, i64))| {
            let created_at_ms = day * DAY_MS + i64::from(model);
            let record = UsageRecord {
                // Or the owner, without a key.
                key_id: (key != 2).then(|| format!("key_{key}")),
                endpoint: if key == 0 { "/v1/messages" } else { "/v1/chat/completions" }.into(),
                model: format!("model_{model}"),
                upstream: None,
                usage: Usage {
                    input: 3,
                    cache_read: 2,
                    output: u64::from(what),
                    reasoning: u64::from(model),
                    ..Usage::default()
                },
                outcome: if what == 1 { Outcome::Lost } else { Outcome::Completed },
                billing_status: BillingStatus::Settled,
                settled_by: Some(SettledBy::Upstream),
                uncollected: NanoUsd::ZERO,
                price_version: 0,
                unpriced: false,
                lost: None,
                dropped: String::new(),
                created_at_ms,
                admitted_at_ms: created_at_ms,
            };
            let (kind, usage) = match what {
                0 => (EntryKind::Grant, None),
                2 => (EntryKind::Adjustment, Some(record)),
                _ => (EntryKind::Usage, Some(record)),
            };
            let amount = NanoUsd::new(if what == 2 { cost } else { -cost }).unwrap();
            let id = format!("id_{seq}");
            Entry { seq, id, kind, at_ms: 5 * DAY_MS, amount, balance_after: NanoUsd::ZERO, usage }
        };
        (1..).zip(rows).map(entry).collect()
    })
}

fn filter() -> impl Strategy<Value = Filter> {
    let text = |name: &'static str| proptest::option::weighted(0.3, (0u8..4).prop_map(move |n| format!("{name}_{n}")));
    let endpoint = proptest::option::weighted(0.2, Just("/v1/messages".to_owned()));
    let status = proptest::option::weighted(0.2, prop_oneof![Just(Outcome::Lost), Just(Outcome::ClientGone)]);
    (0i64..3, 0i64..5, text("key"), text("model"), endpoint, status).prop_map(
        |(from, days, key_id, model, endpoint, status)| Filter {
            from_ms: from * DAY_MS + 1,
            to_ms: (from + days) * DAY_MS + 1,
            key_id,
            model,
            endpoint,
            status,
        },
    )
}

fn deliver(db: &Connection, rows: &[Entry]) {
    db.execute(INSERT_ENTRIES, params!["acct_1", serde_json::to_string(rows).unwrap()]).unwrap();
}

fn text(value: Option<&str>) -> Value {
    value.map_or(Value::Null, |text| Value::Text(text.to_owned()))
}

/// As D1 binds: every number is a REAL.
fn real(n: u64) -> Value {
    Value::Real(n as f64)
}

fn values(filter: &Filter, seq: u64, limit: u64, most: Option<u64>, scanned: u64) -> Vec<Value> {
    let time = |ms: i64| real(ms.unsigned_abs());
    let mut values = vec![text(Some("acct_1")), real(seq)];
    values.extend([time(day_of(filter.from_ms)), time(day_of(filter.to_ms - 1))]);
    values.extend([&filter.key_id, &filter.model, &filter.endpoint].map(|value| text(value.as_deref())));
    values.push(text(filter.status.map(word).as_deref()));
    values.extend([time(filter.from_ms), time(filter.to_ms), real(scanned), real(limit)]);
    values.extend(most.map(real));
    values
}

/// As `ask` does.
fn looked(db: &Connection, sql: &str, values: Vec<Value>) -> Looked {
    let row = |row: &rusqlite::Row<'_>| {
        Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?, row.get::<_, String>(2)?))
    };
    let (seen, last, rows) = db.query_row(sql, params_from_iter(values), row).unwrap();
    let unsigned = |seq: Option<i64>| seq.map(|seq| u64::try_from(seq).unwrap());
    Looked { rows: serde_json::from_str(&rows).unwrap(), seen: unsigned(seen), last: unsigned(last) }
}

fn fitting(rows: &[Entry], filter: &Filter) -> Vec<Row> {
    let fitting = rows.iter().filter(|entry| entry.usage.as_ref().is_some_and(|usage| filter.takes(usage)));
    fitting.filter_map(Row::of).collect()
}

proptest! {
    #[test]
    fn pages_together_are_all_rows_that_fit_each_once(rows in journal(), filter in filter(), limit in 1u64..5, split in 0usize..60) {
        let db = database();
        deliver(&db, &rows[..split.min(rows.len())]);
        deliver(&db, &rows);
        let last = rows.len() as u64;
        let mut expected = fitting(&rows, &filter);
        let (mut found, mut from) = (Vec::new(), Some(1));
        while let Some(seq) = from {
            let page = looked(&db, AFTER, values(&filter, seq, limit, Some(last), FEW)).up_to(limit, |seen, last| seen < last);
            found.extend(page.rows);
            prop_assert!(page.seen.is_none_or(|seen| seen >= seq), "it goes on");
            from = page.seen.map(|seen| seen + 1);
        }
        prop_assert_eq!(&found, &expected, "oldest first");
        let (mut found, mut below) = (Vec::new(), Some(last));
        while let Some(seq) = below.filter(|seq| *seq > 0) {
            let page = looked(&db, BEFORE, values(&filter, seq, limit, None, FEW)).up_to(limit, |seen, last| seen > last);
            found.extend(page.rows);
            prop_assert!(page.seen.is_none_or(|seen| seen <= seq), "it goes on");
            below = page.seen.map(|seen| seen - 1);
        }
        expected.reverse();
        prop_assert_eq!(found, expected, "newest first");
    }

    #[test]
    fn sums_by_day_count_each_row_once(rows in journal(), filter in filter()) {
        let db = database();
        // Twice, as after an answer that was lost.
        deliver(&db, &rows);
        deliver(&db, &rows);
        let mut expected = (0_i64, 0_i64, 0_i64, 0_i64, 0_i64);
        // Sums are of whole days.
        let whole = Filter { from_ms: filter.from_ms - 1, to_ms: day_of(filter.to_ms - 1) * DAY_MS + DAY_MS, ..filter };
        for row in fitting(&rows, &whole) {
            expected.4 -= row.amount.nano();
            if row.kind == EntryKind::Usage {
                let tokens = (expected.2 + row.output as i64, expected.3 + row.reasoning as i64);
                expected = (expected.0 + 1, expected.1 + 5, tokens.0, tokens.1, expected.4);
            }
        }
        for by in ["none", "key", "model", "endpoint"] {
            let mut values = values(&whole, 10_000, 1, None, 1);
            values.truncate(8);
            values.push(text(Some(by)));
            let mut statement = db.prepare(daily::SUMS).unwrap();
            let sum = |row: &rusqlite::Row<'_>| Ok((row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?));
            let sums: Vec<(i64, i64, i64, i64, i64)> = statement.query_map(params_from_iter(values), sum).unwrap().map(Result::unwrap).collect();
            let sum = sums.iter().fold((0, 0, 0, 0, 0), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2, a.3 + b.3, a.4 + b.4));
            prop_assert_eq!(sum, expected, "{}", by);
        }
    }
}

/// What stood in the journal before there were sums is in them.
#[test]
fn the_migration_sums_up_what_is_there() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/d1_migrations/");
    let read = |name: &str| std::fs::read_to_string(format!("{folder}{name}")).unwrap();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let rows = journal().new_tree(&mut runner).unwrap().current();
    let sums = |db: &Connection| {
        let mut statement = db
            .prepare(
                "SELECT json_array(day, key_id, model, endpoint, status, requests, input_tokens,
            output_tokens, reasoning_tokens, cost_nano_usd, first_seq, last_seq) FROM usage_daily ORDER BY 1",
            )
            .unwrap();
        let found = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        found.map(Result::unwrap).collect::<Vec<_>>()
    };
    let (before, after) = (Connection::open_in_memory().unwrap(), database());
    for name in ["0001_create_catalogue.sql", "0002_create_accounts.sql", "0003_add_dropped_to_journal.sql"] {
        before.execute_batch(&read(name)).unwrap();
    }
    deliver(&before, &rows);
    deliver(&after, &rows);
    before.execute_batch(&read("0006_create_usage_daily.sql")).unwrap();
    assert!(!sums(&after).is_empty());
    assert_eq!(sums(&before), sums(&after));
}

#[test]
fn the_journal_is_searched_by_its_keys_and_never_scanned() {
    let db = database();
    let plan = |sql: &str, count: usize| {
        let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let all = vec![Value::Null; count];
        let found = statement.query_map(params_from_iter(all), |row| row.get::<_, String>(3)).unwrap();
        found
            .map(Result::unwrap)
            .filter(|step| step.contains("journal") || step.contains("usage_daily"))
            .collect::<Vec<_>>()
    };
    let sums = "SEARCH usage_daily USING PRIMARY KEY (account_id=? AND day>? AND day<?)";
    let page = "SEARCH journal USING PRIMARY KEY (account_id=? AND seq>? AND seq<?)";
    assert_eq!(plan(BEFORE, 12), [page, sums]);
    assert_eq!(plan(AFTER, 13), [page, sums]);
    assert_eq!(plan(daily::SUMS, 9), [sums]);
    assert_eq!(plan(daily::LAST, 1), ["SEARCH journal USING PRIMARY KEY (account_id=?)"]);
    let downwards = "SEARCH journal USING PRIMARY KEY (account_id=? AND seq<?)";
    assert_eq!(plan(entries::ALL, 3), [downwards]);
    assert_eq!(plan(entries::REQUESTS, 4), [downwards]);
    assert_eq!(plan(entries::OTHERS, 4), ["SEARCH journal USING INDEX journal_other (account_id=? AND seq<?)"]);
}
