//! The account's own API, for a signed-in customer.
//!
//! The first sign-in makes the account; it is idempotent at every step, so a lost answer does no harm.

use billing::ledger::{Answer, Command, CreateKey, Enter, EntryKind, KeyLimits, Permission};
use billing::money::NanoUsd;
use serde::{Deserialize, Serialize};
use worker::{Headers, Response};

use crate::context::Context;
use crate::error::{ApiError, Code};
use crate::{auth, d1, entropy, ids, keys, token};

/// The longest name of a key, in characters.
const MAX_NAME_CHARS: usize = 100;

/// `POST /console/api/account`: the account of this user, made if there was none.
#[derive(Serialize)]
struct AccountView {
    account_id: String,
    /// Decimal USD.
    balance_usd: String,
    /// Decimal USD, reserved by running requests.
    held_usd: String,
}

/// A key to make.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    name: String,
    /// All when absent.
    permissions: Option<Vec<Permission>>,
}

/// A key that was made; `key` is shown this once.
#[derive(Serialize)]
struct KeyView {
    id: String,
    key: String,
    name: String,
    permissions: Vec<Permission>,
}

/// Makes or shows the account.
///
/// # Errors
/// `invalid_api_key` without a session.
pub async fn account(headers: &Headers, context: &Context) -> Result<Response, ApiError> {
    let user_id = session_user(headers, context)?;
    let db = context.env.d1(d1::BINDING)?;
    let fresh = ids::account_id(&ids::encode(&random::<10>()?));
    let account_id = d1::accounts::find_or_create(&db, &user_id, &fresh, context.started_ms).await?;
    call(&account_id, Command::Provision { account_id: account_id.clone() }, context).await?;
    if context.config.welcome_credit > NanoUsd::ZERO {
        // The id makes it once for each account, whatever the amount is by then: a later change of the
        // amount is a conflict, which means that the account has had its welcome.
        let enter = Enter { id: "welcome".into(), kind: EntryKind::Grant, amount: context.config.welcome_credit };
        match client(&account_id, context)?.call(Command::Enter(enter)).await.map_err(auth::unanswered)? {
            Ok(_) | Err(billing::ledger::Refusal::Conflict) => {}
            Err(refusal) => return Err(auth::refused(&refusal)),
        }
    }
    match call(&account_id, Command::Balance, context).await? {
        Answer::Balance { balance, held } => {
            json(&AccountView { account_id, balance_usd: balance.to_string(), held_usd: held.to_string() })
        }
        other => Err(auth::unexpected(&other)),
    }
}

/// Makes a key.
///
/// # Errors
/// `invalid_api_key` without a session, `invalid_request` for a body of another shape.
pub async fn create_key(headers: &Headers, body: &str, context: &Context) -> Result<Response, ApiError> {
    let user_id = session_user(headers, context)?;
    let new: NewKey = serde_json::from_str(body)
        .map_err(|_| ApiError::new(Code::InvalidRequest, "The body must be {\"name\", \"permissions\"?}."))?;
    let length = new.name.chars().count();
    if length == 0 || length > MAX_NAME_CHARS {
        let sentence = format!("The name must have 1 to {MAX_NAME_CHARS} characters.");
        return Err(ApiError { param: Some("name".into()), ..ApiError::new(Code::InvalidRequest, sentence) });
    }
    let no_account =
        || ApiError::new(Code::InvalidRequest, "There is no account yet: POST /console/api/account first.");
    let account_id = d1::accounts::find(&context.env.d1(d1::BINDING)?, &user_id).await?.ok_or_else(no_account)?;
    let routing_id = ids::routing_id(&account_id).ok_or_else(ApiError::internal)?;
    let pepper = context.config.peppers.first().ok_or_else(ApiError::internal)?;
    let (key, stored) = keys::mint(pepper, routing_id, random()?);
    let all = Permission::ALL.to_vec();
    let create = CreateKey {
        key_id: format!("key_{}", ids::encode(&random::<10>()?)),
        digest: stored.digest,
        name: new.name.clone(),
        permissions: new.permissions.unwrap_or(all),
        limits: KeyLimits::default(),
        by: None,
    };
    let (id, permissions) = (create.key_id.clone(), create.permissions.clone());
    call(&account_id, Command::CreateKey(create), context).await?;
    Ok(json(&KeyView { id, key, name: new.name, permissions })?.with_status(201))
}

fn session_user(headers: &Headers, context: &Context) -> Result<String, ApiError> {
    let refused = || ApiError::new(Code::InvalidApiKey, "Sign in to use the console.");
    let sessions = context.config.sessions.as_ref().ok_or_else(refused)?;
    let bearer = auth::bearer(headers)?.ok_or_else(refused)?;
    token::session_user(&bearer, sessions, context.started_ms).map_err(|_| refused())
}

fn client(account_id: &str, context: &Context) -> Result<account::client::AccountClient, ApiError> {
    let routing_id = ids::routing_id(account_id).ok_or_else(ApiError::internal)?;
    Ok(context.account(routing_id)?)
}

async fn call(account_id: &str, command: Command, context: &Context) -> Result<Answer, ApiError> {
    let result = client(account_id, context)?.call(command).await.map_err(auth::unanswered)?;
    result.map_err(|refusal| match refusal {
        billing::ledger::Refusal::TooManyKeys => {
            ApiError::new(Code::InvalidRequest, "This account has as many keys as an account may have.")
        }
        other => auth::refused(&other),
    })
}

fn random<const N: usize>() -> Result<[u8; N], ApiError> {
    entropy::random().map_err(|error| {
        worker::console_error!("{error}");
        ApiError::internal()
    })
}

fn json<T: Serialize>(value: &T) -> Result<Response, ApiError> {
    Ok(Response::from_json(value)?)
}
