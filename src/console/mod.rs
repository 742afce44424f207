//! The account's own API, for a signed-in customer.
//!
//! The first sign-in makes the account; it is idempotent at every step, so a lost answer does no harm.

pub mod balance;
pub mod caller;
pub mod daily;
pub mod export;
pub mod journal;
pub mod keys;
pub mod live;
pub mod models;
pub mod openapi;
pub mod page;
pub mod recent;
pub mod usage;

use billing::ledger::{Answer, Command, Enter, EntryKind};
use billing::money::NanoUsd;
use serde::Serialize;
use worker::{Headers, Response};

use crate::context::Context;
use crate::error::ApiError;
use crate::{auth, d1, entropy, ids};

/// `POST /console/api/account`: the account of this user, made if there was none.
#[derive(Serialize)]
struct AccountView {
    account_id: String,
    /// Decimal USD.
    balance_usd: String,
    /// Decimal USD, reserved by running requests.
    held_usd: String,
}

/// Makes or shows the account.
///
/// # Errors
/// `invalid_api_key` without a session.
pub async fn account(headers: &Headers, context: &Context) -> Result<Response, ApiError> {
    let user_id = caller::session_user(headers, context)?;
    let db = context.env.d1(d1::BINDING)?;
    let fresh = ids::account_id(&ids::encode(&random::<10>()?));
    let account_id = d1::accounts::find_or_create(&db, &user_id, &fresh, context.started_ms).await?;
    let client = context.account(ids::routing_id(&account_id).ok_or_else(ApiError::internal)?)?;
    let provision = Command::Provision { account_id: account_id.clone() };
    client.call(provision).await.map_err(auth::unanswered)?.map_err(|refusal| auth::refused(&refusal))?;
    if context.config.welcome_credit > NanoUsd::ZERO {
        // The id makes it once for each account, whatever the amount is by then: a later change of the
        // amount is a conflict, which means that the account has had its welcome.
        let enter = Enter { id: "welcome".into(), kind: EntryKind::Grant, amount: context.config.welcome_credit };
        match client.call(Command::Enter(enter)).await.map_err(auth::unanswered)? {
            Ok(_) | Err(billing::ledger::Refusal::Conflict) => {}
            Err(refusal) => return Err(auth::refused(&refusal)),
        }
    }
    match client.call(Command::Balance).await.map_err(auth::unanswered)? {
        Ok(Answer::Balance { balance, held }) => Ok(Response::from_json(&AccountView {
            account_id,
            balance_usd: balance.to_string(),
            held_usd: held.to_string(),
        })?),
        Ok(other) => Err(auth::unexpected(&other)),
        Err(refusal) => Err(auth::refused(&refusal)),
    }
}

fn random<const N: usize>() -> Result<[u8; N], ApiError> {
    entropy::random().map_err(|error| {
        worker::console_error!("{error}");
        ApiError::internal()
    })
}
