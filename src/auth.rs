//! Who calls: an API key, in either of the two headers that SDKs send it in.

use account::client::{AccountClient, CallError};
use billing::ledger::{Answer, Command, Key, Period, Permission, Refusal, Shortage};
use billing::money::NanoUsd;
use worker::Headers;

use crate::context::Context;
use crate::error::{ApiError, Code, ShortageView};
use crate::keys::{self, ApiKey};
use crate::{floods, refusals, session};

/// The key of a request, well-formed and truly tagged. Whether it still counts is the account's to say.
///
/// # Errors
/// `invalid_api_key`; no object is woken.
pub fn api_key(headers: &Headers, context: &Context) -> Result<ApiKey, ApiError> {
    tagged_key(headers, context)?
        .filter(|key| !refusals::has_ended(&key.digest) && !floods::is_blocked(&key.digest, context.started_ms))
        .ok_or_else(ApiError::invalid_api_key)
}

/// A key that is well-formed and truly tagged, even if it is known to have ended.
///
/// # Errors
/// The platform's.
pub fn tagged_key(headers: &Headers, context: &Context) -> Result<Option<ApiKey>, ApiError> {
    let bearer = bearer(headers)?;
    let x_api_key = headers.get("x-api-key")?;
    // Some clients send both, and mean one of them for us.
    let mut given = [bearer, x_api_key].into_iter().flatten();
    Ok(given.find_map(|text| keys::parse(text.trim(), &context.config.peppers)))
}

/// The token of `Authorization: Bearer`.
///
/// # Errors
/// The platform's.
pub fn bearer(headers: &Headers) -> Result<Option<String>, ApiError> {
    Ok(headers.get("authorization")?.as_deref().and_then(bearer_token).map(str::to_owned))
}

/// The scheme's name is case-insensitive (RFC 9110, section 11.1).
fn bearer_token(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Asks the account whether the key may do `permission`, or, with `None`, whether it lives. For routes
/// that admit nothing.
///
/// # Errors
/// `invalid_api_key` with 401 or 403, or what [`unanswered`] makes of silence.
pub async fn authorize(
    key: &ApiKey,
    permission: impl Into<Option<Permission>>,
    context: &Context,
) -> Result<Key, ApiError> {
    let command =
        Command::Authorize { digest: key.digest.clone(), permission: permission.into(), address: context.address };
    match ask(key, command, context).await? {
        Answer::Authorized { key } => Ok(*key),
        other => Err(unexpected(&other)),
    }
}

/// Asks the account of a key something in the key's name.
///
/// # Errors
/// As [`authorize`].
pub async fn ask(key: &ApiKey, command: Command, context: &Context) -> Result<Answer, ApiError> {
    let result = context.account(&key.routing_id)?.call(command).await.map_err(unanswered)?;
    result.map_err(|refusal| {
        refusals::note_end(&key.digest, &refusal);
        refused(&refusal)
    })
}

/// Asks the account whether the key may ask models, and whether there is any credit to pay with: before a large body
/// is read, which costs memory and time whether it is paid for or not.
///
/// # Errors
/// As [`authorize`], and `insufficient_credit`.
pub async fn may_pay(key: &ApiKey, context: &Context) -> Result<(), ApiError> {
    authorize(key, Permission::Inference, context).await?;
    has_credit(&context.account(&key.routing_id)?, context).await
}

/// Asks the account whether there is any credit that no running request holds.
///
/// # Errors
/// `insufficient_credit`, or what [`unanswered`] makes of silence.
pub async fn has_credit(account: &AccountClient, context: &Context) -> Result<(), ApiError> {
    // Models without a price cost nothing.
    if context.config.allow_unpriced_models {
        return Ok(());
    }
    let answer = account.call(Command::Balance).await.map_err(unanswered)?.map_err(|refusal| refused(&refusal))?;
    let Answer::Balance { balance, held } = answer else { return Err(unexpected(&answer)) };
    if balance <= held {
        let reason = if held > NanoUsd::ZERO && balance > NanoUsd::ZERO { "held" } else { "balance" };
        return Err(no_credit(reason, held));
    }
    Ok(())
}

/// The 402 of an account that has nothing at all.
fn no_credit(reason: &'static str, held: NanoUsd) -> ApiError {
    let passes = reason == "held";
    let sentence = if passes {
        format!(
            "Running requests hold all of your credit (${held}). Retry when they have ended, or add credit in Console."
        )
    } else {
        "Your credit is used up, and a request of this size is read only for accounts with credit. Add credit in Console.".to_owned()
    };
    ApiError {
        retry_after_s: passes.then_some(1),
        shortage: Some(Box::new(ShortageView { reason, held: held.to_string(), passes })),
        ..ApiError::new(Code::InsufficientCredit, sentence)
    }
}

/// What a refusal of the account means to the caller.
#[must_use]
pub fn refused(refusal: &Refusal) -> ApiError {
    match refusal {
        Refusal::NoAccount | Refusal::UnknownKey | Refusal::RevokedKey | Refusal::ExpiredKey => {
            ApiError::invalid_api_key()
        }
        Refusal::RotatedKey => {
            let sentence =
                "This API key was rotated: until it ends it only runs requests. Use the key that replaces it.";
            ApiError::new(Code::InvalidApiKey, sentence).with_status(403)
        }
        Refusal::NotPermitted => {
            ApiError::new(Code::InvalidApiKey, "This API key does not have the permission for this request.")
                .with_status(403)
        }
        Refusal::Exceeds => {
            ApiError::new(Code::InvalidApiKey, "An API key cannot make a key that may do more than itself.")
                .with_status(403)
        }
        Refusal::AddressNotAllowed => {
            ApiError::new(Code::InvalidApiKey, "This API key may not be used from this address.").with_status(403)
        }
        Refusal::ModelNotAllowed => {
            let error = ApiError::new(Code::InvalidApiKey, "This API key may not ask for this model.");
            ApiError { param: Some("model".into()), ..error.with_status(403) }
        }
        Refusal::ReplacedKey => {
            ApiError::new(Code::InvalidRequest, "This key was rotated: change the key that replaces it.")
                .with_status(409)
        }
        Refusal::RateLimited { retry_after_ms } => ApiError {
            retry_after_s: Some(retry_after_ms.div_ceil(1_000).max(1)),
            ..ApiError::new(Code::RateLimitExceeded, "This API key has used up its requests of this minute.")
        },
        Refusal::TooManyRunning => ApiError {
            retry_after_s: Some(1),
            ..ApiError::new(Code::RateLimitExceeded, "This API key has as many running requests as it may have.")
        },
        Refusal::InsufficientCredit { reason, available, held, needed, period } => {
            insufficient(*reason, *available, *held, *needed, *period)
        }
        Refusal::TooLarge => {
            ApiError::new(Code::InvalidRequest, "This request could cost more than any account can hold.")
        }
        Refusal::SignedOut => session::refused(),
        Refusal::Stale | Refusal::Conflict | Refusal::TooManyKeys | Refusal::UnknownHold => {
            worker::console_error!("account: refused what it should not: {refusal}");
            ApiError::internal()
        }
    }
}

/// The 402, with why.
fn insufficient(
    reason: Shortage,
    available: NanoUsd,
    held: NanoUsd,
    needed: NanoUsd,
    period: Option<Period>,
) -> ApiError {
    // A budget that was lowered below what is spent has nothing left, not less.
    let available = available.max(NanoUsd::ZERO);
    let (reason, sentence) = match reason {
        Shortage::Balance => (
            "balance",
            format!(
                "Your credit balance is too low: ${available} is available, and this request needs at least ${needed}. Add credit in Console, or lower the output limit."
            ),
        ),
        Shortage::Held => (
            "held",
            format!(
                "Your credit balance is too low while other requests run: they hold ${held}, ${available} is available, and this request needs at least ${needed}. Retry when they have ended, or add credit in Console."
            ),
        ),
        Shortage::KeyBudget => (
            "key_budget",
            format!(
                "The budget of this API key does not cover this request: ${available} is left of it, and at least ${needed} is needed. Raise the budget in Console{}.",
                renewal(period)
            ),
        ),
    };
    let passes = reason == "held";
    ApiError {
        retry_after_s: passes.then_some(1),
        shortage: Some(Box::new(ShortageView { reason, held: held.to_string(), passes })),
        ..ApiError::new(Code::InsufficientCredit, sentence)
    }
}

/// When a budget that is short has money again; nothing of one that never renews.
fn renewal(period: Option<Period>) -> &'static str {
    match period {
        Some(Period::Daily) => ", or wait until it renews at 00:00 UTC",
        Some(Period::Weekly) => ", or wait until it renews on Monday at 00:00 UTC",
        Some(Period::Monthly) => ", or wait until it renews on the first of the month at 00:00 UTC",
        Some(Period::Total) | None => "",
    }
}

/// What silence of the account means to the caller.
#[must_use]
pub fn unanswered(error: CallError) -> ApiError {
    worker::console_error!("account: {error}");
    match error {
        CallError::Overloaded => ApiError {
            retry_after_s: Some(1),
            ..ApiError::new(Code::RateLimitExceeded, "This account has too many requests at once. Retry shortly.")
        },
        CallError::Failed(_) => ApiError::internal(),
    }
}

/// The account answered another question: the two versions do not fit.
#[must_use]
pub fn unexpected(answer: &Answer) -> ApiError {
    worker::console_error!("account: unexpected answer {answer:?}");
    ApiError::internal()
}

#[cfg(test)]
mod tests {
    use billing::ledger::{Period, Shortage};
    use billing::money::NanoUsd;

    use super::{bearer_token, insufficient};

    #[test]
    fn issue_13_only_a_budget_that_renews_is_worth_waiting_for() {
        let zero = NanoUsd::ZERO;
        for (period, waits) in [
            (Some(Period::Daily), true),
            (Some(Period::Weekly), true),
            (Some(Period::Monthly), true),
            (Some(Period::Total), false),
            (None, false),
        ] {
            let error = insufficient(Shortage::KeyBudget, zero, zero, zero, period);
            assert_eq!(error.message.contains("renews"), waits, "{period:?}: {}", error.message);
            assert!(error.message.contains("Raise the budget in Console") && !error.message.contains("period"));
        }
    }

    #[test]
    fn the_scheme_is_case_insensitive() {
        for (header, token) in [
            ("Bearer oi_x", Some("oi_x")),
            ("bearer  oi_x ", Some("oi_x")),
            ("Basic oi_x", None),
            ("oi_x", None),
            ("", None),
        ] {
            assert_eq!(bearer_token(header), token, "{header}");
        }
    }
}
