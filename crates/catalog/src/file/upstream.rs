//! Reads `[[upstream]]`: a server to which the Worker can send requests.
//!
//! An upstream needs `id`, `dialects` and `base_url`. `secret` is the *name* of a Worker secret.

use dialect::{Dialect, policy};

use crate::model::{Timeouts, Upstream};
use crate::rows::named;

use super::reader::{Shape, Table};

pub(super) const SHAPE: Shape = Shape::new(&[
    "id",
    "dialects",
    "base_url",
    "secret",
    "priority",
    "enabled",
    "auth",
    "query",
    "timeouts_ms",
    "responses_complete",
    "stream_options",
    "strip",
    "passes",
]);

const TIMEOUTS: Shape = Shape::new(&["headers", "first_token", "idle", "total"]);

/// The priority of an upstream without `priority`. Upstreams of equal priority are tried in the order of the
/// model's routes.
const DEFAULT_PRIORITY: u32 = 1;

/// Returns the upstream, or `None` if a required key is missing or wrong. All fields are read before the first
/// `?`, so that one run reports all problems.
pub(super) fn read(table: &Table<'_>, id: Option<String>) -> Option<Upstream> {
    table.requires("base_url");
    let base_url = table.parsed("base_url", str::parse);
    Some(Upstream {
        dialects: dialects(table),
        secret: table.parsed("secret", secret_name),
        priority: table.small("priority").unwrap_or(DEFAULT_PRIORITY),
        enabled: table.flag("enabled").unwrap_or(true),
        auth: table.word("auth"),
        query: table.map("query").into_iter().collect(),
        timeouts_ms: timeouts(table).unwrap_or_default(),
        responses_complete: table.flag("responses_complete").unwrap_or(false),
        stream_options: table.flag("stream_options").unwrap_or(true),
        strip: strip(table),
        passes: passes(table),
        id: id?,
        base_url: base_url?,
    })
}

fn dialects(table: &Table<'_>) -> Vec<Dialect> {
    let mut dialects = Vec::new();
    if !table.requires("dialects") {
        return dialects;
    }
    let names = table.strings("dialects");
    if names.as_ref().is_some_and(Vec::is_empty) {
        table.problem_at("dialects", "\"dialects\" is empty".to_owned());
    }
    for (at, name) in names.into_iter().flatten() {
        match named("dialects", name) {
            Ok(dialect) if dialects.contains(&dialect) => table.problem_in(at, format!("{name:?} is there twice")),
            Ok(dialect) => dialects.push(dialect),
            Err(error) => table.problem_in(at, error),
        }
    }
    dialects
}

fn secret_name(name: &str) -> Result<String, &'static str> {
    let starts = name.starts_with(|c: char| c.is_ascii_uppercase());
    let plain = name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    if starts && plain {
        Ok(name.to_owned())
    } else {
        // The message leaves out the value: it may be a provider's key that the operator pasted here by mistake.
        Err("must be the name of a Worker secret: capital letters, digits and underscores")
    }
}

fn timeouts(table: &Table<'_>) -> Option<Timeouts> {
    let timeouts = table.table("timeouts_ms", &TIMEOUTS)?;
    Some(Timeouts {
        headers: timeouts.count("headers"),
        first_token: timeouts.count("first_token"),
        idle: timeouts.count("idle"),
        total: timeouts.count("total"),
    })
}

fn strip(table: &Table<'_>) -> Vec<String> {
    let names = table.strings("strip").unwrap_or_default();
    for (at, name) in &names {
        if name.split('.').any(str::is_empty) {
            table.problem_in(*at, format!("{name:?} must be a dotted name such as \"usage.cost\""));
        }
    }
    names.into_iter().map(|(_, name)| name.to_owned()).collect()
}

/// A field that changes the price, or names state at a provider, is refused before any list is read: whoever
/// lists one expects that it passes.
fn passes(table: &Table<'_>) -> Vec<String> {
    let names = table.strings("passes").unwrap_or_default();
    for (at, name) in &names {
        let is_plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !is_plain {
            table.problem_in(*at, format!("{name:?} must be the name of a request field such as \"top_k\""));
        } else if policy::refuses(name) {
            table.problem_in(*at, format!("{name:?} changes the price or names state at a provider, and never passes"));
        }
    }
    names.into_iter().map(|(_, name)| name.to_owned()).collect()
}
