//! What a request may cost: the price in effect, and how much is to be reserved for it.

use billing::hold::{HoldRequest, LEAST_OUTPUT_TOKENS, OutputBound};
use billing::ledger::Refusal;
use billing::money::PicoUsd;
use billing::price::{Price, Rates};
use catalog::{Model, WhenClientLeaves};
use dialect::client::ClientRequest;

use super::pump::STREAM_HOLD_TOKENS;
use crate::auth;
use crate::context::Context;
use crate::error::{ApiError, Code};

/// The price in effect, and whether the model is one without.
///
/// # Errors
/// `model_not_available` for models without a price, unless they are allowed.
pub fn price(model: &Model, now_ms: i64, context: &Context) -> Result<(Price, bool), ApiError> {
    match model.price_at(now_ms) {
        Some(price) if !price.is_free() => Ok((*price, false)),
        _ if !context.config.allow_unpriced_models => Err(ApiError::model_not_available()),
        Some(price) => Ok((*price, true)),
        // Its first price is still to come: it is not for sale yet, and not free either.
        None if !model.prices.is_empty() => Err(ApiError::model_not_available()),
        None => {
            let output = model.max_output_tokens.map(|_| PicoUsd::ZERO);
            Ok((Price { effective_at_ms: 0, rates: Rates { output, ..Rates::default() }, long_input: None }, true))
        }
    }
}

/// A model without an output price serves embeddings only, and the others do not.
///
/// # Errors
/// `invalid_request`.
pub fn fits_endpoint(request: &ClientRequest<'_>, price: &Price, unpriced: bool) -> Result<(), ApiError> {
    let generates = price.rates.output.is_some();
    // Without prices nobody knows what a model does.
    if unpriced || generates == request.generates() {
        return Ok(());
    }
    let sentence = if generates {
        "This model does not make embeddings. Use it with /v1/chat/completions."
    } else {
        "This model makes embeddings only. Use it with /v1/embeddings."
    };
    Err(ApiError { param: Some("model".into()), ..ApiError::new(Code::InvalidRequest, sentence) })
}

/// What is to be reserved.
///
/// # Errors
/// `invalid_request` for a request that could cost more than any account can hold.
pub fn hold(request: &ClientRequest<'_>, model: &Model, price: &Price) -> Result<HoldRequest, ApiError> {
    let facts = request.facts();
    let input = input_bound(request, model);
    let output = request.generates().then(|| {
        let most = most_output(request, model);
        let wanted = if grows(request, model) { most.min(STREAM_HOLD_TOKENS) } else { most };
        let least = LEAST_OUTPUT_TOKENS.max(facts.least_output.unwrap_or(0)).min(wanted);
        // A lower limit in the request would bound nothing: what the model can make is held, or it is not asked.
        let least = if model.reasoning_beyond_limit && !grows(request, model) { wanted } else { least };
        OutputBound { wanted, least, choices: facts.n }
    });
    HoldRequest::new(price, input, facts.one_hour_marks, output)
        .and_then(|hold| hold.beyond_output(facts.input.predicted(model.vocabulary)))
        .map_err(|_| auth::refused(&Refusal::TooLarge))
}

/// The most input tokens that the request can have.
fn input_bound(request: &ClientRequest<'_>, model: &Model) -> u64 {
    request.facts().input.bound(model.vocabulary, model.image_tokens, model.context_window)
}

/// The most input tokens that a provider can have counted: its window, or what many embeddings have together.
#[must_use]
pub fn most_input(request: &ClientRequest<'_>, model: &Model) -> u64 {
    input_bound(request, model).max(model.context_window)
}

/// The most output tokens of each choice: the client's limit, else the model's; always the model's where the
/// client's leaves its reasoning unbounded.
#[must_use]
pub fn most_output(request: &ClientRequest<'_>, model: &Model) -> u64 {
    let most = model_output(model);
    let asked = request.facts().max_output.filter(|_| !model.reasoning_beyond_limit);
    asked.unwrap_or(most).min(most)
}

/// The most output tokens that the model makes.
#[must_use]
pub fn model_output(model: &Model) -> u64 {
    model.max_output_tokens.unwrap_or(model.context_window)
}

/// Whether the hold may begin small and grow: only what is seen as it is produced can be stopped in time.
#[must_use]
pub fn grows(request: &ClientRequest<'_>, model: &Model) -> bool {
    request.facts().stream && !hides(request, model)
}

/// What is done with the upstream when the client of a stream leaves: the catalogue's word, else an upstream whose
/// output was all seen is ended at once, and one that reasons out of sight is read for its usage.
#[must_use]
pub fn when_client_leaves(request: &ClientRequest<'_>, model: &Model) -> WhenClientLeaves {
    let usual = if hides(request, model) { WhenClientLeaves::Read } else { WhenClientLeaves::Stop };
    model.when_client_leaves.unwrap_or(usual)
}

/// Whether the model may reason out of sight, by itself or because the client asks it to.
#[must_use]
pub fn hides(request: &ClientRequest<'_>, model: &Model) -> bool {
    model.hidden_reasoning || request.facts().may_hide_reasoning
}

#[cfg(test)]
mod tests {
    use billing::money::NanoUsd;

    use super::*;

    /// Ten dollars a million output tokens, and at most 10,000 of them.
    fn model(reasoning_beyond_limit: bool) -> (Model, Price) {
        let model = Model {
            id: "m".into(),
            owned_by: "o".into(),
            display_name: "M".into(),
            context_window: 100_000,
            max_output_tokens: Some(10_000),
            image_tokens: None,
            limit_field: None,
            when_client_leaves: None,
            hidden_reasoning: true,
            reasoning_beyond_limit,
            tokens_per_s: None,
            vocabulary: Default::default(),
            capabilities: vec!["reasoning".into()],
            created: 0,
            enabled: true,
            prices: Vec::new(),
            routes: Vec::new(),
        };
        let output = Some(PicoUsd::new(10_000_000).unwrap());
        (model, Price { effective_at_ms: 0, rates: Rates { output, ..Rates::default() }, long_input: None })
    }

    fn held(members: &str, beyond: bool, available: i64) -> Option<(u64, i64)> {
        let body = format!(r#"{{"model":"m",{members}"messages":[{{"role":"user","content":"hi"}}]}}"#);
        let request = ClientRequest::chat(&body).unwrap();
        let (model, price) = model(beyond);
        let hold = hold(&request, &model, &price).unwrap();
        let granted = hold.grant(NanoUsd::new(available).unwrap())?;
        Some((granted.output.unwrap(), granted.amount.nano()))
    }

    #[test]
    fn where_a_limit_leaves_reasoning_unbounded_the_whole_of_the_model_is_held() {
        for members in [r#""max_tokens":1,"#, r#""max_completion_tokens":1,"#, "", r#""max_tokens":1,"stream":true,"#] {
            let (output, amount) = held(members, true, 1_000_000_000).unwrap();
            assert_eq!((output, amount), (10_000, 100_000_000), "{members}");
            // Five cents do not cover the ten that it may cost, and no lower limit makes it cost less.
            assert_eq!(held(members, true, 50_000_000), None, "{members}");
        }
        assert_eq!(held(r#""max_tokens":1,"#, false, 50_000_000).map(|(output, _)| output), Some(1));
        assert_eq!(held("", false, 50_000_000).map(|(output, _)| output), Some(5_000));
    }

    #[test]
    fn of_a_hundred_requests_on_five_cents_no_more_is_spent_than_was_held() {
        let mut balance = 50_000_000_i64;
        let mut spent = 0_i64;
        for _ in 0..100 {
            // Each costs all that the model can make, whatever its limit says.
            let Some((_, amount)) = held(r#""max_tokens":1,"#, true, balance) else { continue };
            let cost = 100_000_000;
            assert!(cost <= amount);
            spent += cost;
            balance -= cost;
        }
        assert_eq!((spent, balance), (0, 50_000_000));
    }
}
