//! `GET /v1/generation?id=req_…`: what became of one request. The id is the answer's `x-request-id`.

use billing::ledger::{Answer, BillingStatus, Command, Entry, Outcome, SettledBy};
use serde::Serialize;
use serde_json::value::RawValue;
use worker::{Request, Response};

use super::{Data, number};
use crate::console::rfc3339;
use crate::context::Context;
use crate::error::{ApiError, Code};
use crate::{auth, ids};

/// One request. What we do not keep is null, as who served it is nobody's business.
#[derive(Serialize)]
struct GenerationView {
    id: String,
    model: String,
    created_at: String,
    /// USD.
    total_cost: Option<Box<RawValue>>,
    usage: Option<Box<RawValue>>,
    tokens_prompt: u64,
    tokens_completion: u64,
    native_tokens_prompt: u64,
    native_tokens_completion: u64,
    native_tokens_reasoning: u64,
    native_tokens_cached: u64,
    num_search_results: u64,
    /// Milliseconds from the request to its charge.
    generation_time: i64,
    cancelled: bool,
    is_byok: bool,
    origin: &'static str,
    provider_name: Option<&'static str>,
    upstream_id: Option<&'static str>,
    finish_reason: Option<&'static str>,
    total_cost_usd: String,
    uncollected_usd: String,
    endpoint: String,
    key_id: Option<String>,
    status: Outcome,
    billing_status: BillingStatus,
    settled_by: Option<SettledBy>,
    settled_at: String,
}

/// Shows a request to the key that made it, and to keys that may read the account.
///
/// # Errors
/// `invalid_request` without an id, with 404 for a request that is not there, not over yet, or not for this key.
pub async fn get(request: &Request, context: &Context) -> Result<Response, ApiError> {
    let key = auth::api_key(request.headers(), context)?;
    let url = request.url()?;
    let id = url.query_pairs().find(|(name, id)| name == "id" && !id.is_empty()).map(|(_, id)| id.into_owned());
    let id = id.ok_or_else(|| ApiError {
        param: Some("id".into()),
        ..ApiError::new(Code::InvalidRequest, "The query must have the id of a request: ?id=req_….")
    })?;
    // What is no id is asked for all the same: whether the key counts comes first.
    let created_at_ms = ids::request_time_ms(&id).unwrap_or_default();
    let find = Command::Find { request_id: id, created_at_ms, digest: key.digest.clone(), address: context.address };
    let entry = match auth::ask(&key, find, context).await? {
        Answer::Found { entry } => entry,
        other => return Err(auth::unexpected(&other)),
    };
    let data = entry.and_then(|entry| shown(*entry)).ok_or_else(|| {
        let sentence = "There is no such request, or it is not over yet.";
        ApiError::new(Code::InvalidRequest, sentence).with_status(404)
    })?;
    Ok(Response::from_json(&Data { data })?)
}

fn shown(entry: Entry) -> Option<GenerationView> {
    let record = entry.usage?;
    let used = record.usage;
    let cost = entry.amount.negated();
    let writes = used.cache_write_5m.saturating_add(used.cache_write_1h);
    let input = used.input.saturating_add(used.cache_read).saturating_add(writes);
    Some(GenerationView {
        id: entry.id,
        created_at: rfc3339(record.created_at_ms),
        total_cost: number(cost),
        usage: number(cost),
        tokens_prompt: input,
        tokens_completion: used.output,
        native_tokens_prompt: input,
        native_tokens_completion: used.output,
        native_tokens_reasoning: used.reasoning,
        native_tokens_cached: used.cache_read,
        num_search_results: used.web_searches,
        generation_time: entry.at_ms.saturating_sub(record.created_at_ms),
        cancelled: record.outcome == Outcome::ClientGone,
        is_byok: false,
        origin: "",
        provider_name: None,
        upstream_id: None,
        finish_reason: None,
        total_cost_usd: cost.to_string(),
        uncollected_usd: record.uncollected.to_string(),
        endpoint: record.endpoint,
        key_id: record.key_id,
        model: record.model,
        status: record.outcome,
        billing_status: record.billing_status,
        settled_by: record.settled_by,
        settled_at: rfc3339(entry.at_ms),
    })
}
