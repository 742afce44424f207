//! What an account could not pay is paid first from new money.

use super::*;

const USD: i64 = 1_000_000_000;

impl Bench {
    /// Uses more than there is: a request that costs `thousandths` of a dollar, with a hold of `held`.
    fn overrun(&mut self, id: &str, held: u64, thousandths: u64) {
        let now = self.now_ms;
        self.ok(admit(id, held, now));
        self.ok(settle(id, thousandths));
    }

    /// The newest entries that are no usage, the newest last: id, kind, amount and balance in nano-USD.
    fn money(&self) -> Vec<(&str, EntryKind, i64, i64)> {
        let money = self.journal.iter().filter(|entry| entry.usage.is_none()).skip(1);
        money.map(|e| (e.id.as_str(), e.kind, e.amount.nano(), e.balance_after.nano())).collect()
    }

    fn owed(&self) -> i64 {
        self.state.uncollected.nano()
    }

    fn is_admitted(&mut self, id: &str) -> bool {
        let now = self.now_ms;
        let admitted = self.run(admit(id, 1, now)).is_ok();
        if admitted {
            self.ok(release(id));
        }
        admitted
    }
}

/// 1 USD was there, 4 are used: 3 are owed.
fn debtor() -> Bench {
    let mut bench = Bench::funded("1");
    bench.overrun("r1", 1_000, 4_000);
    assert_eq!((bench.balance().as_str(), bench.owed()), ("0", 3 * USD));
    bench
}

#[test]
fn new_money_pays_what_is_owed_first() {
    let mut bench = debtor();
    bench.ok(enter("checkout:cs_1", EntryKind::Credit, 2 * USD));
    assert_eq!((bench.balance().as_str(), bench.owed()), ("0", USD));
    assert!(!bench.is_admitted("r2"), "something is still owed");
    let repeat = bench.ok(enter("checkout:cs_1", EntryKind::Credit, 2 * USD));
    assert_eq!((repeat, bench.owed()), (Answer::Entered { seq: 3, balance: NanoUsd::from_usd("2").unwrap() }, USD));
    bench.ok(enter("auto:auto_1_1", EntryKind::Credit, 20 * USD));
    assert_eq!((bench.balance().as_str(), bench.owed()), ("19", 0));
    assert!(bench.is_admitted("r3"));
    let credit = |id, usd: i64, after: i64| (id, EntryKind::Credit, usd * USD, after * USD);
    let debt = |id, usd: i64, after: i64| (id, EntryKind::Debt, -usd * USD, after * USD);
    let expected = [
        credit("checkout:cs_1", 2, 2),
        debt("debt:checkout:cs_1", 2, 0),
        credit("auto:auto_1_1", 20, 20),
        debt("debt:auto:auto_1_1", 1, 19),
    ];
    assert_eq!(bench.money(), expected);
}

#[test]
fn each_kind_of_entry_pays_or_does_not_by_the_rule() {
    for (kind, pays) in [
        (EntryKind::Credit, true),
        (EntryKind::Adjustment, true),
        (EntryKind::Refund, true),
        (EntryKind::Dispute, true),
        (EntryKind::Grant, false),
    ] {
        let mut bench = debtor();
        bench.ok(enter("e", kind, 5 * USD));
        let expected = if pays { ("2", 0) } else { ("5", 3 * USD) };
        assert_eq!((bench.balance().as_str(), bench.owed()), expected, "{kind:?}");
        assert_eq!(bench.is_admitted("r2"), pays, "{kind:?}: a gift does not lift what is owed");
        bench.ok(enter("out", kind, -USD));
        assert_eq!(bench.owed(), expected.1, "{kind:?}: what goes out owes nothing new");
    }
    let mut bench = debtor();
    for (id, kind) in [("e", EntryKind::Debt), ("e", EntryKind::Usage), ("debt:e", EntryKind::Credit)] {
        assert_eq!(bench.run(enter(id, kind, USD)), Err(Refusal::Conflict), "{id} {kind:?}");
    }
}

/// The two cycles of issue 13: drain, pay a little, drain again. Whatever is used is paid for before more is.
#[test]
fn issue_13_a_small_payment_does_not_wipe_what_is_owed() {
    let mut bench = Bench::funded("5.2");
    bench.overrun("r1", 5_200, 14_610);
    for cycle in 0..50 {
        bench.ok(enter(&format!("checkout:{cycle}"), EntryKind::Credit, USD / 10));
        let (now, id) = (bench.now_ms, format!("s{cycle}"));
        if bench.run(admit(&id, 100, now)).is_ok() {
            bench.ok(settle(&id, 9_500));
        }
    }
    let requests = bench.journal.iter().filter(|entry| entry.usage.is_some()).count();
    assert_eq!(requests, 1, "nothing more was served on credit");
    assert_eq!(bench.state.used.nano(), 5_200_000_000 + 50 * USD / 10, "what was paid since pays for the first");
    assert_eq!(bench.owed(), 9_410_000_000 - 50 * USD / 10);
}

#[test]
fn a_refund_of_what_paid_a_debt_creates_no_money() {
    let mut bench = debtor();
    bench.ok(enter("checkout:cs_1", EntryKind::Credit, 5 * USD));
    bench.ok(enter("refund:re_1", EntryKind::Refund, -5 * USD));
    assert_eq!((bench.balance().as_str(), bench.owed()), ("-3", 0), "the 3 that were owed are missing again");
    assert!(!bench.is_admitted("r2"));
    // What comes in lifts the balance out of there, and nothing is taken twice.
    bench.ok(enter("checkout:cs_2", EntryKind::Credit, 4 * USD));
    assert_eq!((bench.balance().as_str(), bench.owed()), ("1", 0));
}

#[test]
fn an_account_below_zero_that_owes_pays_from_what_is_above_zero() {
    let mut bench = debtor();
    bench.ok(enter("refund:re_1", EntryKind::Refund, -2 * USD));
    bench.ok(enter("checkout:cs_1", EntryKind::Credit, 4 * USD));
    assert_eq!((bench.balance().as_str(), bench.owed()), ("0", USD));
}

#[test]
fn a_late_settle_gives_back_what_a_payment_has_covered_since() {
    for (paid, usd_after, owed_after) in [(0, "0", 0), (2, "2", 0), (9, "9", 0)] {
        let mut bench = Bench::funded("4");
        let now = bench.now_ms;
        bench.ok(admit("r1", 4_000, now));
        let last =
            Command::Checkpoint { request_id: "r1".into(), usage: usage(10_000), upstream: "u".into(), grow_to: None };
        bench.ok(last);
        bench.now_ms += HOLD_TTL_MS;
        bench.ok(Command::Sweep);
        assert_eq!((bench.balance().as_str(), bench.owed()), ("0", 6 * USD));
        if paid > 0 {
            bench.ok(enter("checkout:cs_1", EntryKind::Credit, paid * USD));
        }
        // It cost 4 after all.
        bench.ok(settle("r1", 4_000));
        assert_eq!((bench.balance().as_str(), bench.owed()), (usd_after, owed_after), "{paid} paid");
    }
}

proptest! {
    /// The balance less what is owed is all money less all costs, whatever comes in which order: nothing is wiped.
    #[test]
    fn nothing_that_was_used_is_forgotten(moves in proptest::collection::vec((0_u8..7, 1_u64..6_000), 1..60)) {
        let mut bench = Bench::funded("3");
        let (mut money, mut cost) = (3 * USD, 0_i64);
        let thousandths = |n: u64| i64::try_from(n).unwrap() * USD / 1_000;
        for (turn, (what, n)) in moves.into_iter().enumerate() {
            let (now, id) = (bench.now_ms, format!("t{turn}"));
            let mut entered = |bench: &mut Bench, kind, amount| { bench.ok(enter(&id, kind, amount)); money += amount; };
            match what {
                0 => entered(&mut bench, EntryKind::Credit, thousandths(n)),
                1 => entered(&mut bench, EntryKind::Grant, thousandths(n / 10)),
                2 => entered(&mut bench, EntryKind::Refund, -thousandths(n / 10)),
                _ => if bench.run(admit(&id, n, now)).is_ok() {
                    prop_assert_eq!(bench.owed(), 0, "nothing is admitted on credit");
                    bench.ok(settle(&id, n * 2));
                    cost += thousandths(n * 2);
                }
            }
            prop_assert_eq!(bench.state.balance.nano() - bench.owed(), money - cost);
            prop_assert!(bench.owed() >= 0);
        }
    }
}
