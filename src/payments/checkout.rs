//! `POST /console/api/topups`: a page of Stripe's to pay at.

use billing::money::NanoUsd;
use dialect::typed::typed;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use worker::{Headers, Response, Url};

use super::form::Form;
use super::meaning::{ACCOUNT_ID, KIND, Kind, SAVE_METHOD, TOPUP_ID, TopUp, cents};
use super::settings;
use super::stripe::{Stripe, StripeError};
use super::wire::Session;
use crate::console::caller::Caller;
use crate::context::Context;
use crate::error::{ApiError, Code};
use crate::{d1, entropy, ids};

/// The least and the most of one top-up, in cents: below, Stripe's own fee would be a large part of it; above, a
/// stolen card would be worth too much.
pub const AMOUNT_CENTS: std::ops::RangeInclusive<u64> = 500..=500_000;

/// The longest `Idempotency-Key`, in bytes: as long as Stripe takes one.
const MAX_KEY_BYTES: usize = 255;

/// A top-up to pay.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTopUp {
    /// Decimal USD, whole cents from 5 to 5,000 USD.
    #[schema(example = "20")]
    amount_usd: String,
    /// Whether the method is to be kept for automatic top-ups.
    #[serde(default)]
    save_method: bool,
}

/// Where to pay.
#[derive(Serialize, ToSchema)]
pub struct MadeTopUp {
    /// Of the top-up.
    id: String,
    /// Stripe's page.
    checkout_url: String,
}

/// Begins a top-up.
///
/// # Errors
/// `invalid_api_key` without a session; `invalid_request` for another amount, 409 when the `Idempotency-Key` was
/// used for another top-up; `upstream_unavailable` when Stripe does not answer.
#[utoipa::path(post, path = "/console/api/topups", tag = "payments", operation_id = "createTopUp",
    request_body = NewTopUp, responses((status = 201, body = MadeTopUp)))]
pub async fn create(headers: &Headers, origin: &Url, body: &str, context: &Context) -> Result<Response, ApiError> {
    let payments = settings(context)?;
    let caller = owner(headers, context).await?;
    let invalid = |sentence: &str| ApiError::new(Code::InvalidRequest, sentence);
    let new: NewTopUp = typed(body)?;
    let amount = amount_cents(&new.amount_usd).ok_or_else(|| ApiError {
        param: Some("amount_usd".into()),
        ..invalid("The amount must be 5 to 5,000 USD, in whole cents.")
    })?;
    let account_id = ids::account_id(&caller.routing_id);
    let id = topup_id(headers, &account_id)?;
    let console = payments.console_url.clone().unwrap_or_else(|| origin.origin().ascii_serialization());
    let form = session_form(&id, &account_id, amount, new.save_method, &console);
    let stripe = Stripe(payments);
    let session: Session = match stripe.post("/v1/checkout/sessions", &form, &id).await {
        Err(StripeError::KeyReused) => {
            return Err(invalid("This Idempotency-Key was used for another top-up.").with_status(409));
        }
        other => other?,
    };
    let topup = TopUp::of_session(&session, None).ok().flatten().filter(|topup| topup.cents == amount);
    let (Some(topup), Some(checkout_url)) = (topup, session.url) else {
        worker::console_error!("stripe: {}: the session is not the one that was asked for", session.id);
        return Err(ApiError::internal());
    };
    d1::topups::upsert(&context.env.d1(d1::BINDING)?, &topup, None).await?;
    Ok(Response::from_json(&MadeTopUp { id, checkout_url })?.with_status(201))
}

/// The account's owner: money is not a key's to spend.
///
/// # Errors
/// `invalid_api_key`: 401 without a session, 403 for a key.
pub async fn owner(headers: &Headers, context: &Context) -> Result<Caller, ApiError> {
    let caller = Caller::any(headers, context).await?;
    if caller.key().is_some() {
        let sentence = "Only the account's owner may do this, signed in.";
        return Err(ApiError::new(Code::InvalidApiKey, sentence).with_status(403));
    }
    Ok(caller)
}

/// An amount that may be topped up, in cents.
#[must_use]
pub fn amount_cents(usd: &str) -> Option<u64> {
    cents(NanoUsd::from_usd(usd).ok()?).filter(|cents| AMOUNT_CENTS.contains(cents))
}

/// The same id for the same `Idempotency-Key` of the account, so that a retry of the caller has the same session.
fn topup_id(headers: &Headers, account_id: &str) -> Result<String, ApiError> {
    let key = headers.get("idempotency-key")?.filter(|key| !key.is_empty());
    let bytes: [u8; 10] = match key {
        Some(key) if key.len() > MAX_KEY_BYTES => {
            return Err(ApiError::new(Code::InvalidRequest, "The Idempotency-Key is longer than 255 bytes."));
        }
        Some(key) => {
            let digest = Sha256::new().chain_update(account_id).chain_update([0]).chain_update(key).finalize();
            digest.first_chunk().copied().ok_or_else(ApiError::internal)?
        }
        None => entropy::random().map_err(|error| {
            worker::console_error!("{error}");
            ApiError::internal()
        })?,
    };
    Ok(format!("topup_{}", ids::encode(&bytes)))
}

fn session_form(id: &str, account_id: &str, cents: u64, save_method: bool, console: &str) -> Form {
    let mut form = Form::default()
        .with("mode", "payment")
        .with("client_reference_id", account_id)
        .with("success_url", format!("{console}/credits?topup={id}"))
        .with("cancel_url", format!("{console}/credits?topup={id}&cancelled=1"))
        .with("line_items[0][quantity]", 1)
        .with("line_items[0][price_data][currency]", "usd")
        .with("line_items[0][price_data][unit_amount]", cents)
        .with("line_items[0][price_data][product_data][name]", "One Interface credit");
    let mut metadata = vec![(ACCOUNT_ID, account_id), (TOPUP_ID, id), (KIND, Kind::Checkout.text())];
    if save_method {
        metadata.push((SAVE_METHOD, "1"));
        form = form.with("customer_creation", "always").with("payment_intent_data[setup_future_usage]", "off_session");
    }
    // On the payment too: refunds and disputes name it, and not the session.
    for (name, value) in metadata {
        form = form
            .with(&format!("metadata[{name}]"), value)
            .with(&format!("payment_intent_data[metadata][{name}]"), value);
    }
    form
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issue_13_null_and_the_empty_string_are_absent() {
        let new: NewTopUp = typed(r#"{"amount_usd":"20","save_method":null}"#).unwrap();
        assert!(!new.save_method);
        for absent in [r#"{"amount_usd":null}"#, r#"{"amount_usd":""}"#, "{}"] {
            assert_eq!(
                typed::<NewTopUp>(absent).err().unwrap().message,
                "the field `amount_usd` is required",
                "{absent}"
            );
        }
    }

    #[test]
    fn amounts_are_whole_cents_within_the_limits() {
        for (usd, cents) in [
            ("5", Some(500)),
            ("20.50", Some(2_050)),
            ("5000", Some(500_000)),
            ("4.99", None),
            ("5000.01", None),
            ("5.001", None),
            ("-5", None),
            ("1e3", None),
            ("", None),
        ] {
            assert_eq!(amount_cents(usd), cents, "{usd}");
        }
    }

    #[test]
    fn the_session_says_whose_it_is_on_itself_and_on_its_payment() {
        let form = session_form("topup_1", "acct_1", 2_000, false, "https://x.example");
        let text = percent_encoding::percent_decode_str(form.as_str()).decode_utf8().unwrap().into_owned();
        for field in [
            "client_reference_id=acct_1",
            "metadata[account_id]=acct_1",
            "&payment_intent_data[metadata][account_id]=acct_1",
            "&payment_intent_data[metadata][topup_id]=topup_1",
            "unit_amount]=2000",
            "success_url=https://x.example/credits?topup=topup_1",
            "cancel_url=https://x.example/credits?topup=topup_1&cancelled=1",
        ] {
            assert!(text.contains(field), "{field} in {text}");
        }
        assert!(!text.contains("setup_future_usage"));
        let kept = session_form("topup_1", "acct_1", 2_000, true, "https://x.example");
        assert!(kept.as_str().contains("setup_future_usage") && kept.as_str().contains("customer_creation=always"));
    }
}
