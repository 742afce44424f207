//! A table of commands with expected results, on a clock that the test moves.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::hold::{HoldRequest, OutputBound};
use crate::money::{NanoUsd, PicoUsd};
use crate::price::{Price, Rates};
use crate::usage::{MAX_COUNT, Usage};

mod asked;
mod auto;
mod auto_histories;
mod bills;
mod debts;
mod keys;
mod limits;
mod owner;
mod rotated;

use bills::taken_and_short;

/// A whole account in memory, with the look-ups that the store makes.
#[derive(Default)]
struct Bench {
    state: State,
    resolved: BTreeMap<String, Hold>,
    journal: Vec<Entry>,
    now_ms: i64,
}

impl Bench {
    fn funded(usd: &str) -> Self {
        let mut bench = Self { now_ms: 1_800_000_000_000, ..Self::default() };
        bench.ok(Command::Provision { account_id: "acct_1".into() });
        bench.ok(Command::CreateKey(CreateKey {
            key_id: "key_1".into(),
            digest: "d1".into(),
            start: String::new(),
            name: "first".into(),
            permissions: vec![Permission::Inference],
            limits: KeyLimits::default(),
            by: None,
        }));
        if usd != "0" {
            bench.ok(enter("start", EntryKind::Credit, NanoUsd::from_usd(usd).unwrap().nano()));
        }
        bench
    }

    fn run(&mut self, command: Command) -> Result<Answer, Refusal> {
        let id = command.id().unwrap_or_default();
        let entry = self.journal.iter().rfind(|entry| entry.id == id).cloned();
        let prior = Prior { hold: self.resolved.get(id).cloned(), entry };
        let (events, answer) = decide(&self.state, &command, &prior, self.now_ms)?;
        for event in events {
            if let Event::HoldResolved { request_id, state } = &event {
                let hold = self.state.holds.get(request_id).or(self.resolved.get(request_id)).unwrap().clone();
                self.resolved.insert(request_id.clone(), Hold { state: *state, ..hold });
            }
            if let Event::EntryAppended(entry) = &event {
                assert_eq!(entry.seq, self.state.seq + 1, "contiguous");
                assert_eq!(entry.balance_after, self.state.balance.plus(entry.amount).unwrap());
                self.journal.push(entry.clone());
            }
            self.state.apply(&event);
        }
        Ok(answer)
    }

    fn ok(&mut self, command: Command) -> Answer {
        self.run(command).unwrap()
    }

    fn balance(&self) -> String {
        self.state.balance.to_string()
    }
}

fn enter(id: &str, kind: EntryKind, nano: i64) -> Command {
    Command::Enter(Enter { id: id.into(), kind, amount: NanoUsd::new(nano).unwrap() })
}

/// One output token costs a thousandth of a dollar, input is free.
fn price() -> Price {
    let rates = Rates { input: PicoUsd::ZERO, output: Some(PicoUsd::new(1_000_000_000).unwrap()), ..Rates::default() };
    Price { effective_at_ms: 0, rates, long_input: None }
}

fn admit_request(id: &str, wanted: u64, now_ms: i64) -> Admit {
    let output = Some(OutputBound { wanted, least: wanted.min(256), choices: 1 });
    Admit {
        request_id: id.into(),
        created_at_ms: now_ms,
        digest: Some("d1".into()),
        hold: HoldRequest::new(&price(), 0, false, output).unwrap(),
        terms: Terms { endpoint: "/v1/chat/completions".into(), model: "m".into(), price: price(), unpriced: false },
        address: None,
    }
}

fn admit(id: &str, wanted: u64, now_ms: i64) -> Command {
    Command::Admit(Box::new(admit_request(id, wanted, now_ms)))
}

fn usage(output: u64) -> Usage {
    Usage { output, ..Usage::default() }
}

fn settle(id: &str, output: u64) -> Command {
    Command::Settle(Settle {
        request_id: id.into(),
        usage: usage(output),
        settled_by: SettledBy::Upstream,
        outcome: Outcome::Completed,
        upstream: "u".into(),
        dropped: String::new(),
    })
}

fn release(id: &str) -> Command {
    Command::Release { request_id: id.into(), outcome: Outcome::UpstreamFailed, upstream: None }
}

#[test]
fn reserve_then_settle() {
    let mut bench = Bench::funded("1");
    let now = bench.now_ms;
    assert_eq!(
        bench.ok(admit("r1", 500, now)),
        Answer::Admitted { key_id: Some("key_1".into()), granted_output: Some(500), available: None }
    );
    assert_eq!(bench.state.available().to_string(), "0.5");
    bench.ok(settle("r1", 20));
    assert_eq!((bench.balance().as_str(), bench.state.held()), ("0.98", NanoUsd::ZERO));
    let row = bench.journal.last().unwrap().usage.clone().unwrap();
    assert_eq!((row.billing_status, row.settled_by), (BillingStatus::Settled, Some(SettledBy::Upstream)));
}

#[test]
fn trap_15_trap_19_a_repeat_is_the_first_result_and_a_different_repeat_a_conflict() {
    let mut bench = Bench::funded("1");
    let now = bench.now_ms;
    let first = bench.ok(admit("r1", 500, now));
    assert_eq!(bench.ok(admit("r1", 500, now)), first);
    assert_eq!(bench.run(admit("r1", 501, now)), Err(Refusal::Conflict));
    let first = bench.ok(settle("r1", 20));
    let rows = bench.journal.len();
    assert_eq!(bench.ok(settle("r1", 20)), first);
    assert_eq!(bench.run(settle("r1", 21)), Err(Refusal::Conflict));
    assert_eq!(bench.run(release("r1")), Err(Refusal::Conflict));
    assert_eq!(bench.run(admit("r1", 500, now)), Err(Refusal::Conflict), "an id is used once");
    assert_eq!(bench.journal.len(), rows);
    let first = bench.ok(enter("top-up", EntryKind::Credit, 5));
    assert_eq!(bench.ok(enter("top-up", EntryKind::Credit, 5)), first);
    assert_eq!(bench.run(enter("top-up", EntryKind::Credit, 6)), Err(Refusal::Conflict));
}

#[test]
fn trap_25_balance_for_one_serves_one() {
    let mut bench = Bench::funded("0.3");
    let now = bench.now_ms;
    let served = (0..200).filter(|n| bench.run(admit(&format!("r{n}"), 256, now)).is_ok()).count();
    assert_eq!(served, 1);
    let refusal = bench.run(admit("late", 256, now)).unwrap_err();
    let amount = |usd| NanoUsd::from_usd(usd).unwrap();
    assert_eq!(
        refusal,
        Refusal::InsufficientCredit {
            reason: Shortage::Held,
            available: amount("0.044"),
            held: amount("0.256"),
            needed: amount("0.256"),
            period: None,
        }
    );
}

#[test]
fn usage_never_takes_the_balance_below_zero() {
    let mut bench = Bench::funded("0.3");
    let now = bench.now_ms;
    bench.ok(admit("r1", 256, now));
    let answer = bench.ok(settle("r1", 400));
    let amount = |usd| NanoUsd::from_usd(usd).unwrap();
    assert_eq!(
        answer,
        Answer::Settled {
            cost: amount("0.3"),
            uncollected: amount("0.1"),
            balance: NanoUsd::ZERO,
            top_up: None,
            top_up_waits: false
        }
    );
    assert_eq!(bench.journal.last().unwrap().usage.clone().unwrap().billing_status, BillingStatus::Uncollected);
    bench.ok(enter("gift", EntryKind::Grant, -1));
    assert!(matches!(bench.run(admit("r2", 1, now)), Err(Refusal::InsufficientCredit { .. })), "owes");
    bench.ok(enter("top-up", EntryKind::Credit, 1_000_000_000));
    bench.ok(admit("r2", 1, now));
}

#[test]
fn trap_26_a_credit_counts_once_and_a_refund_after_the_money_was_spent_is_an_entry() {
    const DOLLAR: i64 = 1_000_000_000;
    let credit = enter("cs_1", EntryKind::Credit, DOLLAR);
    let refund = enter("re_1", EntryKind::Refund, -DOLLAR);
    let mut bench = Bench::funded("0");
    let now = bench.now_ms;
    let first = bench.ok(credit.clone());
    bench.ok(admit("spent", 800, now));
    bench.ok(settle("spent", 800));
    bench.ok(admit("running", 200, now));
    bench.ok(refund.clone());
    assert_eq!(bench.balance(), "-0.8");
    // Each event comes again, in any order: nothing moves, and the answer is the first one.
    let rows = bench.journal.len();
    assert_eq!(bench.ok(credit), first);
    bench.ok(refund);
    assert_eq!(bench.run(enter("re_1", EntryKind::Refund, -1)), Err(Refusal::Conflict));
    assert_eq!(bench.run(enter("re_1", EntryKind::Dispute, -DOLLAR)), Err(Refusal::Conflict));
    assert_eq!((bench.journal.len(), bench.balance().as_str()), (rows, "-0.8"));
    // What is owed refuses new requests, and what runs settles without making it more.
    assert!(matches!(bench.run(admit("more", 1, now)), Err(Refusal::InsufficientCredit { .. })));
    let answer = bench.ok(settle("running", 50));
    let amount = |usd| NanoUsd::from_usd(usd).unwrap();
    assert_eq!(
        answer,
        Answer::Settled {
            cost: NanoUsd::ZERO,
            uncollected: amount("0.05"),
            balance: amount("0.8").negated(),
            top_up: None,
            top_up_waits: false,
        }
    );
    // A dispute that is won brings its money back; then the customer is served again.
    bench.ok(enter("dp_1", EntryKind::Dispute, -DOLLAR));
    bench.ok(enter("dp_1:won", EntryKind::Dispute, DOLLAR));
    bench.ok(enter("cs_2", EntryKind::Credit, DOLLAR));
    assert_eq!(bench.balance(), "0.15", "the 0.05 were paid first");
    bench.ok(admit("again", 150, now));
}

#[test]
fn trap_26_a_refund_that_comes_before_its_credit_leaves_the_same_balance() {
    let mut bench = Bench::funded("1");
    bench.ok(enter("re_1", EntryKind::Refund, -3_000_000_000));
    assert_eq!(bench.balance(), "-2");
    bench.ok(enter("cs_1", EntryKind::Credit, 3_000_000_000));
    assert_eq!(bench.balance(), "1");
}

#[test]
fn trap_18_trap_21_an_expired_hold_charges_its_last_checkpoint_or_nothing() {
    let mut bench = Bench::funded("1");
    let now = bench.now_ms;
    bench.ok(admit("heard", 300, now));
    bench.ok(admit("silent", 300, now));
    bench.now_ms += 10_000;
    bench.ok(Command::Checkpoint { request_id: "heard".into(), usage: usage(50), upstream: "u".into(), grow_to: None });
    bench.now_ms += HOLD_TTL_MS - 10_000;
    assert_eq!(bench.ok(Command::Sweep), Answer::Swept { expired: 1 });
    let lost = bench.journal.last().unwrap().usage.clone().unwrap();
    assert_eq!((lost.lost.unwrap().to_string().as_str(), lost.outcome), ("0.3", Outcome::Lost));
    bench.now_ms += 10_000;
    assert_eq!(bench.ok(Command::Sweep), Answer::Swept { expired: 1 });
    assert_eq!(bench.balance(), "0.95");
    assert_eq!(bench.ok(Command::Sweep), Answer::Swept { expired: 0 });
}

/// Larger counts lose digits in JavaScript, and D1 refuses their rows.
#[test]
fn no_count_is_beyond_what_sql_can_hold() {
    let mut bench = Bench::funded("1");
    let now = bench.now_ms;
    let output = Some(OutputBound { wanted: u64::MAX, least: u64::MAX, choices: 1 });
    let free = Price { rates: Rates { output: Some(PicoUsd::ZERO), ..Rates::default() }, ..price() };
    let hold = HoldRequest::new(&free, 0, false, output).unwrap();
    let request = admit_request("r1", 1, now);
    let terms = Terms { price: free, ..request.terms.clone() };
    let answer = bench.ok(Command::Admit(Box::new(Admit { hold, terms, ..request })));
    assert!(matches!(answer, Answer::Admitted { granted_output: Some(MAX_COUNT), .. }), "{answer:?}");
    let report =
        Command::Checkpoint { request_id: "r1".into(), usage: usage(u64::MAX), upstream: "u".into(), grow_to: None };
    bench.ok(report);
    assert_eq!(bench.state.holds["r1"].checkpoint.clone().unwrap().usage.output, MAX_COUNT);
    let first = bench.ok(settle("r1", u64::MAX));
    assert_eq!(bench.journal.last().unwrap().usage.clone().unwrap().usage.output, MAX_COUNT);
    assert_eq!(bench.ok(settle("r1", u64::MAX)), first, "a repeat is bounded as well");
}

#[test]
fn trap_19_a_late_settle_is_one_adjustment() {
    let mut bench = Bench::funded("1");
    let now = bench.now_ms;
    bench.ok(admit("r1", 300, now));
    bench.ok(Command::Checkpoint { request_id: "r1".into(), usage: usage(50), upstream: "u".into(), grow_to: None });
    bench.now_ms += HOLD_TTL_MS;
    bench.ok(Command::Sweep);
    assert_eq!(bench.balance(), "0.95");
    let first = bench.ok(settle("r1", 70));
    assert_eq!((bench.balance().as_str(), bench.journal.last().unwrap().kind), ("0.93", EntryKind::Adjustment));
    assert_eq!(bench.ok(settle("r1", 70)), first);
    assert_eq!(bench.run(settle("r1", 71)), Err(Refusal::Conflict));
    assert_eq!(bench.balance(), "0.93");
}

#[test]
fn trap_22_the_price_is_pinned_at_admission() {
    let mut bench = Bench::funded("1");
    let now = bench.now_ms;
    bench.ok(admit("r1", 300, now));
    // Whatever the catalogue says by now, the hold carries its own price.
    bench.ok(settle("r1", 100));
    assert_eq!(bench.balance(), "0.9");
    assert_eq!(bench.journal.last().unwrap().usage.clone().unwrap().price_version, 0);
}

#[test]
fn trap_27_a_revoked_key_admits_nothing_and_the_running_request_settles() {
    let mut bench = Bench::funded("1");
    let now = bench.now_ms;
    bench.ok(admit("r1", 300, now));
    bench.ok(Command::RevokeKey { key_id: "key_1".into(), by: None });
    assert_eq!(bench.run(admit("r2", 300, now)), Err(Refusal::RevokedKey));
    bench.ok(settle("r1", 10));
    assert_eq!(bench.balance(), "0.99");
}

#[test]
fn refusals_come_in_their_order() {
    let mut bench = Bench::default();
    assert_eq!(bench.run(admit("r", 1, 0)), Err(Refusal::NoAccount));
    let mut bench = Bench::funded("0");
    let now = bench.now_ms;
    assert_eq!(bench.run(admit("r", 1, now - ADMIT_MAX_AGE_MS - 1)), Err(Refusal::Stale));
    let with_digest =
        |digest: &str| Command::Admit(Box::new(Admit { digest: Some(digest.into()), ..admit_request("r", 1, now) }));
    assert_eq!(bench.run(with_digest("other")), Err(Refusal::UnknownKey));
    bench.ok(Command::CreateKey(CreateKey {
        key_id: "reader".into(),
        digest: "d2".into(),
        start: String::new(),
        name: String::new(),
        permissions: vec![Permission::AccountRead],
        limits: KeyLimits::default(),
        by: None,
    }));
    assert_eq!(bench.run(with_digest("d2")), Err(Refusal::NotPermitted));
    assert!(matches!(bench.run(with_digest("d1")), Err(Refusal::InsufficientCredit { .. })));
    assert_eq!(bench.run(settle("never", 1)), Err(Refusal::UnknownHold));
    assert_eq!(bench.state.seq, 0, "a refusal leaves no trace");
}

fn key(id: &str, digest: &str, limits: KeyLimits, by: Option<&str>) -> Command {
    Command::CreateKey(CreateKey {
        key_id: id.into(),
        digest: digest.into(),
        start: String::new(),
        name: id.into(),
        permissions: vec![Permission::Inference, Permission::KeysWrite],
        limits,
        by: by.map(String::from),
    })
}

#[test]
fn a_key_that_lives_is_known_whatever_it_may_do() {
    let mut bench = Bench::funded("1");
    let authorize = |permission| Command::Authorize { digest: "d2".into(), permission, address: None };
    assert_eq!(bench.run(authorize(None)), Err(Refusal::UnknownKey));
    bench.ok(key("key_2", "d2", KeyLimits::default(), None));
    for permission in [None, Some(Permission::Inference)] {
        assert!(matches!(bench.ok(authorize(permission)), Answer::Authorized { key } if key.key_id == "key_2"));
    }
    assert_eq!(bench.run(authorize(Some(Permission::AccountRead))), Err(Refusal::NotPermitted));
    bench.ok(Command::RevokeKey { key_id: "key_2".into(), by: None });
    assert_eq!(bench.run(authorize(None)), Err(Refusal::RevokedKey));
}

fn admit_with(digest: &str, id: &str, wanted: u64, now_ms: i64) -> Command {
    Command::Admit(Box::new(Admit { digest: Some(digest.into()), ..admit_request(id, wanted, now_ms) }))
}

fn budget(usd: &str, period: Period) -> KeyLimits {
    let amount = NanoUsd::from_usd(usd).unwrap();
    KeyLimits { budget: Some(Budget { amount, period }), ..KeyLimits::default() }
}

fn per_minute(requests: u32) -> KeyLimits {
    KeyLimits { requests_per_minute: Some(requests), ..KeyLimits::default() }
}

fn shortage(result: Result<Answer, Refusal>) -> Option<Shortage> {
    match result {
        Err(Refusal::InsufficientCredit { reason, .. }) => Some(reason),
        _ => None,
    }
}

/// What a random client may do to an account.
#[derive(Debug, Clone)]
enum Move {
    Admit(u8, u64),
    AdmitOwner(u8, u64),
    Settle(u8, u64),
    Release(u8),
    Checkpoint(u8, u64),
    Wait(i64),
    Sweep,
    Credit(i64),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        (any::<u8>(), 1u64..400).prop_map(|(id, n)| Move::Admit(id % 16, n)),
        (any::<u8>(), 1u64..400).prop_map(|(id, n)| Move::AdmitOwner(id % 16, n)),
        (any::<u8>(), 0u64..600).prop_map(|(id, n)| Move::Settle(id % 16, n)),
        any::<u8>().prop_map(|id| Move::Release(id % 16)),
        (any::<u8>(), 0u64..400).prop_map(|(id, n)| Move::Checkpoint(id % 16, n)),
        (0i64..100_000).prop_map(Move::Wait),
        Just(Move::Sweep),
        (0i64..2_000_000_000).prop_map(Move::Credit),
    ];
    proptest::collection::vec(one, 1..200)
}

proptest! {
    #[test]
    fn money_is_conserved_and_each_hold_resolves_once(moves in moves()) {
        let mut bench = Bench::funded("1");
        for (turn, step) in moves.into_iter().enumerate() {
            let now = bench.now_ms;
            // Refusals are answers too; what matters is what they leave behind.
            let _ = match step {
                Move::Admit(id, n) => bench.run(admit(&format!("r{id}"), n, now)),
                Move::AdmitOwner(id, n) => bench.run(owner::admit(&format!("r{id}"), n, now)),
                Move::Settle(id, n) => bench.run(settle(&format!("r{id}"), n)),
                Move::Release(id) => bench.run(release(&format!("r{id}"))),
                Move::Checkpoint(id, n) => bench.run(Command::Checkpoint { request_id: format!("r{id}"), usage: usage(n), upstream: "u".into(), grow_to: None }),
                Move::Wait(ms) => { bench.now_ms += ms; Ok(Answer::Checkpointed { granted_output: None }) }
                Move::Sweep => bench.run(Command::Sweep),
                Move::Credit(nano) => bench.run(enter(&format!("c{turn}"), EntryKind::Credit, nano)),
            };
            let sum: i64 = bench.journal.iter().map(|entry| entry.amount.nano()).sum();
            for id in bench.resolved.keys() {
                let last = bench.journal.iter().rfind(|entry| entry.id == *id).unwrap().usage.clone().unwrap();
                let (taken, short) = taken_and_short(&bench, id);
                let cost = i64::try_from(last.usage.output).unwrap() * 1_000_000;
                prop_assert_eq!(taken + short, cost, "{} took {}, lacks {}", id, taken, short);
                prop_assert!(taken >= 0 && short >= 0);
                prop_assert_eq!(last.key_id.is_none(), bench.resolved[id].admit.digest.is_none());
            }
            prop_assert_eq!(sum, bench.state.balance.nano());
            prop_assert!(bench.state.balance >= NanoUsd::ZERO);
            let mut usage_rows = BTreeMap::new();
            for entry in bench.journal.iter().filter(|entry| entry.kind == EntryKind::Usage) {
                *usage_rows.entry(&entry.id).or_insert(0) += 1;
            }
            prop_assert!(usage_rows.values().all(|rows| *rows == 1));
            prop_assert_eq!(usage_rows.len(), bench.resolved.len());
        }
        bench.now_ms += HOLD_TTL_MS;
        bench.ok(Command::Sweep);
        prop_assert!(bench.state.holds.is_empty());
    }
}
