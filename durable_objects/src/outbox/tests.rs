//! The outbox's SQL on a native SQLite with D1's own migrations.

use std::cell::{Cell, RefCell};
use std::task::{Context, Poll, Waker};

use billing::ledger::{Account, BillingStatus, EntryKind, Event, Outcome, SettledBy, UsageRecord};
use billing::money::NanoUsd;
use billing::usage::Usage;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};
use serde_json::{Map, Value, json};

use super::*;

/// A database with every migration applied, as D1 has it.
fn database() -> Connection {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../d1_migrations");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let db = Connection::open_in_memory().unwrap();
    files.iter().for_each(|file| db.execute_batch(&std::fs::read_to_string(file).unwrap()).unwrap());
    db
}

/// Returns how many rows were written.
fn insert(db: &Connection, json: &str) -> rusqlite::Result<usize> {
    db.execute(INSERT_ENTRIES, params!["acct_1", json])
}

fn deliver(db: &Connection, entries: &[Entry]) -> usize {
    insert(db, &serde_json::to_string(entries).unwrap()).unwrap()
}

/// A number as D1 receives it: a JavaScript number.
fn lossless(n: u64) -> f64 {
    n as f64
}

/// Counts as `deliver_entries` does, with numbers bound as D1 binds them.
fn counted(db: &Connection, after: u64, last: u64) -> i64 {
    let numbers = params!["acct_1", lossless(after), lossless(last)];
    db.query_row(COUNT_ENTRIES, numbers, |row| row.get(0)).unwrap()
}

fn rows(db: &Connection, sql: &str) -> Vec<Value> {
    let mut statement = db.prepare(sql).unwrap();
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut found = statement.query([]).unwrap();
    let mut rows = Vec::new();
    while let Some(row) = found.next().unwrap() {
        let value = |at| match row.get_ref(at).unwrap() {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(int) => int.into(),
            ValueRef::Text(text) => String::from_utf8(text.to_vec()).unwrap().into(),
            other => panic!("{other:?}"),
        };
        rows.push(Value::Object(names.iter().cloned().zip((0..).map(value)).collect::<Map<_, _>>()));
    }
    rows
}

fn nano(nano: i64) -> NanoUsd {
    NanoUsd::new(nano).unwrap()
}

/// Every figure is another one, and the largest is as large as money gets.
fn used() -> Entry {
    let usage = Usage {
        input: 11,
        cache_read: 12,
        cache_write_5m: 13,
        cache_write_1h: 14,
        output: 15,
        reasoning: 16,
        web_searches: 17,
    };
    let record = UsageRecord {
        key_id: Some("key_1".into()),
        endpoint: "/v1/chat/completions".into(),
        model: "vendor/model \"quoted\" é".into(),
        upstream: Some("up".into()),
        usage,
        outcome: Outcome::ClientGone,
        billing_status: BillingStatus::Uncollected,
        settled_by: Some(SettledBy::Upstream),
        uncollected: nano(18),
        price_version: 1_700_000_000_019,
        unpriced: true,
        lost: None,
        dropped: "logprobs=1".into(),
        created_at_ms: 1_800_000_000_020,
        admitted_at_ms: 1_800_000_000_020,
    };
    Entry {
        seq: 1,
        id: "req_1".into(),
        kind: EntryKind::Usage,
        at_ms: 1_800_000_000_021,
        amount: nano(-22),
        balance_after: nano(9_007_199_254_740_991),
        usage: Some(record),
    }
}

fn granted() -> Entry {
    Entry {
        seq: 2,
        id: "welcome".into(),
        kind: EntryKind::Grant,
        at_ms: 5,
        amount: nano(6),
        balance_after: nano(7),
        usage: None,
    }
}

/// Of the account's owner, who needs no key.
fn lost() -> Entry {
    let record = UsageRecord {
        key_id: None,
        upstream: None,
        usage: Usage::default(),
        outcome: Outcome::Lost,
        billing_status: BillingStatus::Expired,
        settled_by: None,
        uncollected: NanoUsd::ZERO,
        unpriced: false,
        lost: Some(nano(300)),
        dropped: String::new(),
        ..used().usage.unwrap()
    };
    Entry { seq: 3, id: "req_3".into(), amount: NanoUsd::ZERO, balance_after: nano(7), usage: Some(record), ..used() }
}

#[test]
fn every_column_lands_where_it_belongs() {
    let db = database();
    assert_eq!(deliver(&db, &[used(), granted(), lost()]), 3);
    let expected = json!([
        {
            "account_id": "acct_1", "seq": 1, "id": "req_1", "kind": "usage", "at_ms": 1_800_000_000_021_i64,
            "amount_nano_usd": -22, "balance_after_nano_usd": 9_007_199_254_740_991_i64, "key_id": "key_1",
            "endpoint": "/v1/chat/completions", "model": "vendor/model \"quoted\" é", "upstream": "up",
            "input_tokens": 11, "cache_read_tokens": 12, "cache_write_5m_tokens": 13, "cache_write_1h_tokens": 14,
            "output_tokens": 15, "reasoning_tokens": 16, "web_searches": 17, "status": "client_gone",
            "billing_status": "uncollected", "settled_by": "upstream", "uncollected_nano_usd": 18,
            "lost_nano_usd": null, "price_version": 1_700_000_000_019_i64, "unpriced": 1,
            "dropped": "logprobs=1", "created_at_ms": 1_800_000_000_020_i64,
        },
        {
            "account_id": "acct_1", "seq": 2, "id": "welcome", "kind": "grant", "at_ms": 5, "amount_nano_usd": 6,
            "balance_after_nano_usd": 7, "key_id": null, "endpoint": null, "model": null, "upstream": null,
            "input_tokens": null, "cache_read_tokens": null, "cache_write_5m_tokens": null,
            "cache_write_1h_tokens": null, "output_tokens": null, "reasoning_tokens": null, "web_searches": null,
            "status": null, "billing_status": null, "settled_by": null, "uncollected_nano_usd": null,
            "lost_nano_usd": null, "price_version": null, "unpriced": null, "dropped": null,
            "created_at_ms": null,
        },
        {
            "account_id": "acct_1", "seq": 3, "id": "req_3", "kind": "usage", "at_ms": 1_800_000_000_021_i64,
            "amount_nano_usd": 0, "balance_after_nano_usd": 7, "key_id": null, "endpoint": "/v1/chat/completions",
            "model": "vendor/model \"quoted\" é", "upstream": null, "input_tokens": 0, "cache_read_tokens": 0,
            "cache_write_5m_tokens": 0, "cache_write_1h_tokens": 0, "output_tokens": 0, "reasoning_tokens": 0,
            "web_searches": 0, "status": "lost", "billing_status": "expired", "settled_by": null,
            "uncollected_nano_usd": 0, "lost_nano_usd": 300, "price_version": 1_700_000_000_019_i64, "unpriced": 0,
            "dropped": null, "created_at_ms": 1_800_000_000_020_i64,
        },
    ]);
    assert_eq!(Value::Array(rows(&db, "SELECT * FROM journal ORDER BY seq")), expected);
    let usage = rows(&db, "SELECT request_id, cost_nano_usd, settled_at_ms FROM usage ORDER BY seq");
    let expected = json!([
        { "request_id": "req_1", "cost_nano_usd": 22, "settled_at_ms": 1_800_000_000_021_i64 },
        { "request_id": "req_3", "cost_nano_usd": 0, "settled_at_ms": 1_800_000_000_021_i64 },
    ]);
    assert_eq!(Value::Array(usage), expected, "a grant is no usage");
}

#[test]
fn a_second_delivery_changes_nothing() {
    let db = database();
    deliver(&db, &[used(), granted()]);
    let before = rows(&db, "SELECT * FROM journal");
    // The answer to the first batch was lost: its rows come again, with what was appended since.
    assert_eq!(deliver(&db, &[used(), granted(), lost()]), 1);
    assert_eq!(rows(&db, "SELECT * FROM journal WHERE seq < 3"), before);
    assert_eq!(counted(&db, 0, 3), 3);
}

#[test]
fn a_gap_is_counted() {
    let db = database();
    deliver(&db, &[used(), lost()]);
    assert_eq!((counted(&db, 0, 3), counted(&db, 0, 1), counted(&db, 1, 3), counted(&db, 2, 3)), (2, 1, 1, 1));
    db.execute("UPDATE journal SET account_id = 'acct_2'", []).unwrap();
    assert_eq!(counted(&db, 0, 3), 0, "of this account alone");
}

#[test]
fn a_row_that_d1_cannot_take_fails_its_batch_aloud() {
    let good = serde_json::to_value(granted()).unwrap();
    for (field, bad) in [("id", json!(null)), ("kind", json!(null)), ("amount", json!("six")), ("seq", json!(null))] {
        let db = database();
        let mut row = serde_json::to_value(lost()).unwrap();
        row[field] = bad;
        assert!(insert(&db, &json!([good, row]).to_string()).is_err(), "{field}");
        assert_eq!(counted(&db, 0, 3), 0, "{field}: the good row waits with it");
    }
}

#[test]
fn a_key_is_written_over_by_its_later_state() {
    let db = database();
    let upsert = |revoked: Option<f64>| {
        let values = params!["acct_1", "key_1", "n", "[\"inference\"]", "{}", Option::<String>::None, 5.0, revoked];
        db.execute(UPSERT_KEY, values).unwrap()
    };
    let key = |revoked: Value| {
        json!({
            "account_id": "acct_1", "key_id": "key_1", "name": "n", "permissions": "[\"inference\"]",
            "limits": "{}", "parent_key_id": null,
            "created_at_ms": 5, "revoked_at_ms": revoked,
        })
    };
    upsert(None);
    assert_eq!(rows(&db, "SELECT * FROM api_keys"), [key(Value::Null)]);
    upsert(Some(1_800_000_000_000.0));
    assert_eq!(rows(&db, "SELECT * FROM api_keys"), [key(json!(1_800_000_000_000_i64))]);
}

#[test]
fn a_row_that_is_set_aside_counts_as_delivered() {
    let db = database();
    deliver(&db, &[used(), lost()]);
    let reject = || {
        let values = params!["acct_1", lossless(2), "{}", "NOT NULL constraint failed", lossless(5)];
        db.execute(REJECT_ENTRY, values).unwrap()
    };
    assert_eq!((reject(), reject()), (1, 0), "once, however often it is sent");
    assert_eq!((counted(&db, 0, 3), counted(&db, 2, 3)), (3, 1));
    deliver(&db, &[granted()]);
    assert_eq!(counted(&db, 0, 3), 3, "mended, and not counted twice");
}

#[test]
fn an_outage_sets_nothing_aside() {
    assert!(is_refusal("D1_ERROR: NOT NULL constraint failed: journal.kind: SQLITE_CONSTRAINT"));
    for outage in ["D1_ERROR: Network connection lost.", "D1 has 3 of 5 rows", "D1 DB is overloaded"] {
        assert!(!is_refusal(outage), "{outage}");
    }
}

/// D1, reached at once; before it takes a batch, somebody else acts.
struct Near<'a> {
    db: &'a Connection,
    meanwhile: Box<dyn Fn() + 'a>,
}

impl JournalCopy for Near<'_> {
    async fn insert(&self, _: &str, entries: &str, after: u64, last: u64) -> Result<u64, String> {
        (self.meanwhile)();
        insert(self.db, entries).map_err(|e| e.to_string())?;
        Ok(counted(self.db, after, last).unsigned_abs())
    }

    async fn reject(&self, _: &str, _: u64, _: &str, _: &str, _: i64) -> Result<(), String> {
        Err("nothing is refused here".into())
    }

    async fn read(&self, _: &str, _: u64, _: u64) -> Result<Copy, String> {
        Err("a delivery reads nothing".into())
    }

    async fn upsert_key(&self, _: &str, _: &Key) -> Result<(), String> {
        Err("the journal has no keys".into())
    }

    async fn tell_due_top_up(&self, _: &str, _: i64) -> Result<(), String> {
        Err("the journal has no due top-ups".into())
    }
}

#[test]
fn a_repair_that_meets_a_delivery_is_not_overtaken_by_it() {
    let store = Store(Connection::open_in_memory().unwrap());
    store.apply(&Event::Provisioned(Account { account_id: "acct_1".into(), created_at_ms: 1 })).unwrap();
    for entry in [used(), granted(), lost()] {
        store.apply(&Event::EntryAppended(entry)).unwrap();
    }
    let db = database();
    // Rows 1 and 2 were delivered; then D1 lost the first.
    assert_eq!(store.entries_delivered(0, 2), Ok(2));
    deliver(&db, &[granted()]);
    // While row 3 travels, an operator has what is missing delivered again, once.
    let repaired = Cell::new(false);
    let meanwhile = || {
        if !repaired.replace(true) {
            assert_eq!(store.deliver_again(0), Ok(0));
        }
    };
    let near = Near { db: &db, meanwhile: Box::new(meanwhile) };
    let confirmed = RefCell::new(Vec::new());
    let delivery = deliver_journal(&near, &store, "acct_1", || 1, |seq| confirmed.borrow_mut().push(seq));
    let polled = std::pin::pin!(delivery).poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(polled, Poll::Ready(Ok(())));
    assert_eq!((counted(&db, 0, 3), store.delivered_seq().unwrap()), (3, 3));
    assert_eq!(confirmed.take(), [0, 3]);
}

#[test]
fn an_audit_reads_what_was_set_aside() {
    let db = database();
    let values = params!["acct_1", lossless(2), "{}", "NOT NULL constraint failed", lossless(5)];
    db.execute(REJECT_ENTRY, values).unwrap();
    let seqs = |after: u64, last: u64| {
        let mut statement = db.prepare(SELECT_SET_ASIDE).unwrap();
        let rows = statement.query_map(params!["acct_1", lossless(after), lossless(last)], |row| row.get::<_, i64>(0));
        rows.unwrap().map(Result::unwrap).collect::<Vec<_>>()
    };
    assert_eq!((seqs(0, 3), seqs(2, 3), seqs(0, 1)), (vec![2], vec![], vec![]));
}
