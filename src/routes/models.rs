//! `GET /v1/models` and `GET /v1/models/{id}`, in one shape that the OpenAI and the Anthropic SDKs
//! both read. Prices are in OpenRouter's convention: decimal strings of USD for one token or call.

use billing::ledger::{Key, Permission, Refusal};
use billing::money::PicoUsd;
use billing::price::{Price, Rates};
use catalog::{Catalog, Model};
use chrono::{DateTime, SecondsFormat};
use serde::Serialize;
use worker::{Headers, Response};

use crate::context::Context;
use crate::error::ApiError;
use crate::{auth, d1, upstream};

/// Both SDKs' page in one.
#[derive(Serialize)]
struct Page<'a> {
    object: &'static str,
    data: Vec<ModelView<'a>>,
    has_more: bool,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
}

/// Both SDKs' model in one, and what a person wants to know.
#[derive(Serialize)]
pub struct ModelView<'a> {
    /// What it is asked for by.
    pub id: &'a str,
    object: &'static str,
    r#type: &'static str,
    /// Unix seconds.
    created: i64,
    /// The same by RFC 3339.
    created_at: String,
    /// Who made it.
    pub owned_by: &'a str,
    /// For people.
    pub display_name: &'a str,
    context_window: u64,
    /// OpenRouter's name of it.
    context_length: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    capabilities: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    pricing: Option<Pricing>,
}

/// USD, as decimal strings.
#[derive(Serialize)]
pub struct Pricing {
    #[serde(flatten)]
    base: PriceView,
    /// From an input longer than this on, every token has these prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    long_input: Option<LongInputView>,
}

#[derive(Serialize)]
struct LongInputView {
    above_input: u64,
    #[serde(flatten)]
    prices: PriceView,
}

#[derive(Serialize)]
struct PriceView {
    prompt: String,
    completion: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_cache_read: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_cache_write: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_cache_write_1h: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    web_search: Option<String>,
}

/// Lists what may be asked for.
///
/// # Errors
/// `invalid_api_key`.
pub async fn list(headers: &Headers, context: &Context) -> Result<Response, ApiError> {
    let key = authorize(headers, context).await?;
    let catalog = d1::catalogue::load(&context.env, context.started_ms).await?;
    let allowed = listed(&catalog, context).filter(|model| may_ask(&key, &model.id));
    let data: Vec<ModelView<'_>> = allowed.map(|model| view(model, context)).collect();
    let page = Page {
        object: "list",
        has_more: false,
        first_id: data.first().map(|model| model.id),
        last_id: data.last().map(|model| model.id),
        data,
    };
    Ok(Response::from_json(&page)?)
}

/// Shows one model.
///
/// # Errors
/// `invalid_api_key`, with 403 for a model that the key may not ask for; `model_not_available`.
pub async fn get(id: &str, headers: &Headers, context: &Context) -> Result<Response, ApiError> {
    let key = authorize(headers, context).await?;
    let catalog = d1::catalogue::load(&context.env, context.started_ms).await?;
    let model = listed(&catalog, context).find(|model| model.id == id).ok_or_else(ApiError::model_not_available)?;
    if !may_ask(&key, &model.id) {
        return Err(auth::refused(&Refusal::ModelNotAllowed));
    }
    Ok(Response::from_json(&view(model, context))?)
}

async fn authorize(headers: &Headers, context: &Context) -> Result<Key, ApiError> {
    let key = auth::api_key(headers, context)?;
    auth::authorize(&key, Permission::Inference, context).await
}

/// Whether the key may ask for the model. The account says no itself when it is asked; this spares the asking.
#[must_use]
pub fn may_ask(key: &Key, model: &str) -> bool {
    key.limits.models.as_ref().is_none_or(|models| models.allow(model))
}

/// The models that are sold and that an upstream can serve, by id.
pub fn listed<'a>(catalog: &'a Catalog, context: &Context) -> impl Iterator<Item = &'a Model> {
    let usable = upstream::usable(catalog, context);
    catalog.models.values().filter(move |model| is_sold(model, context) && model.is_served_by(&usable))
}

/// Whether the model has a price in effect, or may be asked for without one.
fn is_sold(model: &Model, context: &Context) -> bool {
    let price = model.price_at(context.started_ms);
    let priced = price.is_some_and(|price| !price.is_free());
    let unpriced = price.is_some() || model.prices.is_empty();
    model.enabled && (priced || (unpriced && context.config.allow_unpriced_models))
}

/// The model as it is shown.
#[must_use]
pub fn view<'a>(model: &'a Model, context: &Context) -> ModelView<'a> {
    let price = model.price_at(context.started_ms);
    let created_at = DateTime::from_timestamp(model.created, 0).unwrap_or_default();
    ModelView {
        id: &model.id,
        object: "model",
        r#type: "model",
        created: model.created,
        created_at: created_at.to_rfc3339_opts(SecondsFormat::Secs, true),
        owned_by: &model.owned_by,
        display_name: &model.display_name,
        context_window: model.context_window,
        context_length: model.context_window,
        max_output_tokens: model.max_output_tokens,
        capabilities: &model.capabilities,
        pricing: price.map(pricing),
    }
}

/// The price as it is shown.
#[must_use]
pub fn pricing(price: &Price) -> Pricing {
    Pricing {
        base: price_view(&price.rates),
        long_input: price
            .long_input
            .map(|long| LongInputView { above_input: long.above_input, prices: price_view(&long.rates) }),
    }
}

fn price_view(rates: &Rates) -> PriceView {
    let shown = |price: Option<PicoUsd>| price.map(|price| price.to_string());
    PriceView {
        prompt: rates.input.to_string(),
        completion: rates.output.unwrap_or_default().to_string(),
        input_cache_read: shown(rates.cache_read),
        input_cache_write: shown(rates.cache_write_5m),
        input_cache_write_1h: shown(rates.cache_write_1h),
        request: shown(rates.request),
        web_search: shown(rates.web_search),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_decimal_strings_of_usd() {
        let pico = |usd| Some(PicoUsd::from_usd_per_million(usd).unwrap());
        let rates = Rates {
            input: pico("2.50").unwrap(),
            output: pico("10"),
            cache_read: pico("1.25"),
            request: Some(PicoUsd::from_usd_per_call("0.005").unwrap()),
            ..Rates::default()
        };
        let price = Price { effective_at_ms: 0, rates, long_input: None };
        insta::assert_json_snapshot!(pricing(&price), @r#"
        {
          "prompt": "0.0000025",
          "completion": "0.00001",
          "input_cache_read": "0.00000125",
          "request": "0.005"
        }
        "#);
    }
}
