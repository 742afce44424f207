//! `POST /webhooks/stripe`: what Stripe tells by itself.
//!
//! Delivered at least once, in no order, and again for three days until it is answered with a success. So a
//! success is answered only once everything stands, and whatever fails is answered 500.
//! <https://docs.stripe.com/webhooks>

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use worker::{Request, Response, console_error, console_warn};

use super::books::{Books, Done, Failed};
use super::settings;
use super::signature::{self, SignatureError};
use super::stripe::Stripe;
use super::wire::Event;
use crate::context::Context;
use crate::error::{ApiError, Code};
use crate::{body, clock, floods};

/// Takes one event.
///
/// # Errors
/// `invalid_request` with 400 for what Stripe did not sign, or not for this gateway's mode; 404 where there are
/// no payments; `internal_error` when it must be told again.
#[utoipa::path(post, path = "/webhooks/stripe", tag = "payments", request_body = String,
    responses((status = 200, description = "Everything that it means is durable"), (status = 400, description = "Not signed by Stripe")))]
pub async fn post(request: &mut Request, context: &Context) -> Result<Response, ApiError> {
    let payments = settings(context)?;
    let header = request.headers().get("stripe-signature")?.unwrap_or_default();
    let refuse = |error: SignatureError| {
        console_warn!("webhook: refused: {error}");
        refused()
    };
    // 1. The signature, over the bytes as they came. Who sends no header like Stripe's sends no event.
    signature::precheck(&header, clock::now_ms().div_euclid(1_000)).map_err(refuse)?;
    let caller = context.address.map_or_else(|| "unknown".to_owned(), floods::address_source);
    let body = body::read_event(request, &caller).await?;
    let now_s = clock::now_ms().div_euclid(1_000);
    signature::verify(&header, body.as_bytes(), &payments.webhook_secrets, now_s).map_err(refuse)?;
    // 2. The event.
    let event: Event<'_> = serde_json::from_str(&body).map_err(|_| refused())?;
    if event.livemode != payments.live {
        console_error!("webhook {}: it is not of the secret key's mode", event.id);
        return Err(refused());
    }
    // 3. What it means.
    let books = Books::new(context, Stripe(payments));
    match take(&books, &event).await {
        Ok(_) => Ok(Response::ok("")?),
        Err(error) => {
            console_error!("webhook {}, {}: {error}", event.id, event.kind);
            Err(ApiError::internal())
        }
    }
}

/// Why an event must be told again.
#[derive(Debug, thiserror::Error)]
enum Untaken {
    #[error("{0}")]
    Failed(#[from] Failed),
    #[error("its object cannot be read")]
    Unreadable,
}

async fn take(books: &Books<'_>, event: &Event<'_>) -> Result<Done, Untaken> {
    let (object, kind) = (event.data.object, event.kind.as_str());
    let done = match kind {
        "checkout.session.completed"
        | "checkout.session.async_payment_succeeded"
        | "checkout.session.async_payment_failed"
        | "checkout.session.expired" => books.session(&read(object)?, Some(kind)).await?,
        "payment_intent.succeeded" | "payment_intent.payment_failed" | "payment_intent.canceled" => {
            books.intent(&read(object)?).await?
        }
        "refund.created" | "refund.updated" | "refund.failed" => books.refund(&read(object)?).await?,
        "charge.dispute.created"
        | "charge.dispute.updated"
        | "charge.dispute.funds_withdrawn"
        | "charge.dispute.funds_reinstated"
        | "charge.dispute.closed" => books.dispute(&read(object)?, Some(kind)).await?,
        _ => Done::NotOurs,
    };
    Ok(done)
}

fn read<T: DeserializeOwned>(object: &RawValue) -> Result<T, Untaken> {
    serde_json::from_str(object.get()).map_err(|_| Untaken::Unreadable)
}

fn refused() -> ApiError {
    ApiError::new(Code::InvalidRequest, "This is no event of Stripe for this gateway.")
}
