//! Converts the rows of D1 into a [`Catalog`] and back.

use billing::money::{MoneyError, PicoUsd};
use billing::price::{LongInput, Price, Rates};
use serde::Deserialize;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, IntoDeserializer as _};

use super::{ModelRow, PriceRow, RouteRow, RowError, Rows, UpstreamRow};
use crate::model::{Catalog, Model, Route, Upstream};

impl Catalog {
    /// Returns the catalogue that the rows hold. The rows may come in any order. Prices of models that no longer
    /// exist are skipped; every other row must be valid.
    ///
    /// # Errors
    /// [`RowError`] for the first row that is not valid.
    pub fn from_rows(rows: Rows) -> Result<Self, RowError> {
        let mut catalog = Self::default();
        for row in rows.upstreams {
            catalog.upstreams.insert(row.id.clone(), upstream_from(row)?);
        }
        for row in rows.models {
            catalog.models.insert(row.id.clone(), model_from(row)?);
        }
        add_prices(&mut catalog, rows.prices)?;
        add_routes(&mut catalog, rows.routes)?;
        Ok(catalog)
    }

    /// Returns the rows that hold this catalogue, in a fixed order.
    ///
    /// # Errors
    /// An error of `serde_json`, which none of these types can cause.
    pub fn to_rows(&self) -> serde_json::Result<Rows> {
        let mut rows = Rows::default();
        for upstream in self.upstreams.values() {
            rows.upstreams.push(upstream_row(upstream)?);
        }
        for model in self.models.values() {
            rows.models.push(model_row(model)?);
            rows.prices.extend(model.prices.iter().flat_map(|price| price_rows(&model.id, price)));
            for (position, route) in (0..).zip(&model.routes) {
                rows.routes.push(route_row(&model.id, position, route)?);
            }
        }
        Ok(rows)
    }
}

fn upstream_from(row: UpstreamRow) -> Result<Upstream, RowError> {
    let fail = |problem| RowError { table: "upstreams", id: row.id.clone(), problem };
    Ok(Upstream {
        dialects: json("dialects", &row.dialects).map_err(fail)?,
        base_url: row.base_url.parse().map_err(|error| fail(format!("base_url {error}")))?,
        secret: row.secret,
        priority: row.priority,
        enabled: row.enabled != 0,
        auth: row.auth.as_deref().map(|name| named("auth", name)).transpose().map_err(fail)?,
        query: json("query", &row.query).map_err(fail)?,
        timeouts_ms: json("timeouts_ms", &row.timeouts_ms).map_err(fail)?,
        responses_complete: row.responses_complete != 0,
        stream_options: row.stream_options != 0,
        strip: json("strip", &row.strip).map_err(fail)?,
        passes: json("passes", &row.passes).map_err(fail)?,
        id: row.id,
    })
}

fn upstream_row(upstream: &Upstream) -> serde_json::Result<UpstreamRow> {
    Ok(UpstreamRow {
        id: upstream.id.clone(),
        dialects: serde_json::to_string(&upstream.dialects)?,
        base_url: upstream.base_url.to_string(),
        secret: upstream.secret.clone(),
        priority: upstream.priority,
        enabled: upstream.enabled.into(),
        auth: upstream.auth.map(|auth| auth.name().to_owned()),
        query: serde_json::to_string(&upstream.query)?,
        timeouts_ms: serde_json::to_string(&upstream.timeouts_ms)?,
        responses_complete: upstream.responses_complete.into(),
        stream_options: upstream.stream_options.into(),
        strip: serde_json::to_string(&upstream.strip)?,
        passes: serde_json::to_string(&upstream.passes)?,
    })
}

fn model_from(row: ModelRow) -> Result<Model, RowError> {
    let fail = |problem| RowError { table: "models", id: row.id.clone(), problem };
    Ok(Model {
        owned_by: row.owned_by,
        display_name: row.display_name,
        context_window: row.context_window,
        max_output_tokens: row.max_output_tokens,
        image_tokens: row.image_tokens,
        limit_field: row.limit_field.as_deref().map(|name| named("limit_field", name)).transpose().map_err(fail)?,
        when_client_leaves: row
            .when_client_leaves
            .as_deref()
            .map(|name| named("when_client_leaves", name))
            .transpose()
            .map_err(fail)?,
        hidden_reasoning: row.hidden_reasoning != 0,
        reasoning_beyond_limit: row.reasoning_beyond_limit != 0,
        tokens_per_s: row.tokens_per_s,
        vocabulary: named("vocabulary", &row.vocabulary).map_err(fail)?,
        capabilities: json("capabilities", &row.capabilities).map_err(fail)?,
        created: row.created,
        enabled: row.enabled != 0,
        prices: Vec::new(),
        routes: Vec::new(),
        id: row.id,
    })
}

fn model_row(model: &Model) -> serde_json::Result<ModelRow> {
    Ok(ModelRow {
        id: model.id.clone(),
        owned_by: model.owned_by.clone(),
        display_name: model.display_name.clone(),
        context_window: model.context_window,
        max_output_tokens: model.max_output_tokens,
        image_tokens: model.image_tokens,
        limit_field: model.limit_field.map(|field| field.name().to_owned()),
        when_client_leaves: model.when_client_leaves.map(|choice| choice.name().to_owned()),
        hidden_reasoning: model.hidden_reasoning.into(),
        reasoning_beyond_limit: model.reasoning_beyond_limit.into(),
        tokens_per_s: model.tokens_per_s,
        vocabulary: model.vocabulary.name().to_owned(),
        capabilities: serde_json::to_string(&model.capabilities)?,
        created: model.created,
        enabled: model.enabled.into(),
    })
}

/// A base tier has `above_input` 0, so it sorts before the long tier of the same instant, and one pass joins them.
fn add_prices(catalog: &mut Catalog, mut rows: Vec<PriceRow>) -> Result<(), RowError> {
    rows.sort_by_key(|row| (row.effective_at_ms, row.above_input));
    for row in rows {
        let Some(model) = catalog.models.get_mut(&row.model_id) else { continue };
        let fail = |problem| RowError { table: "prices", id: row.model_id.clone(), problem };
        let rates = rates_from(&row).map_err(|error| fail(error.to_string()))?;
        let last = model.prices.last_mut().filter(|price| price.effective_at_ms == row.effective_at_ms);
        match (row.above_input, last) {
            (0, None) => {
                model.prices.push(Price { effective_at_ms: row.effective_at_ms, rates, long_input: None });
            }
            (1.., Some(price)) if price.long_input.is_none() => {
                price.long_input = Some(LongInput { above_input: row.above_input, rates });
            }
            _ => return Err(fail(format!("no single base and long tier at {}", row.effective_at_ms))),
        }
    }
    Ok(())
}

fn rates_from(row: &PriceRow) -> Result<Rates, MoneyError> {
    let optional = |pico: Option<u64>| pico.map(PicoUsd::new).transpose();
    Ok(Rates {
        input: PicoUsd::new(row.input)?,
        output: optional(row.output)?,
        cache_read: optional(row.cache_read)?,
        cache_write_5m: optional(row.cache_write_5m)?,
        cache_write_1h: optional(row.cache_write_1h)?,
        request: optional(row.request)?,
        web_search: optional(row.web_search)?,
    })
}

/// Returns the rows of one price: the base tier, then the long tier if the price has one.
fn price_rows(model_id: &str, price: &Price) -> impl Iterator<Item = PriceRow> {
    let base = price_row(model_id, price.effective_at_ms, 0, &price.rates);
    let long = price.long_input.map(|long| price_row(model_id, price.effective_at_ms, long.above_input, &long.rates));
    std::iter::once(base).chain(long)
}

fn price_row(model_id: &str, effective_at_ms: i64, above_input: u64, rates: &Rates) -> PriceRow {
    let pico = |price: Option<PicoUsd>| price.map(PicoUsd::pico);
    PriceRow {
        model_id: model_id.to_owned(),
        effective_at_ms,
        above_input,
        input: rates.input.pico(),
        output: pico(rates.output),
        cache_read: pico(rates.cache_read),
        cache_write_5m: pico(rates.cache_write_5m),
        cache_write_1h: pico(rates.cache_write_1h),
        request: pico(rates.request),
        web_search: pico(rates.web_search),
    }
}

fn add_routes(catalog: &mut Catalog, mut rows: Vec<RouteRow>) -> Result<(), RowError> {
    rows.sort_by_key(|row| row.position);
    for row in rows {
        let fail = |problem| RowError { table: "routes", id: row.model_id.clone(), problem };
        if !catalog.upstreams.contains_key(&row.upstream_id) {
            return Err(fail(format!("unknown upstream {:?}", row.upstream_id)));
        }
        let cost = row.cost.as_deref().map(|text| json("cost", text)).transpose().map_err(fail)?;
        let Some(model) = catalog.models.get_mut(&row.model_id) else { return Err(fail("unknown model".to_owned())) };
        model.routes.push(Route { upstream: row.upstream_id, model: row.upstream_model, priority: row.priority, cost });
    }
    Ok(())
}

fn route_row(model_id: &str, position: u32, route: &Route) -> serde_json::Result<RouteRow> {
    Ok(RouteRow {
        model_id: model_id.to_owned(),
        position,
        upstream_id: route.upstream.clone(),
        upstream_model: route.model.clone(),
        priority: route.priority,
        cost: route.cost.as_ref().map(serde_json::to_string).transpose()?,
    })
}

/// Returns the unit variant with this serde name.
pub(crate) fn named<'a, T: Deserialize<'a>>(column: &str, name: &'a str) -> Result<T, String> {
    let deserializer: StrDeserializer<'a, serde::de::value::Error> = name.into_deserializer();
    T::deserialize(deserializer).map_err(|error| format!("{column}: {error}"))
}

fn json<T: DeserializeOwned>(column: &str, text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| format!("{column}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Rows {
        let upstream = serde_json::json!({
            "id": "u", "dialects": "[\"openai_chat\"]", "base_url": "https://u.example/v1", "secret": null,
            "priority": 1, "enabled": 1, "auth": null, "query": "{}", "timeouts_ms": "{}",
            "responses_complete": 0, "stream_options": 1, "strip": "[]", "passes": "[]",
        });
        let model = serde_json::json!({
            "id": "m", "owned_by": "o", "display_name": "M", "context_window": 1000, "max_output_tokens": 100,
            "image_tokens": null, "limit_field": null, "when_client_leaves": null, "hidden_reasoning": 0,
            "reasoning_beyond_limit": 0, "tokens_per_s": null, "vocabulary": "common",
            "capabilities": "[]", "created": 0, "enabled": 1,
        });
        let route = serde_json::json!({
            "model_id": "m", "position": 0, "upstream_id": "u", "upstream_model": "m", "priority": null, "cost": null,
        });
        Rows {
            upstreams: vec![serde_json::from_value(upstream).unwrap()],
            models: vec![serde_json::from_value(model).unwrap()],
            prices: vec![price("m", 0, 1), price("m", 200, 2)],
            routes: vec![serde_json::from_value(route).unwrap()],
        }
    }

    fn price(model_id: &str, above_input: u64, input: u64) -> PriceRow {
        let input = Rates { input: PicoUsd::new(input).unwrap(), ..Rates::default() };
        price_row(model_id, 0, above_input, &input)
    }

    #[test]
    fn rows_may_come_in_any_order_and_prices_may_outlive_their_models() {
        let mut rows = rows();
        rows.prices.reverse();
        rows.prices.push(price("gone", 0, 3));
        rows.routes.push(RouteRow { position: 2, upstream_model: "third".to_owned(), ..rows.routes[0].clone() });
        rows.routes.push(RouteRow { position: 1, upstream_model: "second".to_owned(), ..rows.routes[0].clone() });
        let catalog = Catalog::from_rows(rows).unwrap();
        let [price] = &catalog.models["m"].prices[..] else { panic!("{catalog:?}") };
        assert_eq!((price.tier(200).input.pico(), price.tier(201).input.pico()), (1, 2));
        let routes: Vec<&str> = catalog.models["m"].routes.iter().map(|route| route.model.as_str()).collect();
        assert_eq!(routes, ["m", "second", "third"]);
        assert_eq!(catalog.models.len(), 1);
    }

    #[test]
    fn a_row_that_no_apply_wrote_is_named_in_the_error() {
        #[track_caller]
        fn check(edit: impl FnOnce(&mut Rows), expected: &str) {
            let mut rows = rows();
            edit(&mut rows);
            assert_eq!(Catalog::from_rows(rows).unwrap_err().to_string(), expected);
        }
        check(
            |rows| rows.upstreams[0].base_url = "http://u.example".to_owned(),
            "upstreams \"u\": base_url may be http only for a loopback host (localhost, 127.x.x.x, [::1])",
        );
        check(
            |rows| rows.upstreams[0].auth = Some("basic".to_owned()),
            "upstreams \"u\": auth: unknown variant `basic`, expected one of `bearer`, `x-api-key`, `api-key`, `query`",
        );
        check(
            |rows| rows.models[0].capabilities = "tools".to_owned(),
            "models \"m\": capabilities: expected ident at line 1 column 2",
        );
        check(|rows| rows.routes[0].upstream_id = "x".to_owned(), "routes \"m\": unknown upstream \"x\"");
        check(|rows| rows.routes[0].model_id = "x".to_owned(), "routes \"x\": unknown model");
        check(|rows| _ = rows.prices.remove(0), "prices \"m\": no single base and long tier at 0");
        check(|rows| rows.prices.push(price("m", 300, 3)), "prices \"m\": no single base and long tier at 0");
        check(|rows| rows.prices[0].input = 1 << 53, "prices \"m\": the amount is beyond 2^53 - 1 units");
    }
}
