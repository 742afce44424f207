//! The catalogue as D1 keeps it: one struct a table, one field a column, and both directions.
//!
//! The tables are in `d1_migrations`: `0001_create_catalogue.sql`, and `0010` and `0011`, which add columns to models.
//! Integers stay within 2^53 − 1, lists and maps are TEXT that holds JSON, truth values are 0 or 1. Read the four
//! tables in one batch: it is one transaction, so a half-applied catalogue is never seen.

mod convert;

use serde::{Deserialize, Serialize};

#[cfg(feature = "file")]
pub(crate) use convert::named;

/// Selects every upstream.
pub const SELECT_UPSTREAMS: &str = "SELECT id, dialects, base_url, secret, priority, enabled, auth, query, \
     timeouts_ms, responses_complete, stream_options, strip, passes FROM upstreams";

/// Selects every model.
pub const SELECT_MODELS: &str = "SELECT id, owned_by, display_name, context_window, max_output_tokens, image_tokens, \
     limit_field, when_client_leaves, hidden_reasoning, reasoning_beyond_limit, tokens_per_s, vocabulary, capabilities, \
     created, enabled FROM models";

/// Selects every price that is in the catalogue now. Retired prices stay in the table as history.
pub const SELECT_PRICES: &str = "SELECT model_id, effective_at_ms, above_input, input, output, cache_read, \
     cache_write_5m, cache_write_1h, request, web_search FROM prices WHERE retired_at_ms = 0";

/// Selects every route.
pub const SELECT_ROUTES: &str = "SELECT model_id, position, upstream_id, upstream_model, priority, cost FROM routes";

/// A row of `upstreams`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamRow {
    /// Primary key.
    pub id: String,
    /// JSON array of [`crate::Dialect`].
    pub dialects: String,
    /// A [`crate::BaseUrl`] as text.
    pub base_url: String,
    /// The name of a Worker secret.
    pub secret: Option<String>,
    /// Lower is tried first.
    pub priority: u32,
    /// 0 or 1.
    pub enabled: u8,
    /// [`crate::Auth`].
    pub auth: Option<String>,
    /// JSON object of strings.
    pub query: String,
    /// JSON object, [`crate::Timeouts`].
    pub timeouts_ms: String,
    /// 0 or 1.
    pub responses_complete: u8,
    /// 0 or 1.
    pub stream_options: u8,
    /// JSON array of dotted names.
    pub strip: String,
    /// JSON array of names.
    pub passes: String,
}

/// A row of `models`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelRow {
    /// Primary key.
    pub id: String,
    /// Who made it.
    pub owned_by: String,
    /// For people.
    pub display_name: String,
    /// Tokens.
    pub context_window: u64,
    /// Tokens.
    pub max_output_tokens: Option<u64>,
    /// Tokens an image.
    pub image_tokens: Option<u64>,
    /// [`crate::LimitField`].
    pub limit_field: Option<String>,
    /// [`crate::WhenClientLeaves`].
    pub when_client_leaves: Option<String>,
    /// 0 or 1.
    pub hidden_reasoning: u8,
    /// 0 or 1.
    pub reasoning_beyond_limit: u8,
    /// Tokens a second.
    pub tokens_per_s: Option<u64>,
    /// [`dialect::tokens::Vocabulary`].
    pub vocabulary: String,
    /// JSON array of strings.
    pub capabilities: String,
    /// Unix seconds.
    pub created: i64,
    /// 0 or 1.
    pub enabled: u8,
}

/// A row of `prices`: one tier. Prices are in pico-USD per token; `request` and `web_search` are per call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceRow {
    /// A model's id. The column is not a foreign key, because prices outlive their models.
    pub model_id: String,
    /// The instant from which the price counts, in Unix milliseconds.
    pub effective_at_ms: i64,
    /// 0 in the base tier. In the long tier: the longest input, in tokens, that still has the base price.
    pub above_input: u64,
    /// Price of an input token that is neither read from nor written to a cache.
    pub input: u64,
    /// Price of an output token.
    pub output: Option<u64>,
    /// Price of an input token that is read from the cache.
    pub cache_read: Option<u64>,
    /// Price of an input token that is written to the cache for five minutes.
    pub cache_write_5m: Option<u64>,
    /// Price of an input token that is written to the cache for an hour.
    pub cache_write_1h: Option<u64>,
    /// Price of each request.
    pub request: Option<u64>,
    /// Price of each web search.
    pub web_search: Option<u64>,
}

/// A row of `routes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteRow {
    /// A model's id.
    pub model_id: String,
    /// The position of the route among the model's routes in the file, from 0.
    pub position: u32,
    /// An upstream's id.
    pub upstream_id: String,
    /// The upstream's own id of the model.
    pub upstream_model: String,
    /// Replaces the upstream's priority on this route.
    pub priority: Option<u32>,
    /// What the operator pays: a JSON object, [`billing::price::Rates`] in pico-USD.
    pub cost: Option<String>,
}

/// The rows of all four tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// `upstreams`.
    pub upstreams: Vec<UpstreamRow>,
    /// `models`.
    pub models: Vec<ModelRow>,
    /// `prices`.
    pub prices: Vec<PriceRow>,
    /// `routes`.
    pub routes: Vec<RouteRow>,
}

/// A row that `catalog apply` cannot have written: somebody edited D1 by hand, or the schema and the code differ.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{table} {id:?}: {problem}")]
pub struct RowError {
    /// The table.
    pub table: &'static str,
    /// The id of the row or of its model.
    pub id: String,
    /// The reason, for the log.
    pub problem: String,
}
