//! `GET /console/api/journal`: every movement of the account's money.

use billing::ledger::{EntryKind, Permission};
use billing::money::NanoUsd;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use worker::{Headers, Response, Url};

use super::caller::Caller;
use super::page::{self, ErrorView, Page};
use super::recent::{self, Rest, cursor, left};
use crate::console::rfc3339;
use crate::context::Context;
use crate::d1::entries::{self, Row};
use crate::error::ApiError;
use crate::{d1, ids};

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct JournalQuery {
    /// Only those of this kind.
    pub kind: Option<EntryKind>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Rows of a page, 1 to 200; 50 when absent.
    #[param(value_type = Option<u32>)]
    pub limit: Option<String>,
}

/// One movement of money.
#[derive(Debug, Serialize, ToSchema)]
pub struct EntryView {
    /// Its number in the journal, from 1 on without a gap.
    pub seq: u64,
    /// The request's id, or the entry's.
    pub id: String,
    /// Why the money moved.
    pub kind: EntryKind,
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// Signed: what is positive came in; decimal USD.
    pub amount_usd: String,
    /// The balance after it; decimal USD.
    pub balance_after_usd: String,
    /// The same for people.
    pub description: String,
}

/// Lists the journal, the newest entry first.
///
/// # Errors
/// `invalid_api_key`, `invalid_request`.
#[utoipa::path(get, path = "/console/api/journal", tag = "account", operation_id = "listJournal", params(JournalQuery),
    responses((status = 200, body = Page<EntryView>), (status = "default", body = ErrorView)))]
pub async fn list(headers: &Headers, url: &Url, context: &Context) -> Result<Response, ApiError> {
    let caller = Caller::new(headers, Permission::AccountRead, context).await?;
    let query: JournalQuery = page::query(url)?;
    let (before, limit) = (page::before(query.cursor.as_deref())?, page::limit(query.limit.as_deref())?);
    let fits = |kind: EntryKind| query.kind.is_none_or(|wanted| wanted == kind);
    let newest = recent::newest(&caller, before, limit, |entry| {
        fits(entry.kind).then(|| Row {
            seq: entry.seq,
            id: entry.id.clone(),
            kind: entry.kind,
            at_ms: entry.at_ms,
            amount: entry.amount,
            balance_after: entry.balance_after,
            model: entry.usage.as_ref().map(|usage| usage.model.clone()),
            endpoint: entry.usage.as_ref().map(|usage| usage.endpoint.clone()),
        })
    });
    let newest = newest.await?;
    let mut rows = newest.rows;
    let next_cursor = match newest.rest {
        Rest::NextPage(before) => cursor(before),
        Rest::Delivered(0) => None,
        Rest::Delivered(seq) => {
            let (db, account_id) = (context.env.d1(d1::BINDING)?, ids::account_id(&caller.routing_id));
            rows.extend(entries::before(&db, &account_id, query.kind, seq, left(&rows, limit)).await?);
            let full = left(&rows, limit) == 0;
            rows.last().filter(|_| full).and_then(|row| cursor(row.seq))
        }
    };
    let data = rows.into_iter().map(EntryView::from).collect();
    Ok(Response::from_json(&Page::<EntryView> { data, next_cursor })?)
}

impl From<Row> for EntryView {
    fn from(row: Row) -> Self {
        Self {
            description: description(&row),
            seq: row.seq,
            id: row.id,
            kind: row.kind,
            at: rfc3339(row.at_ms),
            amount_usd: row.amount.to_string(),
            balance_after_usd: row.balance_after.to_string(),
        }
    }
}

/// What an entry is, for people.
fn description(row: &Row) -> String {
    let (model, endpoint) = (row.model.as_deref(), row.endpoint.as_deref().unwrap_or_default());
    match (row.kind, model) {
        (EntryKind::Usage, Some(model)) => format!("{model}, {endpoint}"),
        (EntryKind::Adjustment, Some(model)) => format!("{model}, {endpoint}: settled late"),
        (EntryKind::Usage, None) => "Request".into(),
        (EntryKind::Credit, _) => "Top-up".into(),
        (EntryKind::Grant, _) if row.id == "welcome" => "Welcome credit".into(),
        (EntryKind::Grant, _) => "Credit given".into(),
        (EntryKind::Refund, _) => "Top-up paid back".into(),
        (EntryKind::Dispute, _) if row.amount > NanoUsd::ZERO => "Dispute of a top-up won".into(),
        (EntryKind::Dispute, _) => "Top-up disputed".into(),
        (EntryKind::Adjustment, None) => "Correction".into(),
        (EntryKind::Debt, _) => "Paid for earlier requests that the balance did not cover".into(),
    }
}
