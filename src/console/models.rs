//! `GET /console/api/models`: what can be asked for and what it costs, for everybody.

use serde::Serialize;
use utoipa::ToSchema;
use worker::Response;

use super::page::ErrorView;
use crate::context::Context;
use crate::error::ApiError;

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
pub async fn list(_context: &Context) -> Result<Response, ApiError> {
    Err(ApiError::internal())
}
