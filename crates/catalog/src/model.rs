//! What the catalogue holds once it is read: no raw text, no half-valid state.

use std::collections::{BTreeMap, BTreeSet};

use billing::price::{Price, Rates};
use dialect::Dialect;
use dialect::tokens::Vocabulary;
use serde::{Deserialize, Serialize};

use crate::base_url::BaseUrl;

/// Every upstream and every model, by id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    /// Where requests can be sent.
    pub upstreams: BTreeMap<String, Upstream>,
    /// What customers can ask for.
    pub models: BTreeMap<String, Model>,
}

/// A provider's endpoint, or a server of the operator's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    /// Its key in [`Catalog::upstreams`].
    pub id: String,
    /// The wire formats it speaks; never empty.
    pub dialects: Vec<Dialect>,
    /// With the version, without a final slash; [`Dialect::path`] is appended.
    pub base_url: BaseUrl,
    /// The *name* of the Worker secret that holds its key; `None`: no credentials are sent.
    pub secret: Option<String>,
    /// Lower is tried first.
    pub priority: u32,
    /// A disabled upstream is never a candidate.
    pub enabled: bool,
    /// How the key is sent; `None`: as the dialect wants it, see [`Upstream::auth_for`].
    pub auth: Option<Auth>,
    /// Put into the query of every request (`api-version`).
    pub query: BTreeMap<String, String>,
    /// Deadlines that differ from the gateway's own.
    pub timeouts_ms: Timeouts,
    /// Whether its Responses endpoint can be trusted with every field of the specification, or only
    /// carries a subset.
    pub responses_complete: bool,
    /// Whether it takes the request field `stream_options`; where not, it rejects the field and reports
    /// the usage of a stream unasked.
    pub stream_options: bool,
    /// Dotted names of fields that it is known to add to answers and that are removed
    /// (`provider`, `usage.cost`).
    pub strip: Vec<String>,
    /// Request fields beyond those of its dialects that it takes at no other price (`top_k`). All others are
    /// left out of what is sent to it.
    pub passes: Vec<String>,
}

/// How an upstream's key is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Auth {
    /// `Authorization: Bearer …`.
    #[serde(rename = "bearer")]
    Bearer,
    /// The header `x-api-key` (Anthropic).
    #[serde(rename = "x-api-key")]
    XApiKey,
    /// The header `api-key` (Azure).
    #[serde(rename = "api-key")]
    ApiKey,
    /// `key=…` in the query.
    #[serde(rename = "query")]
    Query,
}

/// Deadlines in milliseconds; `None`: the gateway's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// Until the response headers of a stream, its connection included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<u64>,
    /// From the headers of a stream to its first event; `None`: as `idle`, and nobody else is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token: Option<u64>,
    /// Between two pieces of a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<u64>,
    /// For the whole request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

/// The request field that bounds the output of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitField {
    /// `max_tokens`.
    MaxTokens,
    /// `max_completion_tokens`.
    MaxCompletionTokens,
    /// `max_output_tokens`.
    MaxOutputTokens,
}

/// What is done with the upstream of a stream whose client leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenClientLeaves {
    /// The upstream is ended at once, and the client pays for what it was shown.
    Stop,
    /// The upstream is read on for a short while, for the usage that it reports at its end.
    Read,
}

/// What a customer names in `model`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// Its key in [`Catalog::models`].
    pub id: String,
    /// Who made it.
    pub owned_by: String,
    /// For people.
    pub display_name: String,
    /// Input and output together, in tokens.
    pub context_window: u64,
    /// The most output tokens of one answer; always there when [`Model::embeds_only`] is false and
    /// the model has a price.
    pub max_output_tokens: Option<u64>,
    /// What one image counts in a hold, in tokens.
    pub image_tokens: Option<u64>,
    /// The field that bounds the output where the client sent none.
    pub limit_field: Option<LimitField>,
    /// What is done when the client of a stream leaves; `None`: `Read` where reasoning is hidden, else `Stop`.
    pub when_client_leaves: Option<WhenClientLeaves>,
    /// Whether it is billed for reasoning that the stream does not show.
    pub hidden_reasoning: bool,
    /// Whether the output limit of a request leaves its reasoning unbounded: then its own limit is held.
    pub reasoning_beyond_limit: bool,
    /// How fast it writes, to estimate reasoning that was not reported.
    pub tokens_per_s: Option<u64>,
    /// The family of its tokenizer's vocabulary, which decides how text is counted.
    pub vocabulary: Vocabulary,
    /// Free words such as `tools` or `vision`.
    pub capabilities: Vec<String>,
    /// Unix seconds.
    pub created: i64,
    /// A disabled model is not served and not listed.
    pub enabled: bool,
    /// By `effective_at_ms`, ascending; empty for an unpriced model.
    pub prices: Vec<Price>,
    /// In the order of the file.
    pub routes: Vec<Route>,
}

/// One way to serve a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// An id in [`Catalog::upstreams`].
    pub upstream: String,
    /// The upstream's own id of the model.
    pub model: String,
    /// Instead of the upstream's priority.
    pub priority: Option<u32>,
    /// What the operator pays.
    pub cost: Option<Rates>,
}

impl Model {
    /// Whether one of these upstreams serves the model.
    #[must_use]
    pub fn is_served_by(&self, upstreams: &BTreeSet<&str>) -> bool {
        self.routes.iter().any(|route| upstreams.contains(route.upstream.as_str()))
    }
}

impl Catalog {
    /// The enabled upstreams that can serve `model` for a client that speaks `dialect`, the one to try
    /// first first: by the route's priority, else the upstream's; of equal ones those that speak the
    /// client's dialect, then in the order of the file.
    #[must_use]
    pub fn candidates<'a>(&'a self, model: &'a Model, dialect: Dialect) -> Vec<(&'a Upstream, &'a Route)> {
        let mut found: Vec<_> = model
            .routes
            .iter()
            .filter_map(|route| Some((self.upstreams.get(&route.upstream)?, route)))
            .filter(|(upstream, _)| upstream.enabled)
            .filter(|(upstream, _)| upstream.dialects.iter().any(|theirs| theirs.embeds() == dialect.embeds()))
            .collect();
        found.sort_by_key(|(upstream, route)| (route.priority_on(upstream), !upstream.dialects.contains(&dialect)));
        found
    }
}

impl Upstream {
    /// How its key is sent in a request of `dialect`.
    #[must_use]
    pub fn auth_for(&self, dialect: Dialect) -> Auth {
        self.auth.unwrap_or(match dialect {
            Dialect::AnthropicMessages => Auth::XApiKey,
            Dialect::OpenaiChat | Dialect::OpenaiResponses | Dialect::OpenaiEmbeddings => Auth::Bearer,
        })
    }

    /// Whether one of its dialects can serve `model` at all.
    #[must_use]
    pub fn can_serve(&self, model: &Model) -> bool {
        self.dialects.iter().any(|dialect| dialect.embeds() == model.embeds_only())
    }
}

impl Auth {
    /// Its name in the catalogue.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::XApiKey => "x-api-key",
            Self::ApiKey => "api-key",
            Self::Query => "query",
        }
    }
}

impl LimitField {
    /// The field's name in a request, and in the catalogue.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
            Self::MaxOutputTokens => "max_output_tokens",
        }
    }
}

impl WhenClientLeaves {
    /// Its name in the catalogue.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Read => "read",
        }
    }
}

impl Model {
    /// The price in effect at `now_ms`: the latest that is not in the future. `None`: the model has no
    /// price (`prices` is empty), or its first one is still to come.
    #[must_use]
    pub fn price_at(&self, now_ms: i64) -> Option<&Price> {
        self.prices.iter().rev().find(|price| price.effective_at_ms <= now_ms)
    }

    /// Whether it serves embeddings alone: it has no output price. Without any price, whether it has no
    /// output limit.
    #[must_use]
    pub fn embeds_only(&self) -> bool {
        match self.prices.last() {
            Some(price) => price.rates.output.is_none(),
            None => self.max_output_tokens.is_none(),
        }
    }
}

impl Route {
    /// Its place among the routes of a model; lower is tried first.
    #[must_use]
    pub fn priority_on(&self, upstream: &Upstream) -> u32 {
        self.priority.unwrap_or(upstream.priority)
    }
}
