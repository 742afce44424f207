//! `/console/api/keys`: make, list, change and revoke keys.

pub mod change;
pub mod view;

use std::collections::BTreeSet;

use billing::ledger::{Answer, Command, CreateKey, Permission, Refusal, RotateKey, UpdateKey};
use dialect::typed::{Whole, typed, typed_change};
use worker::{Headers, Response};

use self::change::ChangedKey;
use self::view::{LimitsView, ListView, ListedView, MadeView, NewKey, RevokedView, RotatedView, Rotation};
use super::caller::Caller;
use super::page::ErrorView;
use super::{name, random, rfc3339};
use crate::context::Context;
use crate::error::{ApiError, Code};
use crate::keys::ApiKey;
use crate::{auth, ids, keys};

/// Makes a key.
///
/// # Errors
/// `invalid_request` for a body of another shape; `invalid_api_key` with 403 for a key that would do
/// more than the one that makes it.
#[utoipa::path(post, path = "/console/api/keys", tag = "keys", operation_id = "createKey", request_body = NewKey,
    responses((status = 201, body = MadeView), (status = "default", body = ErrorView)))]
pub async fn create(headers: &Headers, body: &str, context: &Context) -> Result<Response, ApiError> {
    let caller = Caller::new(headers, Permission::KeysWrite, context).await?;
    let new = typed(body)?;
    Ok(Response::from_json(&make(&caller, new, context).await?)?.with_status(201))
}

/// Makes a key in the name of `caller`.
///
/// # Errors
/// As [`create`].
pub async fn make(caller: &Caller, new: NewKey, context: &Context) -> Result<MadeView, ApiError> {
    let name = name::read("name", &new.name)?;
    let Fresh { key, key_id, stored } = fresh(caller, context)?;
    let limits = new.limits.limits(context.started_ms)?;
    let permissions = new.permissions.unwrap_or_else(|| caller.permissions());
    let permissions: Vec<Permission> = BTreeSet::from_iter(permissions).into_iter().collect();
    let create = CreateKey {
        key_id,
        digest: stored.digest,
        start: keys::start(&key).to_owned(),
        name: name.clone(),
        permissions: permissions.clone(),
        limits: limits.clone(),
        by: caller.by(),
    };
    let start = create.start.clone();
    let id = create.key_id.clone();
    match caller.client.call(Command::CreateKey(create)).await.map_err(auth::unanswered)? {
        Ok(_) => {}
        Err(Refusal::TooManyKeys) => return Err(too_many()),
        Err(other) => return Err(auth::refused(&other)),
    }
    Ok(MadeView { id, key, name, permissions, limits: LimitsView::from(&limits), start })
}

/// Lists all keys.
///
/// # Errors
/// `invalid_api_key`.
#[utoipa::path(get, path = "/console/api/keys", tag = "keys", operation_id = "listKeys",
    responses((status = 200, body = ListView), (status = "default", body = ErrorView)))]
pub async fn list(headers: &Headers, context: &Context) -> Result<Response, ApiError> {
    let caller = Caller::new(headers, Permission::AccountRead, context).await?;
    Ok(Response::from_json(&ListView { data: all(&caller, context).await? })?)
}

/// All keys of the caller's account, by id.
///
/// # Errors
/// As [`list`].
pub async fn all(caller: &Caller, context: &Context) -> Result<Vec<ListedView>, ApiError> {
    match caller.run(Command::Keys).await? {
        Answer::Keys(keys) => Ok(keys.iter().map(|view| ListedView::new(view, context.started_ms)).collect()),
        other => Err(auth::unexpected(&other)),
    }
}

/// Changes a key's name or single limits, and shows the key as it is then.
///
/// # Errors
/// `invalid_request` with 404 for an unknown key, 409 for one that has ended.
#[utoipa::path(patch, path = "/console/api/keys/{id}", tag = "keys", operation_id = "updateKey",
    params(("id" = String, Path)), request_body = ChangedKey,
    responses((status = 200, body = ListedView), (status = "default", body = ErrorView)))]
pub async fn update(id: &str, headers: &Headers, body: &str, context: &Context) -> Result<Response, ApiError> {
    let caller = Caller::new(headers, Permission::KeysWrite, context).await?;
    let ChangedKey { name, limits } = typed_change(body)?;
    let name = name.map(|name| name::read("name", &name)).transpose()?;
    let change = limits.map(|limits| limits.change(context.started_ms)).transpose()?.unwrap_or_default();
    let update = UpdateKey { key_id: id.to_owned(), name, limits: None, change, by: caller.by() };
    match caller.client.call(Command::UpdateKey(update)).await.map_err(auth::unanswered)? {
        Ok(Answer::KeyUpdated { key: Some(view), .. }) => {
            Ok(Response::from_json(&ListedView::new(&view, context.started_ms))?)
        }
        Ok(other) => Err(auth::unexpected(&other)),
        Err(refusal) => Err(of_key(&refusal)),
    }
}

/// Ends a key and those that it made.
///
/// # Errors
/// `invalid_request` with 404 for an unknown key.
#[utoipa::path(delete, path = "/console/api/keys/{id}", tag = "keys", operation_id = "revokeKey",
    params(("id" = String, Path)),
    responses((status = 200, body = RevokedView), (status = "default", body = ErrorView)))]
pub async fn revoke(id: &str, headers: &Headers, context: &Context) -> Result<Response, ApiError> {
    let caller = Caller::new(headers, Permission::KeysWrite, context).await?;
    Ok(Response::from_json(&end(&caller, id).await?)?)
}

/// Ends a key in the name of `caller`.
///
/// # Errors
/// As [`revoke`].
pub async fn end(caller: &Caller, id: &str) -> Result<RevokedView, ApiError> {
    let revoke = Command::RevokeKey { key_id: id.to_owned(), by: caller.by() };
    match caller.client.call(revoke).await.map_err(auth::unanswered)? {
        Ok(Answer::KeyRevoked { key_ids }) => Ok(RevokedView { revoked: key_ids }),
        Ok(other) => Err(auth::unexpected(&other)),
        Err(refusal) => Err(of_key(&refusal)),
    }
}

/// Puts a new key in another one's place, which goes on for a while.
///
/// # Errors
/// `invalid_request` with 404 for an unknown key, 409 for one that has ended.
#[utoipa::path(post, path = "/console/api/keys/{id}/rotate", tag = "keys", operation_id = "rotateKey",
    params(("id" = String, Path)), request_body = Rotation,
    responses((status = 201, body = RotatedView), (status = "default", body = ErrorView)))]
pub async fn rotate(id: &str, headers: &Headers, body: &str, context: &Context) -> Result<Response, ApiError> {
    let caller = Caller::new(headers, Permission::KeysWrite, context).await?;
    let body = if body.is_empty() { "{}" } else { body };
    let Rotation { grace_seconds } = typed(body)?;
    let grace_s = grace_seconds.map_or(0, |Whole(seconds)| seconds);
    let Fresh { key, key_id, stored } = fresh(&caller, context)?;
    let rotation = RotateKey {
        key_id: id.to_owned(),
        new_key_id: key_id,
        digest: stored.digest,
        start: keys::start(&key).to_owned(),
        grace_ms: u64::from(grace_s).saturating_mul(1_000),
        by: caller.by(),
    };
    match caller.client.call(Command::RotateKey(rotation)).await.map_err(auth::unanswered)? {
        Ok(Answer::KeyRotated { key: new, old_ends_at_ms }) => {
            let made = MadeView {
                id: new.key_id,
                key,
                start: new.start,
                name: new.name,
                permissions: new.permissions,
                limits: LimitsView::from(&new.limits),
            };
            let view = RotatedView { made, replaces: id.to_owned(), old_key_ends_at: rfc3339(old_ends_at_ms) };
            Ok(Response::from_json(&view)?.with_status(201))
        }
        Ok(other) => Err(auth::unexpected(&other)),
        Err(refusal) => Err(of_key(&refusal)),
    }
}

/// A key that the account does not know yet.
struct Fresh {
    key: String,
    key_id: String,
    stored: ApiKey,
}

fn fresh(caller: &Caller, context: &Context) -> Result<Fresh, ApiError> {
    let pepper = context.config.peppers.first().ok_or_else(ApiError::internal)?;
    let (key, stored) = keys::mint(pepper, &caller.routing_id, random()?);
    Ok(Fresh { key, key_id: format!("key_{}", ids::encode(&random::<10>()?)), stored })
}

fn too_many() -> ApiError {
    ApiError::new(Code::InvalidRequest, "This account has as many keys as an account may have.")
}

/// Refusals that speak of the key in the path, not of the caller's.
fn of_key(refusal: &Refusal) -> ApiError {
    match refusal {
        Refusal::TooManyKeys => too_many(),
        Refusal::UnknownKey => ApiError::new(Code::InvalidRequest, "There is no such key.").with_status(404),
        Refusal::RevokedKey | Refusal::ExpiredKey => {
            ApiError::new(Code::InvalidRequest, "This key has ended and cannot be changed.").with_status(409)
        }
        other => auth::refused(other),
    }
}
