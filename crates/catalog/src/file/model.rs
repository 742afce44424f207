//! Reads `[[model]]` and `[[model.route]]`: the models that customers can request, and the upstreams that serve them.
//!
//! A model needs `id`, `context_window`, a price and a route; with an output price also
//! `max_output_tokens`. `display_name` defaults to the id, `owned_by` to the first route's upstream.

use std::collections::BTreeMap;

use toml::de::DeValue;

use crate::model::{Model, Route, Upstream};

use super::date_time;
use super::price;
use super::reader::{Shape, Table};

pub(super) const SHAPE: Shape = Shape::new(&[
    "id",
    "owned_by",
    "display_name",
    "context_window",
    "max_output_tokens",
    "image_tokens",
    "limit_field",
    "when_client_leaves",
    "hidden_reasoning",
    "reasoning_beyond_limit",
    "tokens_per_s",
    "vocabulary",
    "capabilities",
    "created",
    "enabled",
    "price",
    "route",
]);

const ROUTE: Shape = Shape::new(&["upstream", "model", "priority", "cost"]);

/// Returns the model, or `None` if a required key is missing or wrong. All fields are read before the first `?`,
/// so that one run reports all problems.
pub(super) fn read(
    table: &Table<'_>,
    id: Option<String>,
    upstreams: &BTreeMap<String, Option<Upstream>>,
    allow_unpriced: bool,
) -> Option<Model> {
    table.requires("context_window");
    let context_window = table.count("context_window");
    let prices = price::read(table, allow_unpriced);
    if prices.iter().any(|price| price.rates.output.is_some()) {
        table.requires("max_output_tokens");
    }
    let routes = routes(table, id.as_deref(), upstreams);
    let first_effective_at_ms = prices.first().map_or(0, |price| price.effective_at_ms);
    let owner = || routes.first().map(|route| route.upstream.clone()).unwrap_or_default();
    Some(Model {
        owned_by: table.string("owned_by").map_or_else(owner, str::to_owned),
        display_name: table.string("display_name").or(id.as_deref()).unwrap_or_default().to_owned(),
        max_output_tokens: table.count("max_output_tokens"),
        image_tokens: table.count("image_tokens"),
        limit_field: table.word("limit_field"),
        when_client_leaves: table.word("when_client_leaves"),
        hidden_reasoning: table.flag("hidden_reasoning").unwrap_or(false),
        reasoning_beyond_limit: table.flag("reasoning_beyond_limit").unwrap_or(false),
        tokens_per_s: table.count("tokens_per_s"),
        vocabulary: table.word("vocabulary").unwrap_or_default(),
        capabilities: capabilities(table),
        created: created(table).unwrap_or(first_effective_at_ms.div_euclid(1_000)),
        enabled: table.flag("enabled").unwrap_or(true),
        prices,
        routes,
        id: id?,
        context_window: context_window?,
    })
}

fn routes(table: &Table<'_>, id: Option<&str>, upstreams: &BTreeMap<String, Option<Upstream>>) -> Vec<Route> {
    if table.has_none("route") {
        table.problem("no [[model.route]]".to_owned());
    }
    let mut routes: Vec<Route> = Vec::new();
    for table in table.tables("route", &ROUTE) {
        table.requires("upstream");
        let upstream = table.string("upstream").unwrap_or_default();
        let route = Route {
            upstream: upstream.to_owned(),
            model: table.string("model").or(id).unwrap_or_default().to_owned(),
            priority: table.small("priority"),
            cost: price::cost(&table),
        };
        if table.value("upstream").is_some() && !upstreams.contains_key(upstream) {
            table.problem_at("upstream", format!("unknown upstream {upstream:?}"));
        }
        if routes.iter().any(|earlier| (&earlier.upstream, &earlier.model) == (&route.upstream, &route.model)) {
            table.problem("an earlier route has the same upstream and model".to_owned());
        }
        routes.push(route);
    }
    routes
}

fn capabilities(table: &Table<'_>) -> Vec<String> {
    table.strings("capabilities").unwrap_or_default().into_iter().map(|(_, word)| word.to_owned()).collect()
}

/// Returns Unix seconds. The file has either a date-time or the number that providers list.
fn created(table: &Table<'_>) -> Option<i64> {
    match table.value("created")? {
        DeValue::Integer(_) => table.integer("created", 0..=date_time::LAST_SECOND).map(u64::cast_signed),
        _ => Some(table.date_time("created")?.div_euclid(1_000)),
    }
}
