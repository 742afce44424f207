//! `GET /console/api/topups`: what was paid, and how it stands.

use billing::ledger::Permission;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use worker::{Headers, Response, Url};

use super::meaning::usd;
use crate::console::caller::Caller;
use crate::console::{page, rfc3339};
use crate::context::Context;
use crate::error::{ApiError, Code};
use crate::{d1, ids};

/// How many top-ups a page has where nothing else is asked for, and at most.
const PAGE: (u32, u32) = (50, 200);

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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    cursor: Option<String>,
    limit: Option<String>,
}

/// Lists top-ups.
///
/// # Errors
/// `invalid_api_key`; `invalid_request` for a cursor that is none.
#[utoipa::path(get, path = "/console/api/topups", tag = "payments", operation_id = "listTopUps",
    params(("cursor" = Option<String>, Query,), ("limit" = Option<u32>, Query,)), responses((status = 200, body = TopUpList)))]
pub async fn list(headers: &Headers, url: &Url, context: &Context) -> Result<Response, ApiError> {
    // All that follows is D1's.
    let caller = Caller::asked(headers, Permission::AccountRead, context).await?;
    let query: Query = page::query(url)?;
    let invalid = |param: &str| ApiError {
        param: Some(param.into()),
        ..ApiError::new(Code::InvalidRequest, format!("This is no {param}."))
    };
    let limit = match query.limit.map(|text| page::whole(&text).and_then(|limit| u32::try_from(limit).ok())) {
        None => PAGE.0,
        Some(Some(limit)) if (1..=PAGE.1).contains(&limit) => limit,
        Some(_) => return Err(invalid("limit")),
    };
    let before = match query.cursor {
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

#[cfg(test)]
mod tests {
    use super::*;

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
