//! An account that is read from a native SQLite before every command, beside one that never leaves
//! memory, and the commands that tests give to both.

use std::collections::BTreeMap;

use billing::hold::{HoldRequest, OutputBound};
use billing::ledger::{
    Admit, Answer, Budget, CreateKey, Enter, EntryKind, KeyLimits, MINUTE_MS, Outcome, Period, Permission, Refusal,
    RotateKey, Settle, SettledBy, Terms, decide,
};
use billing::money::PicoUsd;
use billing::price::{Price, Rates};
use billing::usage::Usage;
use rusqlite::types::{Value as SqliteValue, ValueRef};
use rusqlite::{Connection, Statement, params_from_iter};

use super::super::*;

impl Sql for Connection {
    fn query(&self, sql: &str, params: &[Value]) -> Result<Vec<Row>, SqlError> {
        rows(&mut self.prepare(sql).map_err(failed)?, params)
    }
}

/// All rows of a statement.
pub fn rows(statement: &mut Statement<'_>, params: &[Value]) -> Result<Vec<Row>, SqlError> {
    let columns = statement.column_count();
    let mut found = statement.query(params_from_iter(params.iter().map(bound))).map_err(failed)?;
    let mut rows = Vec::new();
    while let Some(row) = found.next().map_err(failed)? {
        rows.push(Row::new((0..columns).map(|at| read(row.get_ref(at).unwrap())).collect()));
    }
    Ok(rows)
}

fn failed(error: rusqlite::Error) -> SqlError {
    SqlError(error.to_string())
}

/// As workerd binds: every JavaScript number arrives as a REAL.
fn bound(value: &Value) -> SqliteValue {
    match value {
        Value::Null => SqliteValue::Null,
        Value::Int(int) => SqliteValue::Real(*int as f64),
        Value::Text(text) => SqliteValue::Text(text.clone()),
    }
}

fn read(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(int) => Value::Int(int),
        ValueRef::Text(text) => Value::Text(String::from_utf8(text.to_vec()).unwrap()),
        other => panic!("no table holds such a value: {other:?}"),
    }
}

/// An account that forgets nothing, with the look-ups that the store makes.
#[derive(Default)]
pub struct Memory {
    pub state: State,
    pub resolved: BTreeMap<String, Hold>,
    pub journal: Vec<Entry>,
}

impl Memory {
    pub fn run(&mut self, command: &Command, now_ms: i64) -> Result<Answer, Refusal> {
        let (events, answer) = decide(&self.state, command, &self.prior(command), now_ms)?;
        for event in events {
            match &event {
                Event::HoldResolved { request_id, state } => {
                    let hold = self.state.holds.get(request_id).or(self.resolved.get(request_id)).unwrap();
                    self.resolved.insert(request_id.clone(), Hold { state: *state, ..hold.clone() });
                }
                Event::EntryAppended(entry) => self.journal.push(entry.clone()),
                _ => {}
            }
            self.state.apply(&event);
        }
        Ok(answer)
    }

    /// The state, less the requests that no rate counts any more.
    pub fn recent(&self, now_ms: i64) -> State {
        let mut state = self.state.clone();
        state.rates.clear();
        let holds = self.resolved.values().chain(self.state.holds.values());
        let mut holds: Vec<_> = holds.filter(|hold| hold.opened_at_ms > now_ms - MINUTE_MS).collect();
        holds.sort_by_key(|hold| (hold.opened_at_ms, hold.admit.request_id.clone()));
        holds.into_iter().for_each(|hold| state.count_request(hold.key_id.as_deref(), hold.opened_at_ms));
        state
    }

    fn prior(&self, command: &Command) -> Prior {
        let id = command.id().unwrap_or_default();
        if let Command::Enter(_) = command {
            let entry = self.journal.iter().find(|entry| entry.id == id && entry.usage.is_none());
            return Prior { hold: None, entry: entry.cloned() };
        }
        let hold = self.resolved.get(id).cloned();
        let entry = hold.as_ref().and_then(|hold| match hold.state {
            HoldState::Open => None,
            HoldState::Resolved(seq) | HoldState::Expired(seq) | HoldState::Adjusted(seq) => {
                self.journal.iter().find(|entry| entry.seq == seq)
            }
        });
        Prior { entry: entry.cloned(), hold }
    }
}

/// An account that is read from SQL before every command, and the one that it must equal.
pub struct Bench {
    pub store: Store<Connection>,
    pub memory: Memory,
    /// The account's clock.
    pub now_ms: i64,
}

impl Bench {
    pub fn empty() -> Self {
        let store = Store(Connection::open_in_memory().unwrap());
        Self { store, memory: Memory::default(), now_ms: 1_800_000_000_000 }
    }

    /// With one key and a dollar.
    pub fn funded() -> Self {
        let mut bench = Self::empty();
        bench.ok(&Command::Provision { account_id: "acct_1".into() });
        bench.ok(&create_key("key_1"));
        bench.ok(&enter("start", 1_000_000_000));
        bench
    }

    /// What the object does: decides, writes in one transaction. Before that it once dies in the middle.
    pub fn run(&mut self, command: &Command) -> Result<Answer, Refusal> {
        let before = self.load();
        let decision = decide(&before, command, &self.store.prior(command, &before).unwrap(), self.now_ms);
        let remembered = self.memory.run(command, self.now_ms);
        assert_eq!(decision.clone().map(|(_, answer)| answer), remembered, "{command:?}");
        if let Ok((events, _)) = &decision {
            let dies = self.store.0.unchecked_transaction().unwrap();
            events.iter().try_for_each(|event| self.store.apply(event)).unwrap();
            drop(dies);
            assert_eq!(self.load(), before, "{command:?}, rolled back");
            self.write(events).unwrap();
            // As an alarm does now and then; behind it the journal is read again.
            if !events.is_empty() && self.memory.state.seq.is_multiple_of(3) {
                self.store.snapshot(&self.memory.state).unwrap();
            }
        }
        assert_eq!(self.load(), self.memory.recent(self.now_ms), "{command:?}");
        remembered
    }

    /// As [`Self::run`], without its checks.
    pub fn quickly(&mut self, command: &Command) {
        let state = &self.memory.state;
        let (events, _) = decide(state, command, &self.memory.prior(command), self.now_ms).unwrap();
        self.write(&events).unwrap();
        self.memory.run(command, self.now_ms).unwrap();
    }

    pub fn load(&self) -> State {
        self.store.load(self.now_ms).unwrap()
    }

    pub fn write(&self, events: &[Event]) -> Result<(), SqlError> {
        let transaction = self.store.0.unchecked_transaction().unwrap();
        events.iter().try_for_each(|event| self.store.apply(event))?;
        transaction.commit().unwrap();
        Ok(())
    }

    pub fn ok(&mut self, command: &Command) -> Answer {
        self.run(command).unwrap()
    }

    pub fn count(&self, sql: &str) -> i64 {
        self.store.0.query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

pub fn create_key(key_id: &str) -> Command {
    Command::CreateKey(CreateKey {
        key_id: key_id.into(),
        digest: "d1".into(),
        start: "oi_1a".into(),
        name: "first".into(),
        permissions: vec![Permission::Inference, Permission::AccountRead],
        limits: limits(5),
        by: None,
    })
}

pub fn rotate_key(key_id: &str, new_key_id: &str, grace_ms: u64) -> Command {
    Command::RotateKey(RotateKey {
        key_id: key_id.into(),
        new_key_id: new_key_id.into(),
        digest: format!("digest of {new_key_id}"),
        start: "oi_1b".into(),
        grace_ms,
        by: None,
    })
}

/// Of every kind, and seldom in the way.
pub fn limits(budget_usd: i64) -> KeyLimits {
    let amount = NanoUsd::new(budget_usd * 1_000_000_000).unwrap();
    KeyLimits {
        requests_per_minute: Some(20),
        max_running: Some(10),
        budget: Some(Budget { amount, period: Period::Daily }),
        expires_at_ms: Some(1_900_000_000_000),
        ..KeyLimits::default()
    }
}

pub fn enter(id: &str, nano: i64) -> Command {
    Command::Enter(Enter { id: id.into(), kind: EntryKind::Credit, amount: NanoUsd::new(nano).unwrap() })
}

/// One output token costs a thousandth of a dollar, input is free.
pub fn admit(id: &str, wanted: u64, now_ms: i64) -> Command {
    let rates = Rates { output: Some(PicoUsd::new(1_000_000_000).unwrap()), ..Rates::default() };
    let price = Price { effective_at_ms: 7, rates, long_input: None };
    let output = Some(OutputBound { wanted, least: wanted.min(256), choices: 1 });
    Command::Admit(Box::new(Admit {
        request_id: id.into(),
        created_at_ms: now_ms,
        digest: Some("d1".into()),
        hold: HoldRequest::new(&price, 0, false, output).unwrap(),
        terms: Terms { endpoint: "/v1/chat/completions".into(), model: "m".into(), price, unpriced: false },
        address: None,
    }))
}

/// The same by the account's owner.
pub fn admit_owner(id: &str, wanted: u64, now_ms: i64) -> Command {
    match admit(id, wanted, now_ms) {
        Command::Admit(admit) => Command::Admit(Box::new(Admit { digest: None, ..*admit })),
        other => other,
    }
}

pub fn usage(output: u64) -> Usage {
    Usage { output, ..Usage::default() }
}

pub fn settle(id: &str, output: u64) -> Command {
    Command::Settle(Settle {
        request_id: id.into(),
        usage: usage(output),
        settled_by: SettledBy::Upstream,
        outcome: Outcome::Completed,
        upstream: "u".into(),
        dropped: String::new(),
    })
}

pub fn release(id: &str) -> Command {
    Command::Release { request_id: id.into(), outcome: Outcome::UpstreamFailed, upstream: None }
}

pub fn checkpoint(id: &str, output: u64) -> Command {
    let grow_to = Some(output.saturating_mul(2));
    Command::Checkpoint { request_id: id.into(), usage: usage(output), upstream: "u".into(), grow_to }
}
