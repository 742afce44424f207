//! What a stream of responses must be, whoever wrote it: order, indexes, numbers, and that the end of
//! each thing says what its pieces said.

use std::collections::BTreeMap;

use serde_json::Value;

#[derive(Default)]
struct Item {
    id: Value,
    parts: BTreeMap<(String, u64), Part>,
    input: String,
    done: Option<Value>,
}

#[derive(Default)]
struct Part {
    text: String,
    told: bool,
    done: Option<Value>,
}

fn err<T>(what: impl Into<String>, event: &Value) -> Result<T, String> {
    Err(format!("{}: {event}", what.into()))
}

/// Whether `bytes` are one whole stream of responses.
pub fn check(bytes: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
    let mut items: Vec<Item> = Vec::new();
    let mut number = 0;
    let mut ended = false;
    let mut failing = false;
    for frame in text.split("\n\n").filter(|frame| !frame.trim().is_empty()) {
        let field = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name).map(str::trim));
        let Some(data) = field("data:") else {
            if frame.lines().all(|line| line.starts_with(':')) {
                continue;
            }
            return Err(format!("no data: {frame}"));
        };
        let event: Value = serde_json::from_str(data).map_err(|e| format!("{e}: {data}"))?;
        let kind = event["type"].as_str().unwrap_or_default().to_owned();
        if field("event:") != Some(&kind) {
            return err("the name is not the type", &event);
        }
        if event["sequence_number"] != number {
            return err(format!("number {number} was expected"), &event);
        }
        if ended || (failing && kind != "response.failed") {
            return err("behind the end", &event);
        }
        match (number, kind.as_str()) {
            (0, "response.created") | (1.., "response.queued" | "response.in_progress") => {}
            // A provider may fail before it begins.
            (0, "error") => {}
            (0, _) => return err("does not begin with response.created", &event),
            (1, other) if other != "error" => return err("response.in_progress does not follow", &event),
            (_, "response.created") => return err("created twice", &event),
            _ => {}
        }
        number += 1;
        match kind.as_str() {
            "error" => {
                if !(event["message"].is_string() && event["code"].is_string() && event.get("param").is_some()) {
                    return err("no flat error", &event);
                }
                failing = true;
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                ended = true;
                end(&kind, &event, &items)?;
            }
            _ if event.get("output_index").is_some() => step(&kind, &event, &mut items)?,
            _ => {}
        }
    }
    if ended || failing { Ok(()) } else { Err("no end".to_owned()) }
}

fn end(kind: &str, event: &Value, items: &[Item]) -> Result<(), String> {
    let response = &event["response"];
    if format!("response.{}", response["status"].as_str().unwrap_or_default()) != kind {
        return err("another status", event);
    }
    if (kind == "response.incomplete") != response["incomplete_details"]["reason"].is_string() {
        return err("incomplete_details", event);
    }
    if (kind == "response.failed") == response["error"].is_null() {
        return err("error", event);
    }
    let output = response["output"].as_array().ok_or("no output")?;
    if output.len() != items.len() {
        return err(format!("{} items were told", items.len()), event);
    }
    for (item, told) in output.iter().zip(items) {
        match &told.done {
            // Providers encrypt the same content anew.
            Some(done) if without_state(done) != without_state(item) => return err("another item", event),
            None if kind != "response.failed" => return err("an open item", event),
            _ if item["id"] != told.id => return err("another id", event),
            _ => {}
        }
    }
    Ok(())
}

fn without_state(item: &Value) -> Value {
    let mut item = item.clone();
    if let Some(fields) = item.as_object_mut() {
        fields.remove("encrypted_content");
    }
    item
}

fn step(kind: &str, event: &Value, items: &mut Vec<Item>) -> Result<(), String> {
    let at = usize::try_from(event["output_index"].as_u64().ok_or("no index")?).map_err(|e| e.to_string())?;
    if kind == "response.output_item.added" {
        if at != items.len() {
            return err("an item is left out", event);
        }
        let id = event["item"]["id"].clone();
        if !id.is_string() || items.iter().any(|item| item.id == id) {
            return err("no id of its own", event);
        }
        items.push(Item { id, ..Item::default() });
        return Ok(());
    }
    let Some(item) = items.get_mut(at).filter(|item| item.done.is_none()) else { return err("no open item", event) };
    if kind == "response.output_item.done" {
        return done(event, item);
    }
    if event["item_id"] != item.id {
        return err("another item's id", event);
    }
    let delta = event["delta"].as_str();
    let short = kind.trim_start_matches("response.");
    match short {
        "function_call_arguments.delta" | "custom_tool_call_input.delta" => {
            item.input.push_str(delta.ok_or("no delta")?);
            return Ok(());
        }
        "function_call_arguments.done" | "custom_tool_call_input.done" => {
            let whole = event.get("arguments").or(event.get("input")).and_then(Value::as_str);
            item.told_input(whole, event)?;
            return Ok(());
        }
        // Steps of tools that a provider runs.
        other if other.contains("_call.") => return Ok(()),
        _ => {}
    }
    let (place, index) = match (event["content_index"].as_u64(), event["summary_index"].as_u64()) {
        (Some(index), None) => ("content", index),
        (None, Some(index)) => ("summary", index),
        _ => return err("no place", event),
    };
    let here = (place.to_owned(), index);
    if matches!(short, "content_part.added" | "reasoning_summary_part.added") {
        let next = item.parts.keys().filter(|(of, _)| of == place).count() as u64;
        if index != next || event["part"]["type"].is_null() {
            return err("a part is left out", event);
        }
        item.parts.insert(here, Part::default());
        return Ok(());
    }
    let Some(part) = item.parts.get_mut(&here).filter(|part| part.done.is_none()) else {
        return err("no open part", event);
    };
    match short {
        "output_text.delta" if !event["logprobs"].is_array() => return err("no logprobs", event),
        "output_text.delta" | "refusal.delta" | "reasoning_text.delta" | "reasoning_summary_text.delta" => {
            part.text.push_str(delta.ok_or("no delta")?);
        }
        "output_text.done" | "refusal.done" | "reasoning_text.done" | "reasoning_summary_text.done" => {
            let whole = event.get("text").or(event.get("refusal"));
            if part.told || whole.and_then(Value::as_str) != Some(&part.text) {
                return err("another text", event);
            }
            part.told = true;
        }
        "content_part.done" | "reasoning_summary_part.done" => {
            let whole = event["part"].get("text").or(event["part"].get("refusal"));
            if !part.told || whole.and_then(Value::as_str) != Some(&part.text) {
                return err("another part", event);
            }
            part.done = Some(event["part"].clone());
        }
        "output_text.annotation.added" => {}
        _ => return err("unknown", event),
    }
    Ok(())
}

impl Item {
    fn told_input(&self, whole: Option<&str>, event: &Value) -> Result<(), String> {
        if whole == Some(&self.input) { Ok(()) } else { err("another input", event) }
    }
}

/// A part without its log probabilities, which providers round in the item.
fn rounded(part: &Value) -> Value {
    let mut part = part.clone();
    if let Some(fields) = part.as_object_mut() {
        fields.remove("logprobs");
    }
    part
}

fn done(event: &Value, item: &mut Item) -> Result<(), String> {
    let whole = &event["item"];
    if whole["id"] != item.id {
        return err("another id", event);
    }
    if let Some(input) = whole.get("arguments").or(whole.get("input")) {
        item.told_input(input.as_str(), event)?;
    }
    for place in ["content", "summary"] {
        let parts = item.parts.iter().filter(|((of, _), _)| of == place);
        let parts: Vec<Value> = parts.map(|(_, part)| part.done.as_ref().map_or(Value::Null, rounded)).collect();
        let said: Vec<Value> = whole[place].as_array().map_or(Vec::new(), |parts| parts.iter().map(rounded).collect());
        if parts != said {
            return err("other parts", event);
        }
    }
    item.done = Some(whole.clone());
    Ok(())
}
