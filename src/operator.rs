//! What only an operator may do: money into an account that no customer paid in, audits, and a look at
//! the upstreams.

use billing::ledger::{Answer, Command, Enter, EntryKind};
use billing::money::NanoUsd;
use dialect::typed::typed;
use serde::{Deserialize, Serialize};
use worker::{Headers, Response};

use crate::console::name;
use crate::context::Context;
use crate::error::{ApiError, Code};
use crate::{auth, breakers, clock, d1, ids, token, upstream};

/// Under whom the memory for an operator's bodies is counted.
pub const CALLER: &str = "operator";

/// `POST /operator/entries`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewEntry {
    account_id: String,
    /// The operator's own id: a repeat changes nothing.
    id: String,
    kind: Kind,
    /// Decimal USD; a leading minus takes money out.
    amount_usd: String,
}

/// Why an operator moves money.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Grant,
    Adjustment,
}

#[derive(Serialize)]
struct EntryView {
    seq: u64,
    balance_usd: String,
}

/// Enters a grant or an adjustment.
///
/// # Errors
/// `invalid_api_key` without an operator's token, `invalid_request` for what is no entry; 409 when
/// the id was used for another one.
pub async fn enter(headers: &Headers, body: &str, context: &Context) -> Result<Response, ApiError> {
    authorize(headers, context)?;
    let invalid = |sentence: &str| ApiError::new(Code::InvalidRequest, sentence);
    let new: NewEntry = typed(body)?;
    let routing_id = ids::routing_id(&new.account_id).ok_or_else(|| invalid("There is no such account."))?;
    let (negative, digits) = new.amount_usd.strip_prefix('-').map_or((false, &*new.amount_usd), |rest| (true, rest));
    let amount = NanoUsd::from_usd(digits).map_err(|_| invalid("The amount must be a decimal number of USD."))?;
    let kind = match new.kind {
        Kind::Grant => EntryKind::Grant,
        Kind::Adjustment => EntryKind::Adjustment,
    };
    // Ids of operators live beside those of the gateway's own entries.
    let id = format!("operator:{}", name::read("id", &new.id)?);
    let enter = Enter { id, kind, amount: if negative { amount.negated() } else { amount } };
    match context.account(routing_id)?.call(Command::Enter(enter)).await.map_err(auth::unanswered)? {
        Ok(Answer::Entered { seq, balance }) => {
            Ok(Response::from_json(&EntryView { seq, balance_usd: balance.to_string() })?)
        }
        Ok(other) => Err(auth::unexpected(&other)),
        Err(billing::ledger::Refusal::Conflict) => Err(invalid("This id was used for another entry.").with_status(409)),
        Err(billing::ledger::Refusal::NoAccount) => Err(invalid("There is no such account.")),
        Err(other) => Err(auth::refused(&other)),
    }
}

/// `POST /operator/audit`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewAudit {
    account_id: String,
    #[serde(default)]
    repair: bool,
}

/// Audits one account.
///
/// # Errors
/// `invalid_api_key` without an operator's token, `invalid_request` for an unknown account.
pub async fn audit(headers: &Headers, body: &str, context: &Context) -> Result<Response, ApiError> {
    authorize(headers, context)?;
    let no_account = || ApiError::new(Code::InvalidRequest, "There is no such account.");
    let new: NewAudit = typed(body)?;
    let routing_id = ids::routing_id(&new.account_id).ok_or_else(no_account)?;
    match context.account(routing_id)?.audit(new.repair).await.map_err(auth::unanswered)? {
        Ok(report) => Ok(Response::from_json(&report)?),
        Err(_) => Err(no_account()),
    }
}

#[derive(Serialize)]
struct AccountsView {
    data: Vec<String>,
}

/// `GET /operator/accounts?after=ID`: ids of accounts, a page in order.
///
/// # Errors
/// `invalid_api_key` without an operator's token.
pub async fn accounts(headers: &Headers, after: &str, context: &Context) -> Result<Response, ApiError> {
    authorize(headers, context)?;
    let data = d1::accounts::page(&context.env.d1(d1::BINDING)?, after).await?;
    Ok(Response::from_json(&AccountsView { data })?)
}

#[derive(Serialize)]
struct UpstreamsView {
    data: Vec<UpstreamView>,
}

#[derive(Serialize)]
struct UpstreamView {
    id: String,
    /// Whether it can be called: it is enabled, and its secret is set and bound to its host.
    usable: bool,
    /// Those that this isolate has asked it for.
    models: Vec<breakers::ModelView>,
}

/// `GET /operator/upstreams`: every upstream of the catalogue, and how those fare that were asked by the
/// isolate that answers.
///
/// # Errors
/// `invalid_api_key` without an operator's token.
pub async fn upstreams(headers: &Headers, context: &Context) -> Result<Response, ApiError> {
    authorize(headers, context)?;
    let now_ms = clock::now_ms();
    let catalog = d1::catalogue::load(&context.env, now_ms).await?;
    let view = |known: &catalog::Upstream| UpstreamView {
        id: known.id.clone(),
        usable: upstream::is_usable(known, context),
        models: breakers::of_upstream(&known.id, now_ms),
    };
    Ok(Response::from_json(&UpstreamsView { data: catalog.upstreams.values().map(view).collect() })?)
}

/// Checks the operator's token.
///
/// # Errors
/// `invalid_api_key` without one.
pub fn authorize(headers: &Headers, context: &Context) -> Result<(), ApiError> {
    let refused = || ApiError::new(Code::InvalidApiKey, "This route needs an operator's token.");
    let secret = context.config.operator_secret.as_ref().ok_or_else(refused)?;
    let bearer = auth::bearer(headers)?.ok_or_else(refused)?;
    token::operator(&bearer, secret, context.started_ms).map_err(|_| refused())
}
