//! `GET /console/api/balance`: the account's money at this moment.

use serde::Serialize;
use utoipa::ToSchema;
use worker::{Headers, Response};

use super::page::ErrorView;
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
pub async fn get(_headers: &Headers, _context: &Context) -> Result<Response, ApiError> {
    Err(ApiError::internal())
}
