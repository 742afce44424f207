//! `/console/api/topups`: pay at Stripe's page, and see what was paid.

use billing::ledger::Permission;
use billing::money::NanoUsd;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use worker::{Headers, Response, Url};

use super::form::Form;
use super::meaning::{ACCOUNT_ID, KIND, Kind, SAVE_METHOD, TOPUP_ID, TopUp, cents, usd};
use super::settings;
use super::stripe::{Stripe, StripeError};
use super::wire::Session;
use crate::console::caller::Caller;
use crate::context::Context;
use crate::error::{ApiError, Code};
use crate::{d1, entropy, ids};

/// The least and the most of one top-up, in cents: below, Stripe's own fee would be a large part of it; above, a
/// stolen card would be worth too much.
pub const AMOUNT_CENTS: std::ops::RangeInclusive<u64> = 500..=500_000;

/// How many top-ups a page has where nothing else is asked for, and at most.
const PAGE: (u32, u32) = (50, 200);

/// The longest `Idempotency-Key`, in bytes: as long as Stripe takes one.
const MAX_KEY_BYTES: usize = 255;

/// A top-up to pay.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTopUp {
    /// Decimal USD, whole cents from 5 to 5,000 USD.
    #[schema(example = "20")]
    amount_usd: String,
    /// Whether the method is to be kept for automatic top-ups.
    #[serde(default)]
    save_method: bool,
}

/// Where to pay.
#[derive(Serialize, ToSchema)]
pub struct MadeTopUp {
    /// Of the top-up.
    id: String,
    /// Stripe's page.
    checkout_url: String,
}

/// How a top-up stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TopUpStatus {
    /// Not paid yet.
    Pending,
    /// Paid.
    Paid,
    /// Declined.
    Failed,
    /// Not paid in time.
    Expired,
    /// Paid, and paid back.
    Refunded,
    /// Paid, and paid back in part.
    PartiallyRefunded,
    /// Paid, and disputed by the card's owner.
    Disputed,
}

/// A top-up.
#[derive(Serialize, ToSchema)]
pub struct TopUpView {
    id: String,
    /// When it was begun, RFC 3339.
    at: String,
    /// `checkout` or `auto`.
    kind: String,
    /// Decimal USD.
    amount_usd: String,
    status: TopUpStatus,
    /// Stripe's page with the receipt.
    receipt_url: Option<String>,
}

/// A page of top-ups, the newest first.
#[derive(Serialize, ToSchema)]
pub struct TopUpList {
    data: Vec<TopUpView>,
    /// Where the next page begins; `null`: there is none.
    next_cursor: Option<String>,
}

/// Begins a top-up.
///
/// # Errors
/// `invalid_api_key` without a session; `invalid_request` for another amount, 409 when the `Idempotency-Key` was
/// used for another top-up; `upstream_unavailable` when Stripe does not answer.
#[utoipa::path(post, path = "/console/api/topups", tag = "payments", request_body = NewTopUp,
    responses((status = 201, body = MadeTopUp)))]
pub async fn create(headers: &Headers, origin: &Url, body: &str, context: &Context) -> Result<Response, ApiError> {
    let payments = settings(context)?;
    let caller = owner(headers, context).await?;
    let invalid = |param: &str, sentence: &str| ApiError {
        param: Some(param.into()),
        ..ApiError::new(Code::InvalidRequest, sentence)
    };
    let new: NewTopUp = serde_json::from_str(body)
        .map_err(|_| invalid("", "The body must be {\"amount_usd\", \"save_method\"?}."))
        .map_err(|error| ApiError { param: None, ..error })?;
    let amount = amount_cents(&new.amount_usd)
        .ok_or_else(|| invalid("amount_usd", "The amount must be 5 to 5,000 USD, in whole cents."))?;
    let account_id = ids::account_id(&caller.routing_id);
    let id = topup_id(headers, &account_id)?;
    let console = payments.console_url.clone().unwrap_or_else(|| origin.origin().ascii_serialization());
    let form = session_form(&id, &account_id, amount, new.save_method, &console);
    let stripe = Stripe(payments);
    let session: Session = match stripe.post("/v1/checkout/sessions", &form, &id).await {
        Err(StripeError::KeyReused) => {
            let sentence = "This Idempotency-Key was used for another top-up.";
            return Err(ApiError::new(Code::InvalidRequest, sentence).with_status(409));
        }
        other => other?,
    };
    let topup = TopUp::of_session(&session, None).ok().flatten().filter(|topup| topup.cents == amount);
    let (Some(topup), Some(checkout_url)) = (topup, session.url) else {
        worker::console_error!("stripe: {}: the session is not the one that was asked for", session.id);
        return Err(ApiError::internal());
    };
    d1::topups::upsert(&context.env.d1(d1::BINDING)?, &topup, None).await?;
    Ok(Response::from_json(&MadeTopUp { id, checkout_url })?.with_status(201))
}

/// Lists top-ups.
///
/// # Errors
/// `invalid_api_key`; `invalid_request` for a cursor that is none.
#[utoipa::path(get, path = "/console/api/topups", tag = "payments",
    params(("cursor" = Option<String>, Query,), ("limit" = Option<u32>, Query,)), responses((status = 200, body = TopUpList)))]
pub async fn list(headers: &Headers, url: &Url, context: &Context) -> Result<Response, ApiError> {
    let caller = Caller::new(headers, Permission::AccountRead, context).await?;
    let query = |name: &str| url.query_pairs().find(|(n, _)| n == name).map(|(_, value)| value.into_owned());
    let invalid = |param: &str| ApiError {
        param: Some(param.into()),
        ..ApiError::new(Code::InvalidRequest, format!("This is no {param}."))
    };
    let limit = match query("limit").map(|text| text.parse::<u32>()) {
        None => PAGE.0,
        Some(Ok(limit)) if (1..=PAGE.1).contains(&limit) => limit,
        Some(_) => return Err(invalid("limit")),
    };
    let before = match query("cursor") {
        None => (MAX_TIME_MS, String::new()),
        Some(cursor) => read_cursor(&cursor).ok_or_else(|| invalid("cursor"))?,
    };
    let db = context.env.d1(d1::BINDING)?;
    let account_id = ids::account_id(&caller.routing_id);
    // One more than a page tells whether there is another.
    let mut rows = d1::topups::page(&db, &account_id, (before.0, &before.1), limit.saturating_add(1)).await?;
    let more = rows.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next_cursor = rows.last().filter(|_| more).map(|row| format!("{}.{}", row.created_at_ms, row.id));
    Ok(Response::from_json(&TopUpList { data: rows.iter().map(TopUpView::from).collect(), next_cursor })?)
}

/// Beyond every time that can be stored.
const MAX_TIME_MS: i64 = 9_007_199_254_740_991;

fn read_cursor(cursor: &str) -> Option<(i64, String)> {
    let (at_ms, id) = cursor.split_once('.')?;
    Some((at_ms.parse().ok().filter(|ms| (0..=MAX_TIME_MS).contains(ms))?, id.to_owned()))
}

/// The account's owner: money is not a key's to spend.
///
/// # Errors
/// `invalid_api_key`: 401 without a session, 403 for a key.
pub async fn owner(headers: &Headers, context: &Context) -> Result<Caller, ApiError> {
    let caller = Caller::any(headers, context).await?;
    if caller.key().is_some() {
        let sentence = "Only the account's owner may do this, signed in.";
        return Err(ApiError::new(Code::InvalidApiKey, sentence).with_status(403));
    }
    Ok(caller)
}

/// An amount that may be topped up, in cents.
#[must_use]
pub fn amount_cents(usd: &str) -> Option<u64> {
    cents(NanoUsd::from_usd(usd).ok()?).filter(|cents| AMOUNT_CENTS.contains(cents))
}

/// The same id for the same `Idempotency-Key` of the account, so that a retry of the caller has the same session.
fn topup_id(headers: &Headers, account_id: &str) -> Result<String, ApiError> {
    let key = headers.get("idempotency-key")?.filter(|key| !key.is_empty());
    let bytes: [u8; 10] = match key {
        Some(key) if key.len() > MAX_KEY_BYTES => {
            return Err(ApiError::new(Code::InvalidRequest, "The Idempotency-Key is longer than 255 bytes."));
        }
        Some(key) => {
            let digest = Sha256::new().chain_update(account_id).chain_update([0]).chain_update(key).finalize();
            digest.first_chunk().copied().ok_or_else(ApiError::internal)?
        }
        None => entropy::random().map_err(|error| {
            worker::console_error!("{error}");
            ApiError::internal()
        })?,
    };
    Ok(format!("topup_{}", ids::encode(&bytes)))
}

fn session_form(id: &str, account_id: &str, cents: u64, save_method: bool, console: &str) -> Form {
    let mut form = Form::default()
        .with("mode", "payment")
        .with("client_reference_id", account_id)
        .with("success_url", format!("{console}/credits?topup={id}"))
        .with("cancel_url", format!("{console}/credits?topup={id}&cancelled=1"))
        .with("line_items[0][quantity]", 1)
        .with("line_items[0][price_data][currency]", "usd")
        .with("line_items[0][price_data][unit_amount]", cents)
        .with("line_items[0][price_data][product_data][name]", "One Interface credit");
    let mut metadata = vec![(ACCOUNT_ID, account_id), (TOPUP_ID, id), (KIND, Kind::Checkout.text())];
    if save_method {
        metadata.push((SAVE_METHOD, "1"));
        form = form.with("customer_creation", "always").with("payment_intent_data[setup_future_usage]", "off_session");
    }
    // On the payment too: refunds and disputes name it, and not the session.
    for (name, value) in metadata {
        form = form
            .with(&format!("metadata[{name}]"), value)
            .with(&format!("payment_intent_data[metadata][{name}]"), value);
    }
    form
}

impl From<&d1::topups::Row> for TopUpView {
    fn from(row: &d1::topups::Row) -> Self {
        Self {
            id: row.id.clone(),
            at: rfc3339(row.created_at_ms),
            kind: row.kind.clone(),
            amount_usd: usd(row.amount_cents),
            status: standing(row),
            receipt_url: row.receipt_url.clone(),
        }
    }
}

fn standing(row: &d1::topups::Row) -> TopUpStatus {
    match (row.status.as_str(), row.disputes, row.refunded_cents) {
        ("failed", ..) => TopUpStatus::Failed,
        ("expired", ..) => TopUpStatus::Expired,
        ("paid", 1.., _) => TopUpStatus::Disputed,
        ("paid", 0, 0) => TopUpStatus::Paid,
        ("paid", 0, refunded) if refunded >= row.amount_cents => TopUpStatus::Refunded,
        ("paid", ..) => TopUpStatus::PartiallyRefunded,
        _ => TopUpStatus::Pending,
    }
}

/// As times are told: milliseconds, UTC.
#[must_use]
pub fn rfc3339(ms: i64) -> String {
    DateTime::<Utc>::from_timestamp_millis(ms).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_whole_cents_within_the_limits() {
        for (usd, cents) in [
            ("5", Some(500)),
            ("20.50", Some(2_050)),
            ("5000", Some(500_000)),
            ("4.99", None),
            ("5000.01", None),
            ("5.001", None),
            ("-5", None),
            ("1e3", None),
            ("", None),
        ] {
            assert_eq!(amount_cents(usd), cents, "{usd}");
        }
    }

    #[test]
    fn the_session_says_whose_it_is_on_itself_and_on_its_payment() {
        let form = session_form("topup_1", "acct_1", 2_000, false, "https://x.example");
        let text = percent_encoding::percent_decode_str(form.as_str()).decode_utf8().unwrap().into_owned();
        for field in [
            "client_reference_id=acct_1",
            "metadata[account_id]=acct_1",
            "&payment_intent_data[metadata][account_id]=acct_1",
            "&payment_intent_data[metadata][topup_id]=topup_1",
            "unit_amount]=2000",
            "success_url=https://x.example/credits?topup=topup_1",
            "cancel_url=https://x.example/credits?topup=topup_1&cancelled=1",
        ] {
            assert!(text.contains(field), "{field} in {text}");
        }
        assert!(!text.contains("setup_future_usage"));
        let kept = session_form("topup_1", "acct_1", 2_000, true, "https://x.example");
        assert!(kept.as_str().contains("setup_future_usage") && kept.as_str().contains("customer_creation=always"));
    }

    #[test]
    fn a_cursor_reads_back() {
        assert_eq!(read_cursor("1700000000000.topup_1"), Some((1_700_000_000_000, "topup_1".into())));
        for cursor in ["", "x.topup_1", "-1.topup_1", "17"] {
            assert_eq!(read_cursor(cursor), None, "{cursor}");
        }
    }

    #[test]
    fn what_went_back_decides_how_a_top_up_stands() {
        let row = |status: &str, refunded_cents, disputes| d1::topups::Row {
            id: "t".into(),
            kind: "checkout".into(),
            amount_cents: 2_000,
            status: status.into(),
            receipt_url: None,
            created_at_ms: 0,
            refunded_cents,
            disputes,
        };
        for (row, expected) in [
            (row("pending", 0, 0), TopUpStatus::Pending),
            // Told before the payment itself: what is paid decides.
            (row("pending", 500, 1), TopUpStatus::Pending),
            (row("paid", 0, 0), TopUpStatus::Paid),
            (row("paid", 500, 0), TopUpStatus::PartiallyRefunded),
            (row("paid", 2_000, 0), TopUpStatus::Refunded),
            (row("paid", 2_000, 1), TopUpStatus::Disputed),
            (row("failed", 0, 0), TopUpStatus::Failed),
            (row("expired", 0, 0), TopUpStatus::Expired),
        ] {
            assert_eq!(standing(&row), expected);
        }
    }
}
