//! Top-ups and what went back of them, as customers and the cron ask for them.
//!
//! The one rule: every write may come twice and in any order. A top-up that is paid stays so, what is known of it
//! (its payment, its receipt) is never forgotten again, and what was undone stays undone.

use billing::ledger::EntryKind;
use serde::Deserialize;
use worker::D1Database;
use worker::wasm_bindgen::JsValue;

use crate::payments::meaning::{Return, TopUp};

/// How long after it was made the cron first asks for a top-up that is still pending, in milliseconds: a customer
/// may well take ten minutes, and a webhook that works comes within seconds.
const FIRST_CHECK_MS: i64 = 600_000;

const UPSERT: &str = "INSERT INTO topups
    (id, account_id, kind, amount_cents, status, session_id, payment_intent, receipt_url, created_at_ms, check_at_ms)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
ON CONFLICT (id) DO UPDATE SET
    status = CASE WHEN topups.status = 'paid' OR excluded.status = 'pending' THEN topups.status ELSE excluded.status END,
    amount_cents = CASE WHEN excluded.status = 'paid' THEN excluded.amount_cents ELSE topups.amount_cents END,
    session_id = coalesce(topups.session_id, excluded.session_id),
    payment_intent = coalesce(topups.payment_intent, excluded.payment_intent),
    receipt_url = coalesce(topups.receipt_url, excluded.receipt_url)
WHERE topups.account_id = excluded.account_id";

const UPSERT_RETURN: &str = "INSERT INTO topup_returns (id, payment_intent, kind, amount_cents, undone)
VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO UPDATE SET undone = max(topup_returns.undone, excluded.undone)";

/// `?2`, `?3`: behind this row, the newest first.
const PAGE: &str = "SELECT id, kind, amount_cents, status, receipt_url, created_at_ms,
    (SELECT coalesce(sum(r.amount_cents), 0) FROM topup_returns r
        WHERE r.payment_intent = t.payment_intent AND r.kind = 'refund' AND r.undone = 0) AS refunded_cents,
    (SELECT count(*) FROM topup_returns r
        WHERE r.payment_intent = t.payment_intent AND r.kind = 'dispute' AND r.undone = 0) AS disputes
FROM topups t WHERE account_id = ?1 AND (created_at_ms, id) < (?2, ?3) ORDER BY created_at_ms DESC, id DESC LIMIT ?4";

/// Those that are still pending and whose turn it is; each is put off at once, so that the next run takes others
/// while this one is slow. An old one is asked for less and less often.
const DUE: &str = "UPDATE topups SET check_at_ms = ?1 + max(?2, (?1 - created_at_ms) / 4)
WHERE id IN (SELECT id FROM topups WHERE status = 'pending' AND check_at_ms <= ?1 ORDER BY check_at_ms LIMIT ?3)
RETURNING id, account_id, kind, session_id, payment_intent, created_at_ms";

/// Of the JSON array `?1` of `{session, topup}` the sessions whose top-up is not known as paid.
const UNPAID: &str = "SELECT value->>'$.session' AS session_id FROM json_each(?1) WHERE NOT EXISTS (
    SELECT 1 FROM topups WHERE id = value->>'$.topup' AND status = 'paid')";

/// Of the JSON array `?1` of ids those of refunds and disputes that are known.
const KNOWN_RETURNS: &str = "SELECT id, undone FROM topup_returns WHERE id IN (SELECT value FROM json_each(?1))";

const WALK: &str = "SELECT after_id FROM topup_walks WHERE list = ?1";
const WALKED: &str = "INSERT INTO topup_walks (list, after_id) VALUES (?1, ?2)
ON CONFLICT (list) DO UPDATE SET after_id = excluded.after_id";

const DUE_AUTO: &str = "SELECT account_id FROM due_topups ORDER BY at_ms LIMIT ?1";
const DONE_AUTO: &str = "DELETE FROM due_topups WHERE account_id = ?1";

/// A top-up as it is listed.
#[derive(Debug, Deserialize)]
pub struct Row {
    /// Ours.
    pub id: String,
    /// `checkout` or `auto`.
    pub kind: String,
    /// How much, in cents.
    pub amount_cents: u64,
    /// `pending`, `paid`, `failed`, `expired`.
    pub status: String,
    /// Stripe's page with the receipt.
    pub receipt_url: Option<String>,
    /// When it was made, in milliseconds since the epoch.
    pub created_at_ms: i64,
    /// What was paid back, in cents.
    pub refunded_cents: u64,
    /// How many disputes are not won.
    pub disputes: u32,
}

/// A top-up that is still pending.
#[derive(Debug, Deserialize)]
pub struct Pending {
    /// Ours.
    pub id: String,
    /// Whose.
    pub account_id: String,
    /// `checkout` or `auto`.
    pub kind: String,
    /// `cs_…`
    pub session_id: Option<String>,
    /// `pi_…`
    pub payment_intent: Option<String>,
    /// When it was made, in milliseconds since the epoch.
    pub created_at_ms: i64,
}

/// Writes down what is known of a top-up.
///
/// # Errors
/// What D1 said.
pub async fn upsert(db: &D1Database, topup: &TopUp, receipt_url: Option<&str>) -> worker::Result<()> {
    let values = [
        topup.id.as_str().into(),
        topup.account_id.as_str().into(),
        topup.kind.text().into(),
        number(topup.cents),
        topup.status.text().into(),
        text(topup.session.as_deref()),
        text(topup.intent.as_deref()),
        text(receipt_url),
        time(topup.created_at_ms),
        time(topup.created_at_ms.saturating_add(FIRST_CHECK_MS)),
    ];
    db.prepare(UPSERT).bind(&values)?.run().await.map(drop)
}

/// Writes down what goes back.
///
/// # Errors
/// What D1 said.
pub async fn upsert_return(db: &D1Database, given: &Return) -> worker::Result<()> {
    let kind = if given.kind == EntryKind::Dispute { "dispute" } else { "refund" };
    let undone = u32::from(given.undone);
    let values =
        [given.id.as_str().into(), given.intent.as_str().into(), kind.into(), number(given.cents), undone.into()];
    db.prepare(UPSERT_RETURN).bind(&values)?.run().await.map(drop)
}

/// An account's top-ups before `before` (time and id), the newest first.
///
/// # Errors
/// What D1 said.
pub async fn page(db: &D1Database, account_id: &str, before: (i64, &str), limit: u32) -> worker::Result<Vec<Row>> {
    let values = [account_id.into(), time(before.0), before.1.into(), limit.into()];
    db.prepare(PAGE).bind(&values)?.all().await?.results()
}

/// Pending top-ups whose turn it is; their next one comes after `pause_ms` at the earliest.
///
/// # Errors
/// What D1 said.
pub async fn due(db: &D1Database, now_ms: i64, pause_ms: i64, limit: u32) -> worker::Result<Vec<Pending>> {
    db.prepare(DUE).bind(&[time(now_ms), time(pause_ms), limit.into()])?.all().await?.results()
}

/// Of these sessions, each with its top-up's id, those whose top-up is not known as paid.
///
/// # Errors
/// What D1 said.
pub async fn unpaid(db: &D1Database, sessions: &[(&str, &str)]) -> worker::Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Found {
        session_id: String,
    }
    let pairs: Vec<_> =
        sessions.iter().map(|(id, topup)| serde_json::json!({ "session": id, "topup": topup })).collect();
    let found: Vec<Found> =
        db.prepare(UNPAID).bind(&[serde_json::to_string(&pairs)?.into()])?.all().await?.results()?;
    Ok(found.into_iter().map(|found| found.session_id).collect())
}

/// Which of these refunds and disputes are known, and whether each is known to be undone.
///
/// # Errors
/// What D1 said.
pub async fn known_returns(db: &D1Database, ids: &[&str]) -> worker::Result<Vec<(String, bool)>> {
    #[derive(Deserialize)]
    struct Found {
        id: String,
        undone: u8,
    }
    let ids = serde_json::to_string(ids)?;
    let found: Vec<Found> = db.prepare(KNOWN_RETURNS).bind(&[ids.into()])?.all().await?.results()?;
    Ok(found.into_iter().map(|found| (found.id, found.undone != 0)).collect())
}

/// Behind which object of the list the cron goes on; `None`: at the newest.
///
/// # Errors
/// What D1 said.
pub async fn walk(db: &D1Database, list: &str) -> worker::Result<Option<String>> {
    #[derive(Deserialize)]
    struct Found {
        after_id: String,
    }
    let found = db.prepare(WALK).bind(&[list.into()])?.first::<Found>(None).await?;
    Ok(found.map(|found| found.after_id).filter(|id| !id.is_empty()))
}

/// The cron has come so far; an empty id: it begins anew.
///
/// # Errors
/// What D1 said.
pub async fn walked(db: &D1Database, list: &str, after_id: &str) -> worker::Result<()> {
    db.prepare(WALKED).bind(&[list.into(), after_id.into()])?.run().await.map(drop)
}

/// Accounts with an automatic top-up that waits, the oldest first.
///
/// # Errors
/// What D1 said.
pub async fn due_auto(db: &D1Database, limit: u32) -> worker::Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Found {
        account_id: String,
    }
    let found: Vec<Found> = db.prepare(DUE_AUTO).bind(&[limit.into()])?.all().await?.results()?;
    Ok(found.into_iter().map(|found| found.account_id).collect())
}

/// The account's waiting top-up was looked after; if that was not enough, the account says so again.
///
/// # Errors
/// What D1 said.
pub async fn done_auto(db: &D1Database, account_id: &str) -> worker::Result<()> {
    db.prepare(DONE_AUTO).bind(&[account_id.into()])?.run().await.map(drop)
}

fn text(text: Option<&str>) -> JsValue {
    text.map_or(JsValue::NULL, JsValue::from_str)
}

// Times, and amounts that money can express, are far below 2^53, the border of exact JavaScript numbers.
#[expect(clippy::cast_precision_loss, reason = "a time in milliseconds")]
fn time(ms: i64) -> JsValue {
    JsValue::from_f64(ms as f64)
}

#[expect(clippy::cast_precision_loss, reason = "an amount in cents")]
fn number(cents: u64) -> JsValue {
    JsValue::from_f64(cents as f64)
}
