//! Writes the differences as the SQL of one transaction.
//!
//! The order of the statements keeps every foreign key valid after each statement. A new row is a plain `INSERT`: if
//! another operator has inserted the row in the meantime, the statement fails, and with it the whole transaction.

use serde::Serialize;
use serde_json::{Map, Value};

use super::diff::{Changes, Diff};

/// Returns one statement per line. Replaced prices are retired at `now_ms`.
pub fn render(diff: &Diff, now_ms: i64) -> serde_json::Result<String> {
    let Diff { upstreams, models, prices, routes } = diff;
    let mut lines = Vec::new();
    put(&mut lines, "upstreams", &["id"], upstreams)?;
    put(&mut lines, "models", &["id"], models)?;
    put(&mut lines, "routes", &["model_id", "position"], routes)?;
    delete(&mut lines, "routes", &["model_id", "position"], routes)?;
    delete(&mut lines, "models", &["id"], models)?;
    delete(&mut lines, "upstreams", &["id"], upstreams)?;

    let price = &["model_id", "effective_at_ms", "above_input"];
    for row in prices.removed.iter().chain(prices.changed.iter().map(|(before, _)| before)) {
        let key = equalities(&columns(row)?, |column| price.contains(&column)).join(" AND ");
        lines.push(format!("UPDATE prices SET retired_at_ms = {now_ms} WHERE retired_at_ms = 0 AND {key};"));
    }
    for row in prices.added.iter().chain(prices.changed.iter().map(|(_, after)| after)) {
        lines.push(insert("prices", &columns(row)?));
    }
    lines.push(String::new());
    Ok(lines.join("\n"))
}

fn put<R: Serialize>(
    lines: &mut Vec<String>,
    table: &str,
    key: &[&str],
    changes: &Changes<R>,
) -> serde_json::Result<()> {
    for row in &changes.added {
        lines.push(insert(table, &columns(row)?));
    }
    for (_, row) in &changes.changed {
        let row = columns(row)?;
        let values = equalities(&row, |column| !key.contains(&column)).join(", ");
        let place = equalities(&row, |column| key.contains(&column)).join(" AND ");
        lines.push(format!("UPDATE {table} SET {values} WHERE {place};"));
    }
    Ok(())
}

fn delete<R: Serialize>(
    lines: &mut Vec<String>,
    table: &str,
    key: &[&str],
    changes: &Changes<R>,
) -> serde_json::Result<()> {
    for row in &changes.removed {
        let place = equalities(&columns(row)?, |column| key.contains(&column)).join(" AND ");
        lines.push(format!("DELETE FROM {table} WHERE {place};"));
    }
    Ok(())
}

/// Returns the columns of a row, which are the fields of its struct.
fn columns(row: &impl Serialize) -> serde_json::Result<Map<String, Value>> {
    serde_json::from_value(serde_json::to_value(row)?)
}

fn insert(table: &str, row: &Map<String, Value>) -> String {
    let names: Vec<&str> = row.keys().map(String::as_str).collect();
    let values: Vec<String> = row.values().map(literal).collect();
    format!("INSERT INTO {table} ({}) VALUES ({});", names.join(", "), values.join(", "))
}

fn equalities(row: &Map<String, Value>, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let wanted = row.iter().filter(|(column, _)| wanted(column));
    wanted.map(|(column, value)| format!("{column} = {}", literal(value))).collect()
}

/// Writes a value as SQL. Rows contain only `null`, integers and strings.
fn literal(value: &Value) -> String {
    match value {
        Value::String(text) => format!("'{}'", text.replace('\'', "''")),
        other => other.to_string(),
    }
}
