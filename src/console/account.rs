//! `/console/api/account` and `/console/api/sessions`: the account of a user, and the end of its sessions.
//!
//! The first sign-in makes the account. It is idempotent at every step, so a lost answer does no harm, and two of
//! them at once make one account with one welcome.

use account::client::AccountClient;
use billing::ledger::{Answer, Command, Enter, EntryKind, Permission, Refusal};
use billing::money::NanoUsd;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use worker::{Headers, Response};

use super::caller::Caller;
use super::{random, rfc3339};
use crate::context::Context;
use crate::error::ApiError;
use crate::session::{self, Session};
use crate::{auth, d1, ids};

/// The id of the entry that is an account's welcome. It makes it once for each account, whatever the amount is by
/// then: a later change of the amount is a conflict, which means that the account has had its welcome.
const WELCOME: &str = "welcome";

/// An account.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct AccountView {
    account_id: String,
    /// Who is signed in; null for a key.
    user: Option<UserView>,
    /// RFC 3339.
    created_at: String,
    /// Everything in the journal. Decimal USD, as all amounts.
    balance_usd: String,
    /// Reserved by running requests.
    held_usd: String,
    /// The balance without what is held.
    available_usd: String,
    /// What requests cost beyond the balance since money last came in; above 0 nothing is served.
    uncollected_usd: String,
}

/// A user.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct UserView {
    /// A UUID.
    id: String,
    email: Option<String>,
}

/// `POST /console/api/account`: makes the account of the user who is signed in, or shows it.
///
/// # Errors
/// `invalid_api_key` without a session.
#[utoipa::path(
    post, path = "/console/api/account", tag = "account", operation_id = "createAccount",
    responses((status = 200, body = AccountView), (status = 401, description = "No session.")),
)]
pub async fn create(headers: &Headers, context: &Context) -> Result<Response, ApiError> {
    let session = session::of(headers, context).await?;
    let db = context.env.d1(d1::BINDING)?;
    let fresh = ids::account_id(&ids::encode(&random::<10>()?));
    let account_id = d1::accounts::find_or_create(&db, &session.user_id, &fresh, context.started_ms).await?;
    let routing_id = ids::routing_id(&account_id).ok_or_else(ApiError::internal)?;
    let client = context.account(routing_id)?.of_session(session.issued_at_s);
    let provision = Command::Provision { account_id: account_id.clone() };
    client.call(provision).await.map_err(auth::unanswered)?.map_err(|refusal| auth::refused(&refusal))?;
    if context.config.welcome_credit > NanoUsd::ZERO {
        let enter = Enter { id: WELCOME.into(), kind: EntryKind::Grant, amount: context.config.welcome_credit };
        match client.call(Command::Enter(enter)).await.map_err(auth::unanswered)? {
            Ok(_) | Err(Refusal::Conflict) => {}
            Err(refusal) => return Err(auth::refused(&refusal)),
        }
    }
    show(&client, Some(&session)).await
}

/// `GET /console/api/account`: shows the account of the user who is signed in, or of a key.
///
/// # Errors
/// `invalid_api_key`; `invalid_request` with 404 for a user who has none.
#[utoipa::path(
    get, path = "/console/api/account", tag = "account", operation_id = "getAccount",
    responses(
        (status = 200, body = AccountView),
        (status = 401, description = "Neither a session nor a key."),
        (status = 404, description = "The user has no account yet."),
    ),
)]
pub async fn get(headers: &Headers, context: &Context) -> Result<Response, ApiError> {
    let caller = Caller::new(headers, Permission::AccountRead, context).await?;
    show(&caller.client, caller.session()).await
}

/// `DELETE /console/api/sessions`: refuses every access token that was issued until now. Refresh tokens are the
/// sign-in service's: until `POST {supabase_url}/auth/v1/logout?scope=global` ends them there, with one of the user's
/// own access tokens, a device that holds one can get a new session. The web app does both.
///
/// # Errors
/// `invalid_api_key` without a session; `invalid_request` with 404 for a user who has no account.
#[utoipa::path(
    delete, path = "/console/api/sessions", tag = "account", operation_id = "endSessions",
    responses((status = 204, description = "All sessions are over."), (status = 401, description = "No session.")),
)]
pub async fn end_sessions(headers: &Headers, context: &Context) -> Result<Response, ApiError> {
    match Caller::owner(headers, context).await?.run(Command::EndSessions).await? {
        Answer::SessionsEnded => Ok(Response::empty()?.with_status(204)),
        other => Err(auth::unexpected(&other)),
    }
}

async fn show(client: &AccountClient, session: Option<&Session>) -> Result<Response, ApiError> {
    let view = match client.call(Command::Account { digest: None, address: None }).await.map_err(auth::unanswered)? {
        Ok(Answer::Account(view)) => *view,
        Ok(other) => return Err(auth::unexpected(&other)),
        Err(refusal) => return Err(auth::refused(&refusal)),
    };
    // Each hold was granted from what was available, so this is never below zero but after a refund.
    let available = view.balance.minus(view.held).unwrap_or(view.balance);
    Ok(Response::from_json(&AccountView {
        account_id: view.account_id,
        user: session.map(|session| UserView { id: session.user_id.clone(), email: session.email.clone() }),
        created_at: rfc3339(view.created_at_ms),
        balance_usd: view.balance.to_string(),
        held_usd: view.held.to_string(),
        available_usd: available.to_string(),
        uncollected_usd: view.uncollected.to_string(),
    })?)
}
