//! `GET /v1/credits`: what came in and what was used.

use billing::ledger::{Answer, Command};
use serde::Serialize;
use serde_json::value::RawValue;
use worker::{Headers, Response};

use super::{Data, number};
use crate::auth;
use crate::context::Context;
use crate::error::ApiError;

/// The account's money.
#[derive(Serialize)]
struct CreditsView {
    /// USD that came in, less what went out other than by requests; without `total_usage` it is the balance.
    total_credits: Option<Box<RawValue>>,
    /// USD that requests have cost.
    total_usage: Option<Box<RawValue>>,
    total_credits_usd: String,
    total_usage_usd: String,
    balance_usd: String,
    held_usd: String,
}

/// Shows it to keys that may read the account.
///
/// # Errors
/// `invalid_api_key`.
pub async fn get(headers: &Headers, context: &Context) -> Result<Response, ApiError> {
    let key = auth::api_key(headers, context)?;
    let account = Command::Account { digest: Some(key.digest.clone()), address: context.address };
    let view = match auth::ask(&key, account, context).await? {
        Answer::Account(view) => *view,
        other => return Err(auth::unexpected(&other)),
    };
    let credits = view.balance.plus(view.used).map_err(|error| {
        worker::console_error!("{}: credits: {error}", context.request_id);
        ApiError::internal()
    })?;
    let data = CreditsView {
        total_credits: number(credits),
        total_usage: number(view.used),
        total_credits_usd: credits.to_string(),
        total_usage_usd: view.used.to_string(),
        balance_usd: view.balance.to_string(),
        held_usd: view.held.to_string(),
    };
    Ok(Response::from_json(&Data { data })?)
}
