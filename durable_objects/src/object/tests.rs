//! The object's entries on a native SQLite, with a D1 and a clock that the test controls. What faults do to the
//! ledger is the simulation's part (`tests/simulation`).

use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use billing::hold::HoldRequest;
use billing::ledger::{Admit, Answer, CreateKey, Enter, EntryKind, HOLD_TTL_MS, Key, KeyLimits, Permission, Terms};
use billing::money::{NanoUsd, PicoUsd};
use billing::price::{Price, Rates};
use rusqlite::Connection;

use super::*;
use crate::audit::Copy;
use crate::protocol::VERSION;
use crate::sql::{Row, Sql, Value};

/// A database whose next write can be made to fail.
#[derive(Clone)]
struct Database {
    connection: Rc<Connection>,
    fails: Rc<Cell<bool>>,
}

impl Sql for Database {
    fn query(&self, sql: &str, params: &[Value]) -> Result<Vec<Row>, SqlError> {
        if self.fails.get() { Err(SqlError("on purpose".into())) } else { self.connection.query(sql, params) }
    }
}

impl Transactional for Database {
    fn transaction(&self, mut write: impl FnMut() -> Result<(), SqlError> + 'static) -> Result<(), SqlError> {
        self.connection.query("BEGIN", &[])?;
        let done = write();
        self.connection.query(if done.is_ok() { "COMMIT" } else { "ROLLBACK" }, &[])?;
        done
    }
}

/// A D1 that takes journal rows, and keys unless they are refused.
#[derive(Clone, Default)]
struct D1 {
    refuses_keys: Rc<Cell<bool>>,
    rows: Rc<Cell<u64>>,
    keys: Rc<Cell<u64>>,
}

impl JournalCopy for D1 {
    async fn insert(&self, _: &str, _: &str, after: u64, last: u64) -> Result<u64, String> {
        self.rows.set(self.rows.get() + last - after);
        Ok(last - after)
    }

    async fn reject(&self, _: &str, _: u64, _: &str, _: &str, _: i64) -> Result<(), String> {
        Err("no row is refused here".into())
    }

    async fn read(&self, _: &str, _: u64, _: u64) -> Result<Copy, String> {
        Ok(Copy::default())
    }

    async fn upsert_key(&self, _: &str, _: &Key) -> Result<(), String> {
        if self.refuses_keys.get() {
            return Err("D1_ERROR: CHECK constraint failed".into());
        }
        self.keys.set(self.keys.get() + 1);
        Ok(())
    }

    async fn tell_due_top_up(&self, _: &str, _: i64) -> Result<(), String> {
        Ok(())
    }
}

#[derive(Clone)]
struct TestClock {
    now_ms: Rc<Cell<i64>>,
    alarm_at_ms: Rc<Cell<Option<i64>>>,
}

impl Clock for TestClock {
    fn now_ms(&self) -> i64 {
        self.now_ms.get()
    }

    async fn alarm_at_ms(&self) -> Result<Option<i64>, String> {
        Ok(self.alarm_at_ms.get())
    }

    async fn set_alarm(&self, in_ms: u64) -> Result<(), String> {
        self.alarm_at_ms.set(Some(self.now_ms().saturating_add_unsigned(in_ms)));
        Ok(())
    }
}

struct Bench {
    object: Object<Database, D1, TestClock>,
    database: Database,
    d1: D1,
    clock: TestClock,
    expired: Rc<Cell<u64>>,
}

const START_MS: i64 = 1_800_000_000_000;

impl Bench {
    /// An account with $1 and a key.
    fn new() -> Self {
        let connection = Rc::new(Connection::open_in_memory().unwrap());
        let database = Database { connection, fails: Rc::default() };
        let clock = TestClock { now_ms: Rc::new(Cell::new(START_MS)), alarm_at_ms: Rc::default() };
        let (d1, expired) = (D1::default(), Rc::new(Cell::new(0)));
        let count = Rc::clone(&expired);
        let notify = move |notice: Notice<'_>| {
            if let Notice::HoldsExpired(expired) = notice {
                count.set(count.get() + expired);
            }
        };
        let object = Object::new(database.clone(), d1.clone(), clock.clone(), "60".into(), notify);
        let bench = Self { object, database, d1, clock, expired };
        bench.ok(Command::Provision { account_id: "acct_1".into() });
        bench.ok(Command::Enter(Enter {
            id: "start".into(),
            kind: EntryKind::Credit,
            amount: NanoUsd::new(1_000_000_000).unwrap(),
        }));
        bench.ok(Command::CreateKey(CreateKey {
            key_id: "key_1".into(),
            digest: "ab".into(),
            start: String::new(),
            name: "n".into(),
            permissions: Permission::ALL.to_vec(),
            limits: KeyLimits::default(),
            by: None,
        }));
        bench
    }

    fn ask(&self, command: Command, session_issued_at_s: Option<i64>) -> Result<Outcome, Failure> {
        at_once(self.object.answer(&Call { v: VERSION, session_issued_at_s, ask: Ask::Command(Box::new(command)) }))
    }

    fn ok(&self, command: Command) -> Answer {
        match self.ask(command, None) {
            Ok(Outcome::Answer(answer)) => answer,
            other => panic!("{other:?}"),
        }
    }

    fn admit(&self, request_id: &str) -> Command {
        let price = Price { effective_at_ms: 1, rates: Rates::default(), long_input: None };
        Command::Admit(Box::new(Admit {
            request_id: request_id.into(),
            created_at_ms: self.clock.now_ms(),
            digest: Some("ab".into()),
            hold: HoldRequest { fixed: NanoUsd::new(1).unwrap(), per_output: PicoUsd::default(), output: None },
            terms: Terms { endpoint: "/v1/chat/completions".into(), model: "m".into(), price, unpriced: false },
            address: None,
        }))
    }

    /// The platform rings the alarm at its time, as `account.rs` does.
    fn ring(&self) -> Result<(), Failed> {
        let at_ms = self.clock.alarm_at_ms.take().expect("an alarm is set");
        self.clock.now_ms.set(self.clock.now_ms().max(at_ms));
        let rung = at_once(self.object.ring());
        at_once(self.object.schedule()).unwrap();
        rung
    }
}

fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the object waits"),
    }
}

#[test]
fn a_key_that_d1_refuses_does_not_hold_up_the_journal() {
    let bench = Bench::new();
    bench.d1.refuses_keys.set(true);
    let refused = Failed("D1_ERROR: CHECK constraint failed".into());
    assert_eq!(bench.ring(), Err(refused.clone()));
    assert_eq!((bench.d1.rows.get(), bench.d1.keys.get()), (1, 0));
    assert_eq!(bench.ring(), Err(refused), "the key is tried again");
    bench.d1.refuses_keys.set(false);
    assert_eq!(bench.ring(), Ok(()));
    assert_eq!((bench.d1.rows.get(), bench.d1.keys.get()), (1, 1));
    assert_eq!(bench.clock.alarm_at_ms.get(), None, "nothing is left to do");
}

#[test]
fn an_alarm_whose_storage_fails_is_followed_by_another() {
    let bench = Bench::new();
    assert_eq!(bench.ring(), Ok(()));
    bench.ok(bench.admit("r1"));
    bench.clock.now_ms.set(START_MS + HOLD_TTL_MS + 120_000);
    bench.database.fails.set(true);
    assert_eq!(bench.ring(), Err(Failed("sql: on purpose".into())));
    bench.database.fails.set(false);
    assert_eq!(bench.ring(), Ok(()));
    assert_eq!(bench.expired.get(), 1, "the hold expired with the next alarm");
}

#[test]
fn a_session_that_the_owner_has_ended_asks_in_vain() {
    let bench = Bench::new();
    let issued_at_s = START_MS / 1_000 - 10;
    assert!(matches!(bench.ask(Command::Balance, Some(issued_at_s)), Ok(Outcome::Answer(Answer::Balance { .. }))));
    bench.ok(Command::EndSessions);
    assert_eq!(bench.ask(Command::Balance, Some(issued_at_s)), Ok(Outcome::Refused(Refusal::SignedOut)));
    assert!(matches!(bench.ask(Command::Balance, None), Ok(Outcome::Answer(Answer::Balance { .. }))));
}

#[test]
fn admits_above_the_limit_of_a_second_are_refused_and_nothing_else_is() {
    let bench = Bench::new();
    for n in 0..MAX_ADMITS_PER_S {
        bench.ok(bench.admit(&format!("r{n}")));
    }
    assert_eq!(bench.ask(bench.admit("late"), None), Err(Failure::Overloaded));
    bench.ok(Command::Release {
        request_id: "r1".into(),
        outcome: billing::ledger::Outcome::UpstreamFailed,
        upstream: None,
    });
    bench.clock.now_ms.set(START_MS + 1_000);
    bench.ok(bench.admit("late"));
}
