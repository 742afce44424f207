//! `GET /console/api/journal`: every movement of the account's money.

use billing::ledger::EntryKind;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use worker::{Headers, Response, Url};

use super::page::{ErrorView, Page};
use crate::context::Context;
use crate::error::ApiError;

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
pub async fn list(_headers: &Headers, _url: &Url, _context: &Context) -> Result<Response, ApiError> {
    Err(ApiError::internal())
}
