//! Prints the differences for the operator.

use std::fmt::Write as _;

use catalog::file::utc;
use catalog::rows::{ModelRow, PriceRow, RouteRow, UpstreamRow};
use serde::Serialize;
use serde_json::{Map, Value};

use super::diff::{Changes, Diff};

/// Returns one line for each entry (`+` added, `~` changed, `-` removed) and then a line of counts. With `summary`,
/// only the line of counts. If nothing differs, the text is `no change`.
pub fn text(diff: &Diff, summary: bool) -> serde_json::Result<String> {
    if diff.is_empty() {
        return Ok("no change\n".to_owned());
    }
    let mut text = String::new();
    if !summary {
        entries(&mut text, "upstream", &diff.upstreams)?;
        entries(&mut text, "model", &diff.models)?;
        entries(&mut text, "price", &diff.prices)?;
        entries(&mut text, "route", &diff.routes)?;
    }
    let counts = [
        counts("upstreams", &diff.upstreams),
        counts("models", &diff.models),
        counts("prices", &diff.prices),
        counts("routes", &diff.routes),
    ];
    text.push_str(&counts.into_iter().flatten().collect::<Vec<_>>().join("; "));
    text.push('\n');
    Ok(text)
}

/// A row in words that the operator knows.
trait Entry: Serialize {
    /// Names the entry.
    fn name(&self) -> String;

    /// Describes an entry that is added.
    fn summary(&self) -> String;

    /// Shows the value of a column.
    fn value(_column: &str, value: &Value) -> String {
        match value {
            Value::Null => "none".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

impl Entry for UpstreamRow {
    fn name(&self) -> String {
        self.id.clone()
    }

    fn summary(&self) -> String {
        format!("{} {}", self.base_url, self.dialects)
    }
}

impl Entry for ModelRow {
    fn name(&self) -> String {
        self.id.clone()
    }

    fn summary(&self) -> String {
        self.display_name.clone()
    }
}

impl Entry for RouteRow {
    fn name(&self) -> String {
        format!("{} #{}", self.model_id, self.position)
    }

    fn summary(&self) -> String {
        format!("{} as {}", self.upstream_id, self.upstream_model)
    }
}

impl Entry for PriceRow {
    fn name(&self) -> String {
        let from = format!("{} from {}", self.model_id, utc(self.effective_at_ms));
        if self.above_input == 0 { from } else { format!("{from} above {} tokens", self.above_input) }
    }

    fn summary(&self) -> String {
        let listed = [
            ("input", Some(self.input)),
            ("output", self.output),
            ("cache_read", self.cache_read),
            ("cache_write_5m", self.cache_write_5m),
            ("cache_write_1h", self.cache_write_1h),
            ("request", self.request),
            ("web_search", self.web_search),
        ];
        let listed = listed.into_iter().filter_map(|(column, pico)| Some((column, pico?)));
        let listed = listed.map(|(column, pico)| format!("{column} {}", usd(column, pico)));
        listed.collect::<Vec<_>>().join(", ")
    }

    fn value(column: &str, value: &Value) -> String {
        value.as_u64().map_or_else(|| "none".to_owned(), |pico| usd(column, pico))
    }
}

fn entries<R: Entry>(text: &mut String, table: &str, changes: &Changes<R>) -> serde_json::Result<()> {
    // Writing to a string cannot fail.
    for row in &changes.added {
        _ = writeln!(text, "+ {table} {}: {}", row.name(), row.summary());
    }
    for (before, after) in &changes.changed {
        _ = writeln!(text, "~ {table} {}: {}", after.name(), differences(before, after)?.join(", "));
    }
    for row in &changes.removed {
        _ = writeln!(text, "- {table} {}", row.name());
    }
    Ok(())
}

fn differences<R: Entry>(before: &R, after: &R) -> serde_json::Result<Vec<String>> {
    let columns =
        |row| -> serde_json::Result<Map<String, Value>> { serde_json::from_value(serde_json::to_value(row)?) };
    let before = columns(before)?;
    let columns = columns(after)?.into_iter().filter_map(|(column, after)| {
        let before = before.get(&column).filter(|before| **before != after)?;
        Some(format!("{column} {} → {}", R::value(&column, before), R::value(&column, &after)))
    });
    Ok(columns.collect())
}

fn counts<R>(table: &str, changes: &Changes<R>) -> Option<String> {
    let counts =
        [(changes.added.len(), "added"), (changes.changed.len(), "changed"), (changes.removed.len(), "removed")];
    let counts: Vec<_> = counts.into_iter().filter(|(count, _)| *count > 0).collect();
    let listed = counts.iter().map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(", ");
    if counts.is_empty() { None } else { Some(format!("{table}: {listed}")) }
}

/// Shows a price as the file writes it: in USD per call, or in USD per million tokens. One USD per million tokens is
/// 1,000,000 pico-USD per token.
fn usd(column: &str, pico: u64) -> String {
    let decimals = if ["request", "web_search"].contains(&column) { 12 } else { 6 };
    let digits = format!("{pico:0>width$}", width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    format!("{whole}.{fraction}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_shown_as_the_file_writes_them() {
        for (column, pico, shown) in [
            ("input", 2_500_000, "2.5"),
            ("input", 1, "0.000001"),
            ("output", 150_000_000, "150"),
            ("cache_read", 0, "0"),
            ("web_search", 10_000_000_000, "0.01"),
        ] {
            assert_eq!(usd(column, pico), shown);
        }
    }
}
