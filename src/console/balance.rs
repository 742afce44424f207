//! `GET /console/api/balance`: the account's money at this moment.

use account::tail::{Reading, Rows, Tail};
use billing::ledger::Permission;
use billing::money::NanoUsd;
use serde::Serialize;
use utoipa::ToSchema;
use worker::{Headers, Response};

use super::caller::Caller;
use super::page::ErrorView;
use super::recent;
use crate::clock;
use crate::console::rfc3339;
use crate::context::Context;
use crate::error::ApiError;

/// The account's money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BalanceView {
    /// Everything in the journal; decimal USD.
    pub balance_usd: String,
    /// Reserved by running requests; decimal USD.
    pub held_usd: String,
    /// The balance less what is held; decimal USD.
    pub available_usd: String,
    /// What requests cost beyond the balance since money last came in; decimal USD. While it is above zero, no
    /// request is admitted.
    pub uncollected_usd: String,
    /// Requests that run now.
    pub running: u64,
    /// When this was so.
    #[schema(format = DateTime)]
    pub as_of: String,
}

/// Shows the account's money.
///
/// # Errors
/// `invalid_api_key`.
#[utoipa::path(get, path = "/console/api/balance", tag = "account", operation_id = "getBalance",
    responses((status = 200, body = BalanceView), (status = "default", body = ErrorView)))]
pub async fn get(headers: &Headers, context: &Context) -> Result<Response, ApiError> {
    let caller = Caller::new(headers, Permission::AccountRead, context).await?;
    let reading = Reading { rows: Rows::Waiting { before: None }, limit: 0, names: false };
    let tail = recent::read(&caller, reading).await?;
    Ok(Response::from_json(&BalanceView::new(&tail, clock::now_ms()))?)
}

impl BalanceView {
    /// The money of a moment.
    #[must_use]
    pub fn new(tail: &Tail, now_ms: i64) -> Self {
        let available = tail.balance.minus(tail.held).unwrap_or(NanoUsd::ZERO);
        Self {
            balance_usd: tail.balance.to_string(),
            held_usd: tail.held.to_string(),
            available_usd: available.to_string(),
            uncollected_usd: tail.uncollected.to_string(),
            running: tail.running,
            as_of: rfc3339(now_ms),
        }
    }
}
