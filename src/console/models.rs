//! `GET /console/api/models`: what can be asked for and what it costs, for everybody.

use billing::money::PicoUsd;
use billing::price::{Price, Rates};
use chrono::{DateTime, SecondsFormat};
use serde::Serialize;
use utoipa::ToSchema;
use worker::Response;

use super::page::ErrorView;
use crate::context::Context;
use crate::d1;
use crate::error::ApiError;
use crate::routes::models;

/// How long anybody may remember the list, in seconds: as long as an isolate does.
const CACHE_CONTROL: &str = "public, max-age=60";

/// All models.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelsView {
    /// By id.
    pub data: Vec<PublicModel>,
}

/// A model.
#[derive(Debug, Serialize, ToSchema)]
pub struct PublicModel {
    /// What it is asked for by.
    pub id: String,
    /// For people.
    pub name: String,
    /// Who made it.
    pub owned_by: String,
    /// In tokens.
    pub context_window: u64,
    /// In tokens.
    #[schema(required)]
    pub max_output_tokens: Option<u64>,
    /// What it can do, as `vision`.
    pub capabilities: Vec<String>,
    /// When it was published.
    #[schema(format = DateTime)]
    pub created: String,
    /// `null`: it costs nothing.
    #[schema(required)]
    pub pricing: Option<PricingView>,
}

/// What a model costs: decimal USD for a million tokens, or for one call where it says so.
#[derive(Debug, Serialize, ToSchema)]
pub struct PricingView {
    /// For requests of every length, or of up to `long_input.above_input` tokens of input.
    #[serde(flatten)]
    pub base: RatesView,
    /// For longer ones: every token of theirs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub long_input: Option<LongInputRates>,
}

/// The prices of long requests.
#[derive(Debug, Serialize, ToSchema)]
pub struct LongInputRates {
    /// The longest input that still has the base prices, in tokens.
    pub above_input: u64,
    /// For a million tokens, as above.
    #[serde(flatten)]
    pub rates: RatesView,
}

/// Prices; what is absent is not charged apart.
#[derive(Debug, Serialize, ToSchema)]
pub struct RatesView {
    /// Input.
    pub input: String,
    /// Output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Input read from a cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<String>,
    /// Input written to a cache for five minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_5m: Option<String>,
    /// Input written to a cache for an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<String>,
    /// One request, beside its tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// One web search.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_search: Option<String>,
}

/// Lists all models; nobody needs to be known for it.
///
/// # Errors
/// `internal_error`.
#[utoipa::path(get, path = "/console/api/models", tag = "models", operation_id = "listModels", security(()),
    responses((status = 200, body = ModelsView), (status = "default", body = ErrorView)))]
pub async fn list(context: &Context) -> Result<Response, ApiError> {
    let catalog = d1::catalogue::load(&context.env, context.started_ms).await?;
    let data = models::listed(&catalog, context).map(|model| PublicModel {
        id: model.id.clone(),
        name: model.display_name.clone(),
        owned_by: model.owned_by.clone(),
        context_window: model.context_window,
        max_output_tokens: model.max_output_tokens,
        capabilities: model.capabilities.clone(),
        created: DateTime::from_timestamp(model.created, 0)
            .unwrap_or_default()
            .to_rfc3339_opts(SecondsFormat::Millis, true),
        pricing: model.price_at(context.started_ms).map(PricingView::new),
    });
    let response = Response::from_json(&ModelsView { data: data.collect() })?;
    response.headers().set("cache-control", CACHE_CONTROL)?;
    Ok(response)
}

impl PricingView {
    fn new(price: &Price) -> Self {
        let long = |long: &billing::price::LongInput| LongInputRates {
            above_input: long.above_input,
            rates: RatesView::new(&long.rates),
        };
        Self { base: RatesView::new(&price.rates), long_input: price.long_input.as_ref().map(long) }
    }
}

impl RatesView {
    fn new(rates: &Rates) -> Self {
        let million = |price: Option<PicoUsd>| price.map(PicoUsd::usd_per_million);
        let call = |price: Option<PicoUsd>| price.map(|price| price.to_string());
        Self {
            input: rates.input.usd_per_million(),
            output: million(rates.output),
            cache_read: million(rates.cache_read),
            cache_write_5m: million(rates.cache_write_5m),
            cache_write_1h: million(rates.cache_write_1h),
            request: call(rates.request),
            web_search: call(rates.web_search),
        }
    }
}
