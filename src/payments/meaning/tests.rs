use serde_json::{Value, json};

use super::*;

const ACCOUNT: &str = "acct_0000000000000000";

fn session(change: Value) -> Session {
    let mut session = json!({
        "id": "cs_1", "status": "complete", "payment_status": "paid", "amount_total": 2_000, "currency": "usd",
        "payment_intent": "pi_1", "created": 1_700_000_000,
        "metadata": { "account_id": ACCOUNT, "topup_id": "topup_1", "kind": "checkout" },
    });
    merge(&mut session, change);
    serde_json::from_value(session).unwrap()
}

fn merge(into: &mut Value, change: Value) {
    for (name, value) in change.as_object().unwrap() {
        into[name] = value.clone();
    }
}

/// (id, kind, amount) of what must be in the journal.
fn rows(entries: &[Enter]) -> Vec<(String, EntryKind, String)> {
    entries.iter().map(|enter| (enter.id.clone(), enter.kind, enter.amount.to_string())).collect()
}

#[test]
fn a_session_is_credited_when_it_is_paid_and_not_before() {
    for (change, event, status) in [
        (json!({}), Some("checkout.session.completed"), Status::Paid),
        (json!({}), Some("checkout.session.async_payment_succeeded"), Status::Paid),
        (json!({}), None, Status::Paid),
        (json!({ "payment_status": "unpaid" }), Some("checkout.session.completed"), Status::Pending),
        (json!({ "payment_status": "unpaid", "status": "open" }), None, Status::Pending),
        (json!({ "payment_status": "no_payment_required" }), Some("checkout.session.completed"), Status::Pending),
        (json!({ "payment_status": "unpaid" }), Some("checkout.session.async_payment_failed"), Status::Failed),
        (json!({ "payment_status": "unpaid", "status": "expired" }), Some("checkout.session.expired"), Status::Expired),
        (json!({ "payment_status": "unpaid", "status": "expired" }), None, Status::Expired),
        (
            json!({ "payment_status": "unpaid", "payment_intent": {
                "id": "pi_1", "status": "requires_payment_method", "amount": 2_000, "currency": "usd", "created": 1,
            } }),
            None,
            Status::Failed,
        ),
    ] {
        let topup = TopUp::of_session(&session(change.clone()), event).unwrap().unwrap();
        assert_eq!(topup.status, status, "{change} {event:?}");
        let credit = topup.credit().unwrap();
        let expected = ("checkout:cs_1".to_owned(), EntryKind::Credit, "20".to_owned());
        assert_eq!(rows(credit.as_slice()), if status == Status::Paid { vec![expected] } else { vec![] }, "{change}");
    }
}

#[test]
fn what_another_product_sold_is_none_of_ours() {
    for metadata in [
        json!(null),
        json!({}),
        json!({ "account_id": ACCOUNT }),
        json!({ "topup_id": "topup_1" }),
        json!({ "account_id": "acct_someone_elses", "topup_id": "topup_1" }),
    ] {
        assert_eq!(TopUp::of_session(&session(json!({ "metadata": metadata })), None), Ok(None), "{metadata}");
    }
    assert_eq!(TopUp::of_intent(&intent(json!({ "metadata": {} }))), Ok(None));
    let of_session = json!({ "metadata": { "account_id": ACCOUNT, "topup_id": "topup_1", "kind": "checkout" } });
    assert_eq!(TopUp::of_intent(&intent(of_session)), Ok(None), "its session tells of it");
}

#[test]
fn other_money_and_absurd_amounts_are_not_entered() {
    assert_eq!(TopUp::of_session(&session(json!({ "currency": "eur" })), None), Err(Odd::Currency));
    assert_eq!(TopUp::of_session(&session(json!({ "amount_total": null })), None), Err(Odd::Amount));
    let absurd = TopUp::of_session(&session(json!({ "amount_total": u64::MAX })), None).unwrap().unwrap();
    assert_eq!(absurd.credit(), Err(Odd::Amount));
    assert_eq!(Return::of_refund(&refund(json!({ "currency": "jpy" }))), Err(Odd::Currency));
    assert_eq!(Return::of_dispute(&dispute(json!({ "currency": "jpy" })), None), Err(Odd::Currency));
    assert_eq!(TopUp::of_intent(&intent(json!({ "currency": "eur" }))), Err(Odd::Currency));
}

fn intent(change: Value) -> PaymentIntent {
    let mut intent = json!({
        "id": "pi_9", "status": "succeeded", "amount": 2_000, "amount_received": 1_999, "currency": "usd", "created": 1,
        "metadata": { "account_id": ACCOUNT, "topup_id": "auto_1", "kind": "auto" },
    });
    merge(&mut intent, change);
    serde_json::from_value(intent).unwrap()
}

#[test]
fn an_automatic_payment_is_credited_by_what_was_received() {
    for (status, expected, credited) in [
        ("succeeded", Status::Paid, vec![("auto:auto_1".to_owned(), EntryKind::Credit, "19.99".to_owned())]),
        ("processing", Status::Pending, vec![]),
        ("requires_payment_method", Status::Failed, vec![]),
        ("requires_action", Status::Failed, vec![]),
        ("canceled", Status::Failed, vec![]),
    ] {
        let topup = TopUp::of_intent(&intent(json!({ "status": status }))).unwrap().unwrap();
        assert_eq!((topup.status, rows(topup.credit().unwrap().as_slice())), (expected, credited), "{status}");
    }
}

fn refund(change: Value) -> Refund {
    let mut refund =
        json!({ "id": "re_1", "amount": 500, "currency": "usd", "payment_intent": "pi_1", "status": "pending" });
    merge(&mut refund, change);
    serde_json::from_value(refund).unwrap()
}

#[test]
fn a_refund_takes_money_and_a_failed_one_brings_it_back() {
    let taken = ("refund:re_1".to_owned(), EntryKind::Refund, "-5".to_owned());
    let back = ("refund:re_1:reversed".to_owned(), EntryKind::Refund, "5".to_owned());
    for (status, expected) in [
        ("pending", vec![taken.clone()]),
        ("requires_action", vec![taken.clone()]),
        ("succeeded", vec![taken.clone()]),
        // Whether or not it was ever told as pending.
        ("failed", vec![taken.clone(), back.clone()]),
        ("canceled", vec![taken, back]),
    ] {
        let given = Return::of_refund(&refund(json!({ "status": status }))).unwrap().unwrap();
        assert_eq!(rows(&given.entries), expected, "{status}");
        assert_eq!(given.undone, expected.len() == 2);
    }
    assert_eq!(Return::of_refund(&refund(json!({ "payment_intent": null }))), Ok(None));
}

fn dispute(change: Value) -> Dispute {
    let mut dispute = json!({ "id": "dp_1", "amount": 2_000, "currency": "usd", "payment_intent": "pi_1", "status": "needs_response" });
    merge(&mut dispute, change);
    serde_json::from_value(dispute).unwrap()
}

#[test]
fn a_dispute_takes_money_and_a_won_one_brings_it_back() {
    let taken = ("dispute:dp_1".to_owned(), EntryKind::Dispute, "-20".to_owned());
    let back = ("dispute:dp_1:won".to_owned(), EntryKind::Dispute, "20".to_owned());
    for (status, event, expected) in [
        ("needs_response", "charge.dispute.created", vec![taken.clone()]),
        ("under_review", "charge.dispute.updated", vec![taken.clone()]),
        ("lost", "charge.dispute.closed", vec![taken.clone()]),
        ("won", "charge.dispute.closed", vec![taken.clone(), back.clone()]),
        ("under_review", "charge.dispute.funds_reinstated", vec![taken.clone(), back]),
        ("warning_needs_response", "charge.dispute.created", vec![]),
        ("warning_closed", "charge.dispute.closed", vec![]),
        ("prevented", "charge.dispute.closed", vec![]),
        ("warning_needs_response", "charge.dispute.funds_withdrawn", vec![taken]),
    ] {
        let given = Return::of_dispute(&dispute(json!({ "status": status })), Some(event)).unwrap();
        let entries = given.map(|given| given.entries).unwrap_or_default();
        assert_eq!(rows(&entries), expected, "{status} {event}");
    }
}

#[test]
fn cents_are_whole() {
    for (usd, expected) in
        [("5", Some(500)), ("20.50", Some(2_050)), ("0.01", Some(1)), ("5.001", None), ("0", Some(0))]
    {
        assert_eq!(cents(NanoUsd::from_usd(usd).unwrap()), expected, "{usd}");
    }
    assert_eq!((usd(2_050), cents(NanoUsd::new(-10_000_000).unwrap())), ("20.5".into(), None));
}
