//! Automatic top-ups as their owner sees them: what is set, what is in flight, and how to end it.

use dialect::typed::typed;

use billing::ledger::{Answer, Attempt, AutoSettings, AutoTopUp, Command, Permission, Stage, StopReason};
use billing::money::NanoUsd;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use worker::{Headers, Response, console_error};

use super::checkout::{AMOUNT_CENTS, owner};
use super::form::Form;
use super::meaning::cents;
use super::settings;
use super::stripe::{Stripe, StripeError};
use super::wire::Object;
use crate::auth;
use crate::console::caller::Caller;
use crate::console::rfc3339;
use crate::context::Context;
use crate::error::{ApiError, Code};

/// The most that automatic top-ups may bring in a month, in cents.
const MAX_MONTHLY_CENTS: u64 = 10_000_000;

/// What the owner wants.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAutoTopUp {
    /// Whether the account tops itself up.
    enabled: bool,
    /// The account tops itself up when its balance is below this; what running requests hold does not count.
    /// Decimal USD, the amount at most.
    #[schema(example = "5")]
    threshold_usd: String,
    /// By how much; decimal USD, whole cents from 5 to 5,000 USD.
    #[schema(example = "20")]
    amount_usd: String,
    /// The most in a calendar month (UTC); decimal USD, up to 100,000 USD.
    #[schema(example = "100")]
    monthly_cap_usd: String,
}

/// Automatic top-ups as they are set, and how they fare.
#[derive(Serialize, ToSchema)]
pub struct AutoTopUpView {
    enabled: bool,
    /// Decimal USD.
    threshold_usd: String,
    /// Decimal USD.
    amount_usd: String,
    /// Decimal USD.
    monthly_cap_usd: String,
    /// Decimal USD, a payment that is on its way included.
    spent_this_month_usd: String,
    /// The saved method.
    method: Option<MethodView>,
    /// Why nothing is charged any more, until they are set again.
    stopped: Option<StoppedView>,
    /// The payment in flight.
    attempt: Option<AttemptView>,
}

/// A payment in flight.
#[derive(Serialize, ToSchema)]
pub struct AttemptView {
    /// Its id, as in the list of top-ups once Stripe has it.
    id: String,
    /// Decimal USD.
    amount_usd: String,
    /// When it began, RFC 3339.
    began_at: String,
    /// How far it has come.
    status: AttemptStatus,
}

/// How far a payment in flight has come.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptStatus {
    /// The card has not been charged.
    Waiting,
    /// The card is being charged, or the answer was lost.
    Charging,
    /// The payment was withdrawn. The card may have been charged before that: Stripe is asked, and if so the amount
    /// is credited.
    Withdrawn,
}

/// A saved method.
#[derive(Serialize, ToSchema)]
pub struct MethodView {
    /// As `visa`.
    brand: String,
    /// Its last four digits.
    last4: String,
}

/// Why nothing is charged any more.
#[derive(Serialize, ToSchema)]
pub struct StoppedView {
    /// `declined`, `authentication_required`, `method_unusable`, `disputed` or `cancelled`.
    #[schema(value_type = String)]
    reason: StopReason,
    /// RFC 3339.
    at: String,
}

/// Shows automatic top-ups.
///
/// # Errors
/// `invalid_api_key`.
#[utoipa::path(get, path = "/console/api/topups/auto", tag = "payments", operation_id = "getAutoTopUp",
    responses((status = 200, body = AutoTopUpView)))]
pub async fn get(headers: &Headers, context: &Context) -> Result<Response, ApiError> {
    let caller = Caller::new(headers, Permission::AccountRead, context).await?;
    let auto = ask(&caller, Command::AutoTopUp, context).await?;
    Ok(Response::from_json(&AutoTopUpView::new(&auto, context.started_ms))?)
}

/// Sets automatic top-ups. Ones that had stopped begin again.
///
/// # Errors
/// `invalid_api_key` without a session; `invalid_request`.
#[utoipa::path(put, path = "/console/api/topups/auto", tag = "payments", operation_id = "setAutoTopUp",
    request_body = NewAutoTopUp, responses((status = 200, body = AutoTopUpView)))]
pub async fn put(headers: &Headers, body: &str, context: &Context) -> Result<Response, ApiError> {
    settings(context)?;
    let caller = owner(headers, context).await?;
    let new: NewAutoTopUp = typed(body)?;
    let auto = ask(&caller, Command::SetAutoTopUp(new.settings()?), context).await?;
    Ok(Response::from_json(&AutoTopUpView::new(&auto, context.started_ms))?)
}

/// Cancels the payment in flight, and stops automatic top-ups until they are set again. What Stripe has charged
/// already is credited.
///
/// # Errors
/// `invalid_api_key` without a session.
#[utoipa::path(delete, path = "/console/api/topups/auto/attempt", tag = "payments", operation_id = "cancelAutoTopUp",
    responses((status = 200, body = AutoTopUpView)))]
pub async fn cancel(headers: &Headers, context: &Context) -> Result<Response, ApiError> {
    settings(context)?;
    let caller = owner(headers, context).await?;
    let auto = ask(&caller, Command::CancelAttempt, context).await?;
    Ok(Response::from_json(&AutoTopUpView::new(&auto, context.started_ms))?)
}

/// Forgets the saved method, here and at Stripe.
///
/// # Errors
/// `invalid_api_key` without a session; `upstream_unavailable` when Stripe does not answer.
#[utoipa::path(delete, path = "/console/api/topups/method", tag = "payments", operation_id = "forgetMethod",
    responses((status = 204)))]
pub async fn remove_method(headers: &Headers, context: &Context) -> Result<Response, ApiError> {
    let payments = settings(context)?;
    let caller = owner(headers, context).await?;
    let auto = ask(&caller, Command::AutoTopUp, context).await?;
    if let Some(method) = auto.method {
        // The account forgets it first: whether or not Stripe answers, the method is not charged any more.
        ask(&caller, Command::RemoveMethod, context).await?;
        let path = format!("/v1/payment_methods/{}/detach", method.method);
        let key = format!("detach:{}", method.method);
        match Stripe(payments).post::<Object>(&path, &Form::default(), &key).await {
            // Refused: it is detached already.
            Ok(_) | Err(StripeError::Missing | StripeError::Refused { status: 400, .. }) => {}
            Err(error) => {
                console_error!("{}: its forgotten method stays attached at Stripe: {error}", caller.routing_id)
            }
        }
    }
    Ok(Response::empty()?.with_status(204))
}

async fn ask(caller: &Caller, command: Command, context: &Context) -> Result<AutoTopUp, ApiError> {
    let answer = caller.run(command).await?;
    context.due_top_ups.note(&caller.routing_id, &answer);
    match answer {
        Answer::AutoTopUp { auto, .. } => Ok(*auto),
        other => Err(auth::unexpected(&other)),
    }
}

impl NewAutoTopUp {
    fn settings(&self) -> Result<AutoSettings, ApiError> {
        let invalid = |param: &str, sentence: &str| ApiError {
            param: Some(param.into()),
            ..ApiError::new(Code::InvalidRequest, sentence)
        };
        let whole = |param: &str, usd: &str| {
            let amount = NanoUsd::from_usd(usd).ok();
            let amount = amount.and_then(|amount| Some((amount, cents(amount)?)));
            amount.ok_or_else(|| invalid(param, "The amount must be a decimal number of USD, in whole cents."))
        };
        let (threshold, threshold_cents) = whole("threshold_usd", &self.threshold_usd)?;
        let (amount, amount_cents) = whole("amount_usd", &self.amount_usd)?;
        let (monthly_cap, cap_cents) = whole("monthly_cap_usd", &self.monthly_cap_usd)?;
        // What is switched off may be anything.
        if self.enabled && !AMOUNT_CENTS.contains(&amount_cents) {
            return Err(invalid("amount_usd", "The amount must be 5 to 5,000 USD, in whole cents."));
        }
        // One top-up must end the shortage that it is made for, or the next one would follow at once.
        if self.enabled && threshold_cents > amount_cents {
            return Err(invalid("threshold_usd", "The threshold must not be above the amount."));
        }
        if self.enabled && !(amount_cents..=MAX_MONTHLY_CENTS).contains(&cap_cents) {
            return Err(invalid("monthly_cap_usd", "The cap must be the amount at least, and 100,000 USD at most."));
        }
        Ok(AutoSettings { enabled: self.enabled, threshold, amount, monthly_cap })
    }
}

impl AutoTopUpView {
    fn new(auto: &AutoTopUp, now_ms: i64) -> Self {
        let AutoSettings { enabled, threshold, amount, monthly_cap } = auto.settings;
        Self {
            enabled,
            threshold_usd: threshold.to_string(),
            amount_usd: amount.to_string(),
            monthly_cap_usd: monthly_cap.to_string(),
            spent_this_month_usd: auto.spent_in_month(now_ms).to_string(),
            method: auto
                .method
                .as_ref()
                .map(|method| MethodView { brand: method.brand.clone(), last4: method.last4.clone() }),
            stopped: auto.stopped.map(|stopped| StoppedView { reason: stopped.reason, at: rfc3339(stopped.at_ms) }),
            attempt: auto.attempt.as_ref().map(AttemptView::from),
        }
    }
}

impl From<&Attempt> for AttemptView {
    fn from(attempt: &Attempt) -> Self {
        Self {
            id: attempt.id.clone(),
            amount_usd: attempt.amount.to_string(),
            began_at: rfc3339(attempt.began_at_ms),
            status: match attempt.stage {
                Stage::Waiting => AttemptStatus::Waiting,
                Stage::Charging { .. } => AttemptStatus::Charging,
                Stage::Withdrawn { .. } => AttemptStatus::Withdrawn,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_checked_where_they_are_to_be_used() {
        let new = |enabled, threshold: &str, amount: &str, cap: &str| NewAutoTopUp {
            enabled,
            threshold_usd: threshold.into(),
            amount_usd: amount.into(),
            monthly_cap_usd: cap.into(),
        };
        assert!(new(true, "5", "20", "100").settings().is_ok() && new(true, "20", "20", "20").settings().is_ok());
        assert!(new(false, "0", "0", "0").settings().is_ok());
        for (new, param) in [
            (new(true, "-1", "20", "100"), "threshold_usd"),
            (new(true, "20.01", "20", "100"), "threshold_usd"),
            (new(true, "5", "4.99", "100"), "amount_usd"),
            (new(true, "5", "5000.01", "9000"), "amount_usd"),
            (new(false, "5", "20.001", "100"), "amount_usd"),
            (new(true, "5", "20", "19.99"), "monthly_cap_usd"),
            (new(true, "5", "20", "100000.01"), "monthly_cap_usd"),
        ] {
            assert_eq!(new.settings().unwrap_err().param.as_deref(), Some(param));
        }
    }
}
