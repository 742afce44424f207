//! The reader of `catalog.toml`. It turns the text into a [`Catalog`], or into the list of all problems in it.
//!
//! The reader refuses a bad file as a whole and names the line of each problem, so that one run shows all
//! problems. The reader therefore walks the TOML by hand: serde would stop at the first problem. If the text is
//! not valid TOML, the reader reports only the syntax errors, because nothing is known about the rest.
//!
//! Each part of the format is described beside its reader: upstreams in `upstream.rs`, models and routes in
//! `model.rs`, prices in `price.rs`.

mod date_time;
mod model;
mod price;
mod reader;
mod upstream;

#[cfg(test)]
mod tests;

pub use date_time::utc;

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use toml::Spanned;
use toml::de::DeTable;

use crate::model::{Catalog, Route, Upstream};
use reader::{Problems, Shape, Table};

/// One problem in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The number of the line, from 1.
    pub line: usize,
    /// A sentence for the operator that names the entry and the key.
    pub sentence: String,
}

/// The top-level tables of a catalogue.
const CATALOGUE: Shape = Shape::new(&["upstream", "model"]);

/// What an overlay holds at its top.
const OVERLAY: Shape = Shape::new(&["secrets_set", "upstream"]);

/// Reads a whole catalogue. With `allow_unpriced`, a model may have no price or a price of zero.
///
/// # Errors
/// All problems of the file, in the order of their lines.
pub fn parse(text: &str, allow_unpriced: bool) -> Result<Catalog, Vec<Problem>> {
    let root = syntax(text)?;
    let problems = Problems::new(text);
    let root = Table::open(&problems, root.get_ref(), &CATALOGUE);
    let upstreams = upstreams(&root, &BTreeMap::new());
    let mut models = BTreeMap::new();
    for table in root.tables("model", &model::SHAPE) {
        let id = table.id("id");
        let model = model::read(&table, id.clone(), &upstreams, allow_unpriced);
        insert_once(&mut models, &table, id, model);
    }
    for (key, none) in [("upstream", upstreams.is_empty()), ("model", models.is_empty())] {
        if none && problems.is_empty() {
            root.problem(format!("there is no [[{key}]]"));
        }
    }
    problems.into_result(Catalog { upstreams: complete(upstreams), models: complete(models) })
}

/// Reads a file of `[[upstream]]` entries and lays it behind `catalog`: each becomes the last route of every model
/// that one of its dialects can serve, under the model's own id. Its `secrets_set` names the secrets that the Worker
/// has: a model that an upstream of the catalogue serves with one of them keeps its own routes alone.
///
/// # Errors
/// Every problem of the file, by line; `catalog` is then unchanged.
pub fn parse_overlay(text: &str, catalog: &mut Catalog) -> Result<(), Vec<Problem>> {
    let root = syntax(text)?;
    let problems = Problems::new(text);
    let root = Table::open(&problems, root.get_ref(), &OVERLAY);
    let secrets: Vec<&str> =
        root.strings("secrets_set").unwrap_or_default().into_iter().map(|(_, name)| name).collect();
    let overlay = upstreams(&root, &catalog.upstreams);
    let has_key = |upstream: &Upstream| upstream.secret.as_ref().is_some_and(|name| secrets.contains(&name.as_str()));
    let callable = catalog.upstreams.values().filter(|upstream| upstream.enabled && has_key(upstream));
    let callable: BTreeSet<&str> = callable.map(|upstream| upstream.id.as_str()).collect();
    let served = catalog.models.values().filter(|model| model.is_served_by(&callable));
    let served: BTreeSet<String> = served.map(|model| model.id.clone()).collect();
    for upstream in complete(problems.into_result(overlay)?).into_values() {
        lay_behind(catalog, upstream, &served);
    }
    Ok(())
}

/// The priority is the largest of the model's routes: equal ones keep the order of the file, so the new
/// route is the last. Models that are `served` already are left as they are.
fn lay_behind(catalog: &mut Catalog, upstream: Upstream, served: &BTreeSet<String>) {
    let models = catalog.models.values_mut().filter(|model| !served.contains(&model.id));
    for model in models.filter(|model| upstream.can_serve(model)) {
        let on = |route: &Route| catalog.upstreams.get(&route.upstream).map(|upstream| route.priority_on(upstream));
        let largest = model.routes.iter().filter_map(on).max().unwrap_or(0);
        model.routes.push(Route {
            upstream: upstream.id.clone(),
            model: model.id.clone(),
            priority: Some(largest.max(upstream.priority)),
            cost: None,
        });
    }
    catalog.upstreams.insert(upstream.id.clone(), upstream);
}

fn syntax(text: &str) -> Result<Spanned<DeTable<'_>>, Vec<Problem>> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let problems = Problems::new(text);
    for error in errors {
        problems.add(error.span().unwrap_or_default().start, format!("syntax error: {}", error.message()));
    }
    problems.into_result(root)
}

/// Every upstream by its id. An upstream with a problem is `None`: its routes must not be reported as unknown.
fn upstreams(root: &Table<'_>, earlier: &BTreeMap<String, Upstream>) -> BTreeMap<String, Option<Upstream>> {
    let mut upstreams = BTreeMap::new();
    for table in root.tables("upstream", &upstream::SHAPE) {
        let id = table.id("id");
        if id.as_ref().is_some_and(|id| earlier.contains_key(id)) {
            table.problem_at("id", "the catalogue has an upstream with this id".to_owned());
        }
        let upstream = upstream::read(&table, id.clone());
        insert_once(&mut upstreams, &table, id, upstream);
    }
    upstreams
}

fn insert_once<T>(map: &mut BTreeMap<String, T>, table: &Table<'_>, id: Option<String>, value: T) {
    let Some(id) = id else { return };
    match map.entry(id) {
        Entry::Vacant(place) => _ = place.insert(value),
        Entry::Occupied(_) => table.problem_at("id", "an earlier entry has the same id".to_owned()),
    }
}

fn complete<T>(map: BTreeMap<String, Option<T>>) -> BTreeMap<String, T> {
    map.into_iter().filter_map(|(id, value)| Some((id, value?))).collect()
}
