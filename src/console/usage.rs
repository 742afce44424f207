//! `GET /console/api/usage`: one row for each admitted request.

use std::collections::BTreeMap;

use account::tail::Tail;
use billing::ledger::{BillingStatus, EntryKind, Outcome, Permission, SettledBy};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use worker::{Headers, Response, Url};

use super::caller::Caller;
use super::page::{self, ErrorView, Span};
use super::recent::{self, Rest, cursor, left};
use crate::console::rfc3339;
use crate::context::Context;
use crate::d1::requests::{self, Filter, Row};
use crate::error::ApiError;
use crate::{d1, ids};

/// How often D1 is asked for one page: where few of many fit, a page may be short.
const MOST_LOOKS: usize = 2;

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
pub async fn list(headers: &Headers, url: &Url, context: &Context) -> Result<Response, ApiError> {
    let caller = Caller::new(headers, Permission::AccountRead, context).await?;
    let query: UsageQuery = page::query(url)?;
    let (before, limit) = (page::before(query.cursor.as_deref())?, page::limit(query.limit.as_deref())?);
    let Span { from_ms, to_ms } = Span::read(query.from.as_deref(), query.to.as_deref())?;
    let UsageQuery { key_id, model, endpoint, status, .. } = query;
    let filter = Filter { from_ms, to_ms, key_id, model, endpoint, status };
    let Found { rows, next_cursor, key_names } = find(&caller, &filter, before, limit, context).await?;
    let data = rows.into_iter().map(|row| UsageView::new(row, &key_names)).collect();
    Ok(Response::from_json(&UsagePage { data, next_cursor, as_of: rfc3339(context.started_ms) })?)
}

/// One page of a caller's requests.
pub struct Found {
    /// The newest first.
    pub rows: Vec<Row>,
    /// As [`UsagePage::next_cursor`].
    pub next_cursor: Option<String>,
    /// What each key is called.
    pub key_names: BTreeMap<String, String>,
}

/// The caller's newest requests that `filter` takes, those before row `before` of the journal, at most `limit`: what
/// was charged until now is among them.
///
/// # Errors
/// What a refusal or silence of the account means to the caller; `internal_error`.
pub async fn find(
    caller: &Caller,
    filter: &Filter,
    before: Option<u64>,
    limit: u64,
    context: &Context,
) -> Result<Found, ApiError> {
    let newest = recent::newest(caller, before, limit, |entry| {
        Row::of(entry).filter(|_| entry.usage.as_ref().is_some_and(|usage| filter.takes(usage)))
    });
    let newest = newest.await?;
    let mut rows = newest.rows;
    let next = match newest.rest {
        Rest::NextPage(before) => Some(before),
        Rest::Delivered(seq) => {
            let (db, account_id) = (context.env.d1(d1::BINDING)?, ids::account_id(&caller.routing_id));
            let mut below = Some(seq);
            for _ in 0..MOST_LOOKS {
                let Some(seq) = below.filter(|seq| *seq > 0 && left(&rows, limit) > 0) else { break };
                let found = requests::before(&db, &account_id, filter, seq, left(&rows, limit)).await?;
                rows.extend(found.rows);
                below = found.seen.map(|seen| seen.saturating_sub(1));
            }
            below.map(|seq| seq.saturating_add(1))
        }
    };
    Ok(Found { rows, next_cursor: next.and_then(cursor), key_names: newest.key_names })
}

impl UsageView {
    /// The row, with the name of its key.
    #[must_use]
    pub fn new(row: Row, key_names: &BTreeMap<String, String>) -> Self {
        Self {
            request_id: row.id,
            seq: row.seq,
            kind: row.kind,
            created_at: rfc3339(row.created_at_ms),
            settled_at: rfc3339(row.at_ms),
            key_name: row.key_id.as_ref().and_then(|key_id| key_names.get(key_id)).cloned(),
            key_id: row.key_id,
            endpoint: row.endpoint,
            model: row.model,
            status: row.status,
            billing_status: row.billing_status,
            settled_by: row.settled_by,
            input_tokens: row.input,
            cache_read_tokens: row.cache_read,
            cache_write_5m_tokens: row.cache_write_5m,
            cache_write_1h_tokens: row.cache_write_1h,
            output_tokens: row.output,
            reasoning_tokens: row.reasoning,
            web_searches: row.web_searches,
            cost_usd: row.amount.negated().to_string(),
            uncollected_usd: row.uncollected.to_string(),
            dropped: row.dropped,
        }
    }

    /// The requests among the entries of a reading, in its order.
    pub fn of_tail(tail: &Tail) -> impl Iterator<Item = Self> + '_ {
        tail.entries.iter().filter_map(Row::of).map(|row| Self::new(row, &tail.key_names))
    }
}
