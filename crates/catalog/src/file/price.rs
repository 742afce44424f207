//! Reads `[[model.price]]` and the `cost` of a route. Prices are decimal strings in USD per million tokens;
//! `request` and `web_search` are in USD per call.
//!
//! `effective_at` and `input` are required. An entry with `above_input` is the tier of long inputs; it belongs to
//! the entry without `above_input` that has the same `effective_at`. A price class without a key here cannot be
//! billed, so the reader refuses it instead of adding it to another class.

use billing::money::{MoneyError, PicoUsd};
use billing::price::{LongInput, Price, Rates};
use toml::de::DeValue;

use super::reader::{Shape, Table};

const RATES: &[&str] = &["input", "output", "cache_read", "cache_write_5m", "cache_write_1h", "request", "web_search"];

const PRICE: Shape = Shape::priced(&["effective_at", "above_input"], RATES);

const COST: Shape = Shape::priced(&[], RATES);

/// One `[[model.price]]`. `rates` is `None` if one of its prices is wrong.
struct Entry<'p> {
    table: Table<'p>,
    effective_at_ms: i64,
    above_input: Option<u64>,
    rates: Option<Rates>,
}

/// Returns the prices of a model, the earliest first.
pub(super) fn read(model: &Table<'_>, allow_unpriced: bool) -> Vec<Price> {
    if model.has_none("price") && !allow_unpriced {
        model.problem("no [[model.price]], and unpriced models are not allowed".to_owned());
    }
    let mut entries: Vec<_> = model.tables("price", &PRICE).into_iter().filter_map(entry).collect();
    entries.sort_by_key(|entry| (entry.effective_at_ms, entry.above_input));
    let mut prices: Vec<Price> = Vec::new();
    let mut earlier_has_output = None;
    for entry in entries {
        if !allow_unpriced {
            refuse_free(&entry);
        }
        let has_output = entry.table.value("output").is_some();
        if *earlier_has_output.get_or_insert(has_output) != has_output {
            entry.table.problem("either all prices of a model have \"output\", or none".to_owned());
        }
        join(&mut prices, entry);
    }
    prices
}

/// Returns what the operator pays the upstream of a route.
pub(super) fn cost(route: &Table<'_>) -> Option<Rates> {
    rates(&route.table("cost", &COST)?)
}

fn entry(table: Table<'_>) -> Option<Entry<'_>> {
    table.requires("effective_at");
    let effective_at_ms = table.date_time("effective_at");
    let above_input = table.count("above_input");
    let rates = rates(&table);
    if table.value("above_input").is_some() {
        above_input?;
    }
    Some(Entry { effective_at_ms: effective_at_ms?, above_input, rates, table })
}

fn rates(table: &Table<'_>) -> Option<Rates> {
    table.requires("input");
    let token = |key| price(table, key, PicoUsd::from_usd_per_million);
    let call = |key| price(table, key, PicoUsd::from_usd_per_call);
    let input = token("input");
    Some(Rates {
        output: token("output"),
        cache_read: token("cache_read"),
        cache_write_5m: token("cache_write_5m"),
        cache_write_1h: token("cache_write_1h"),
        request: call("request"),
        web_search: call("web_search"),
        input: input?,
    })
}

fn price(table: &Table<'_>, key: &str, parse: fn(&str) -> Result<PicoUsd, MoneyError>) -> Option<PicoUsd> {
    match table.value(key)? {
        DeValue::String(text) if text.starts_with('-') => {
            table.problem_at(key, format!("{key:?} is negative"));
            None
        }
        DeValue::String(_) => table.parsed(key, |text| parse(text).map_err(|error| format!("{text:?}: {error}"))),
        _ => {
            table.wrong(key, "a decimal string such as \"2.50\"");
            None
        }
    }
}

fn refuse_free(entry: &Entry<'_>) {
    let Some(rates) = entry.rates else { return };
    if (Price { effective_at_ms: entry.effective_at_ms, rates, long_input: None }).is_free() {
        entry.table.problem("the price is zero, and unpriced models are not allowed".to_owned());
    }
}

/// Adds an entry to the earlier prices. The entries are sorted: the base tier of an instant comes before its long tier.
fn join(prices: &mut Vec<Price>, entry: Entry<'_>) {
    let Entry { table, effective_at_ms, above_input, rates } = entry;
    let problem = |sentence: &str| table.problem(sentence.to_owned());
    let rates = rates.unwrap_or_default();
    let same_instant = prices.last_mut().filter(|last| last.effective_at_ms == effective_at_ms);
    match (above_input, same_instant) {
        (None, None) => prices.push(Price { effective_at_ms, rates, long_input: None }),
        (None, Some(_)) => problem("an earlier entry has the same effective_at"),
        (Some(_), None) => problem("above_input needs an entry without it at the same effective_at"),
        (Some(above_input), Some(price)) => match price.long_input {
            None => price.long_input = Some(LongInput { above_input, rates }),
            Some(long) if long.above_input == above_input => {
                problem("an earlier entry has the same effective_at and above_input");
            }
            Some(_) => problem("the format cannot express more than one above_input at the same effective_at"),
        },
    }
}
