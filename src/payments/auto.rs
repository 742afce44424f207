//! Automatic top-ups: what the owner sets, and the charges that accounts ask for.
//!
//! The account decides that money is wanted and names the attempt; here it is charged, under the attempt's id, so
//! whoever is told of an attempt may charge it. Nobody waits for that: a charge runs after the response.

use dialect::typed::typed;
use std::cell::RefCell;
use std::rc::Rc;

use billing::ledger::{Answer, Attempt, AutoSettings, AutoTopUp, Command, Permission, StopReason};
use billing::money::NanoUsd;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use worker::{Headers, Response, console_error};

use super::books::{Books, Failed};
use super::checkout::{AMOUNT_CENTS, owner};
use super::form::Form;
use super::meaning::{ACCOUNT_ID, KIND, Kind, Status, TOPUP_ID, TopUp, cents};
use super::settings;
use super::stripe::{Stripe, StripeError};
use super::wire::{List, Object, PaymentIntent};
use crate::console::caller::Caller;
use crate::console::rfc3339;
use crate::context::Context;
use crate::error::{ApiError, Code};
use crate::{auth, clock, ids};

/// The most that automatic top-ups may bring in a month, in cents.
const MAX_MONTHLY_CENTS: u64 = 10_000_000;

/// How long an attempt is charged under its id alone, in milliseconds: Stripe forgets idempotency keys after a day.
/// An older one is looked for first.
const KEY_LIFE_MS: i64 = 20 * 3_600_000;

/// Attempts that accounts have named while a request or a cron ran. They are charged at its end.
#[derive(Clone, Default)]
pub struct DueTopUps(Rc<RefCell<Vec<(String, Attempt)>>>);

impl DueTopUps {
    /// Notes what the account with this routing id answered.
    pub fn note(&self, routing_id: &str, answer: &Answer) {
        let (Answer::Settled { top_up, .. } | Answer::AutoTopUp { top_up, .. }) = answer else { return };
        if let Some(attempt) = top_up {
            self.0.borrow_mut().push((routing_id.to_owned(), Attempt::clone(attempt)));
        }
    }
}

/// Charges what was noted. What fails is logged, and named by its account again.
pub async fn charge_due(context: &Context) {
    let due = context.due_top_ups.0.take();
    // Without payments nobody could have saved a method.
    let Some(payments) = context.config.payments.as_ref().filter(|_| !due.is_empty()) else { return };
    let books = Books::new(context, Stripe(payments));
    for (routing_id, attempt) in due {
        if let Err(error) = charge(&books, &ids::account_id(&routing_id), &attempt).await {
            console_error!("{}: it is not charged yet: {error}", attempt.id);
        }
    }
}

async fn charge(books: &Books<'_>, account_id: &str, attempt: &Attempt) -> Result<(), Failed> {
    let age_ms = clock::now_ms().saturating_sub(attempt.began_at_ms);
    if age_ms > KEY_LIFE_MS
        && let Some(intent) = charged_before(books, attempt).await?
    {
        return books.intent(&intent).await.map(drop);
    }
    // What may be set is whole cents.
    let cents = cents(attempt.amount).unwrap_or_default();
    let form = Form::default()
        .with("amount", cents)
        .with("currency", "usd")
        .with("customer", &attempt.customer)
        .with("payment_method", &attempt.method)
        .with("off_session", "true")
        .with("confirm", "true")
        // Nobody is there to be sent to another page.
        .with("automatic_payment_methods[enabled]", "true")
        .with("automatic_payment_methods[allow_redirects]", "never")
        .with("description", "One Interface credit, automatic top-up")
        .with(&format!("metadata[{ACCOUNT_ID}]"), account_id)
        .with(&format!("metadata[{TOPUP_ID}]"), &attempt.id)
        .with(&format!("metadata[{KIND}]"), Kind::Auto.text())
        .with("expand[0]", "latest_charge");
    let reason = match books.stripe.post::<PaymentIntent>("/v1/payment_intents", &form, &attempt.id).await {
        Ok(intent) => return books.intent(&intent).await.map(drop),
        Err(StripeError::Declined(error)) => stop_reason(error.code.as_deref()),
        Err(StripeError::Missing | StripeError::Refused { status: 400, .. }) => StopReason::MethodUnusable,
        Err(error) => return Err(error.into()),
    };
    let refused = TopUp {
        id: attempt.id.clone(),
        account_id: account_id.to_owned(),
        kind: Kind::Auto,
        cents,
        status: Status::Failed,
        session: None,
        intent: None,
        saves_method: false,
        created_at_ms: attempt.began_at_ms,
    };
    books.refused(&refused, reason).await
}

/// The payment of an attempt that was made and whose answer was lost, long ago.
async fn charged_before(books: &Books<'_>, attempt: &Attempt) -> Result<Option<PaymentIntent>, StripeError> {
    let since_s = attempt.began_at_ms.div_euclid(1_000).saturating_sub(60);
    let query = Form::default().with("customer", &attempt.customer).with("limit", 100).with("created[gte]", since_s);
    let page: List<PaymentIntent> = books.stripe.get("/v1/payment_intents", &query).await?;
    Ok(page.data.into_iter().find(|intent| intent.metadata.get(TOPUP_ID) == Some(&attempt.id)))
}

/// Why a payment was refused, by the code of the refusal.
#[must_use]
pub fn stop_reason(code: Option<&str>) -> StopReason {
    match code {
        Some("authentication_required") => StopReason::AuthenticationRequired,
        _ => StopReason::Declined,
    }
}

/// What the owner wants.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAutoTopUp {
    /// Whether the account tops itself up.
    enabled: bool,
    /// Below this much available money it does; decimal USD.
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
    /// `declined`, `authentication_required`, `method_unusable` or `disputed`.
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
        // There first: an account that forgot it could not say any more what is to be forgotten there.
        let path = format!("/v1/payment_methods/{}/detach", method.method);
        let key = format!("detach:{}", method.method);
        match Stripe(payments).post::<Object>(&path, &Form::default(), &key).await {
            // Refused: it is detached already.
            Ok(_) | Err(StripeError::Missing | StripeError::Refused { status: 400, .. }) => {}
            Err(error) => return Err(error.into()),
        }
        ask(&caller, Command::RemoveMethod, context).await?;
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
        let (threshold, _) = whole("threshold_usd", &self.threshold_usd)?;
        let (amount, amount_cents) = whole("amount_usd", &self.amount_usd)?;
        let (monthly_cap, cap_cents) = whole("monthly_cap_usd", &self.monthly_cap_usd)?;
        // What is switched off may be anything.
        if self.enabled && !AMOUNT_CENTS.contains(&amount_cents) {
            return Err(invalid("amount_usd", "The amount must be 5 to 5,000 USD, in whole cents."));
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
        assert!(new(true, "5", "20", "100").settings().is_ok() && new(true, "0.5", "20", "20").settings().is_ok());
        assert!(new(false, "0", "0", "0").settings().is_ok());
        for (new, param) in [
            (new(true, "-1", "20", "100"), "threshold_usd"),
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
