//! `GET /console/api/usage`: one row for each admitted request.

use billing::ledger::{BillingStatus, EntryKind, Outcome, SettledBy};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use worker::{Headers, Response, Url};

use super::page::ErrorView;
use crate::context::Context;
use crate::error::ApiError;

/// Which requests.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UsageQuery {
    /// Made at this time or later: a date (a day of UTC) or a time of RFC 3339.
    pub from: Option<String>,
    /// Made before this time, or on this date or before it.
    pub to: Option<String>,
    /// Made with this key.
    pub key_id: Option<String>,
    /// Of this model.
    pub model: Option<String>,
    /// By this route, as `/v1/chat/completions`.
    pub endpoint: Option<String>,
    /// That ended so.
    pub status: Option<Outcome>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Rows of a page, 1 to 200; 50 when absent.
    #[param(value_type = Option<u32>)]
    pub limit: Option<String>,
}

/// One request; a second one of the same request where it was settled only after its hold had expired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct UsageView {
    /// As in the header `x-request-id`.
    pub request_id: String,
    /// Its number in the journal.
    pub seq: u64,
    /// `usage`, or `adjustment`: what a late settle changes, with the counts of the whole request.
    pub kind: EntryKind,
    /// When it was made.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it was charged.
    #[schema(format = DateTime)]
    pub settled_at: String,
    /// The key that made it; `null`: the account's owner.
    #[schema(required)]
    pub key_id: Option<String>,
    /// What the key is called now.
    #[schema(required)]
    pub key_name: Option<String>,
    /// The route.
    pub endpoint: String,
    /// The model.
    pub model: String,
    /// How it ended.
    pub status: Outcome,
    /// What became of its hold.
    pub billing_status: BillingStatus,
    /// Who counted; `null`: nothing was charged.
    #[schema(required)]
    pub settled_by: Option<SettledBy>,
    /// Input that was neither read from nor written to a cache, in tokens.
    pub input_tokens: u64,
    /// Input read from a cache, in tokens.
    pub cache_read_tokens: u64,
    /// Input written to a cache for five minutes, in tokens.
    pub cache_write_5m_tokens: u64,
    /// Input written to a cache for an hour, in tokens.
    pub cache_write_1h_tokens: u64,
    /// Output, reasoning included, in tokens.
    pub output_tokens: u64,
    /// That of the output that was reasoning, in tokens.
    pub reasoning_tokens: u64,
    /// Searches that the provider ran.
    pub web_searches: u64,
    /// What was charged; decimal USD. Below zero where a late settle gave some back.
    pub cost_usd: String,
    /// What the balance did not cover; decimal USD.
    pub uncollected_usd: String,
    /// What a translated answer lost on its way, as `name=count, …`.
    #[schema(required)]
    pub dropped: Option<String>,
}

/// One page of requests.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsagePage {
    /// The newest first.
    pub data: Vec<UsageView>,
    /// What `cursor` is to be for the next page; `null`: there is none. A page may have fewer rows than `limit`
    /// and still be followed by another.
    #[schema(required)]
    pub next_cursor: Option<String>,
    /// What was charged until then is in the list.
    #[schema(format = DateTime)]
    pub as_of: String,
}

/// Lists requests, the one that was charged last first.
///
/// # Errors
/// `invalid_api_key`, `invalid_request`.
#[utoipa::path(get, path = "/console/api/usage", tag = "usage", operation_id = "listUsage", params(UsageQuery),
    responses((status = 200, body = UsagePage), (status = "default", body = ErrorView)))]
pub async fn list(_headers: &Headers, _url: &Url, _context: &Context) -> Result<Response, ApiError> {
    Err(ApiError::internal())
}
