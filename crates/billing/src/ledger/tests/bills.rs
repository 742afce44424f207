//! Settles that come late, and usage that cannot be.

use super::*;

/// What the rows of a request took, and what they could not collect, in nano-USD.
pub fn taken_and_short(bench: &Bench, id: &str) -> (i64, i64) {
    let rows = bench.journal.iter().filter(|entry| entry.id == id);
    rows.map(|entry| (-entry.amount.nano(), entry.usage.as_ref().unwrap().uncollected.nano()))
        .fold((0, 0), |(taken, short), (more, still)| (taken + more, short + still))
}

#[test]
fn trap_19_a_late_settle_counts_what_the_expiry_could_not_collect_once() {
    // A balance of 0.3, an expiry of 0.4: 0.3 are taken, 0.1 are not to be had. Then, perhaps, money comes in.
    for (top_up, late, taken, short, owed) in [
        ("0", 400, "0.3", "0.1", "0.1"),
        ("0", 450, "0.3", "0.15", "0.15"),
        ("0", 350, "0.3", "0.05", "0.05"),
        ("0", 300, "0.3", "0", "0"),
        ("0", 200, "0.2", "0", "0"),
        // What came in has paid the 0.1: what of it turns out not to be due is given back.
        ("1", 400, "0.3", "0.1", "0"),
        ("1", 450, "0.35", "0.1", "0"),
        ("1", 350, "0.25", "0.1", "0"),
        ("1", 200, "0.1", "0.1", "0"),
        ("0.02", 450, "0.3", "0.15", "0.13"),
        ("0.02", 350, "0.3", "0.05", "0.03"),
        ("0.02", 310, "0.29", "0.02", "0"),
    ] {
        let mut bench = Bench::funded("0.3");
        let now = bench.now_ms;
        bench.ok(admit("r1", 300, now));
        bench.ok(Command::Checkpoint {
            request_id: "r1".into(),
            usage: usage(400),
            upstream: "u".into(),
            grow_to: None,
        });
        bench.now_ms += HOLD_TTL_MS;
        bench.ok(Command::Sweep);
        assert_eq!(bench.state.uncollected.to_string(), "0.1");
        if top_up != "0" {
            bench.ok(enter("top-up", EntryKind::Credit, NanoUsd::from_usd(top_up).unwrap().nano()));
        }
        let first = bench.ok(settle("r1", late));
        let case = format!("{top_up}, {late}");
        let nano = |usd| NanoUsd::from_usd(usd).unwrap().nano();
        assert_eq!(taken_and_short(&bench, "r1"), (nano(taken), nano(short)), "{case}");
        assert_eq!(nano(taken) + nano(short), i64::try_from(late).unwrap() * 1_000_000, "{case}: the whole cost");
        assert_eq!(bench.state.uncollected.nano(), nano(owed), "{case}");
        let status = bench.journal.last().unwrap().usage.clone().unwrap().billing_status;
        let expected = if late <= 300 { BillingStatus::Settled } else { BillingStatus::Uncollected };
        assert_eq!(status, expected, "{case}");
        assert_eq!(bench.ok(settle("r1", late)), first, "{case}");
        assert_eq!(bench.run(settle("r1", late + 1)), Err(Refusal::Conflict), "{case}");
    }
}

/// Counts as large as this are no counts: neither free, nor a reason to empty an account.
#[test]
fn a_usage_that_money_cannot_express_costs_the_hold_as_an_estimate() {
    let absurd = usage(u64::MAX);
    let mut bench = Bench::funded("1");
    let now = bench.now_ms;
    bench.ok(admit("r1", 300, now));
    let first = bench.ok(settle("r1", u64::MAX));
    let held = NanoUsd::from_usd("0.3").unwrap();
    let bill = Bill::new(&price(), &absurd, SettledBy::Upstream, held);
    assert_eq!((bill.cost, bill.settled_by), (held, SettledBy::Estimate), "what the client is told");
    assert!(matches!(first, Answer::Settled { cost, .. } if cost == bill.cost), "is what is charged: {first:?}");
    let row = bench.journal.last().unwrap().usage.clone().unwrap();
    assert_eq!((row.usage, row.settled_by), (bill.usage, Some(bill.settled_by)));
    assert_eq!((bench.balance().as_str(), row.uncollected), ("0.7", NanoUsd::ZERO));
    assert_eq!(bench.ok(settle("r1", u64::MAX)), first);

    bench.ok(admit("r2", 300, now));
    let report = Command::Checkpoint { request_id: "r2".into(), usage: absurd, upstream: "u".into(), grow_to: None };
    bench.ok(report);
    bench.now_ms += HOLD_TTL_MS;
    bench.ok(Command::Sweep);
    assert_eq!(bench.balance(), "0.4", "an expiry too");
    let late = bench.ok(settle("r2", u64::MAX));
    assert_eq!((bench.balance().as_str(), bench.ok(settle("r2", u64::MAX))), ("0.4", late));
}

/// The Worker prices what the upstream reported, the account what SQL can hold of it.
#[test]
fn a_bill_is_of_counts_that_can_be_stored() {
    let rates = Rates { output: Some(PicoUsd::new(1).unwrap()), ..Rates::default() };
    let bill = Bill::new(
        &Price { rates, ..price() },
        &usage(u64::MAX),
        SettledBy::Upstream,
        NanoUsd::from_usd("0.3").unwrap(),
    );
    assert_eq!((bill.usage.output, bill.settled_by), (MAX_COUNT, SettledBy::Upstream));
    assert_eq!(bill.cost.nano(), 9_007_199_254_741, "2^53 - 1 pico-USD, rounded up");
}
