//! What a stream that is passed on has told so far, so that it can be ended where it stands.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::envelope::{Envelope, quoted};
use crate::json_text::Joiner;
use crate::openai_responses::item::{array, object};
use crate::openai_responses::stream::{event, string};

/// The items of the answer by their output index.
#[derive(Debug, Default)]
pub(super) struct Progress {
    items: BTreeMap<u64, Item>,
}

#[derive(Debug, Default)]
struct Item {
    /// As it was added, or as it was done.
    json: String,
    done: bool,
    /// Its parts: of the content, and of the summary.
    parts: BTreeMap<(Place, u64), Part>,
    /// The input of a call, and whether its end was told.
    input: String,
    joiner: Joiner,
    told: bool,
}

#[derive(Debug, Default)]
struct Part {
    /// As it was added, or as it was done.
    json: String,
    /// The text that its deltas made, and whether its end was told.
    text: String,
    joiner: Joiner,
    told: bool,
    done: bool,
}

/// Which array of an item a part stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Content,
    Summary,
}

#[derive(Debug, Default, Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output_index: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content_index: Option<&'a RawValue>,
    #[serde(borrow, default)]
    summary_index: Option<&'a RawValue>,
    #[serde(borrow, default)]
    item: Option<&'a RawValue>,
    #[serde(borrow, default)]
    part: Option<&'a RawValue>,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
}

fn number(json: Option<&RawValue>) -> Option<u64> {
    json?.get().parse().ok()
}

impl Progress {
    /// Reads one event that the client gets.
    pub fn read(&mut self, data: &str) {
        let Ok(wire) = serde_json::from_str::<Wire<'_>>(data) else { return };
        let (Some(kind), Some(at)) = (string(wire.kind), number(wire.output_index)) else { return };
        let Some(kind) = kind.strip_prefix("response.") else { return };
        match (kind, wire.item) {
            ("output_item.added", Some(item)) => {
                let json = item.get().to_owned();
                self.items.insert(at, Item { json, ..Item::default() });
                return;
            }
            ("output_item.done", Some(item)) => {
                let json = item.get().to_owned();
                self.items.insert(at, Item { json, done: true, ..Item::default() });
                return;
            }
            _ => {}
        }
        let Some(item) = self.items.get_mut(&at).filter(|item| !item.done) else { return };
        let delta = |joiner: &mut Joiner| wire.delta.and_then(|json| joiner.push(json.get())).unwrap_or_default();
        if matches!(kind, "function_call_arguments.delta" | "custom_tool_call_input.delta") {
            item.input.push_str(&delta(&mut item.joiner));
            return;
        }
        if matches!(kind, "function_call_arguments.done" | "custom_tool_call_input.done") {
            item.told = true;
            return;
        }
        let place = match (number(wire.summary_index), number(wire.content_index)) {
            (Some(index), _) => (Place::Summary, index),
            (None, Some(index)) => (Place::Content, index),
            (None, None) => return,
        };
        let part = item.parts.entry(place).or_default();
        if let Some(json) = wire.part {
            part.json = json.get().to_owned();
            part.done = kind.ends_with("part.done");
        } else if kind.ends_with(".delta") {
            part.text.push_str(&delta(&mut part.joiner));
        } else if kind.ends_with("text.done") || kind == "refusal.done" {
            part.told = true;
        }
    }

    /// Closes what is open.
    pub fn close(&mut self, next: &mut u64, bytes: &mut Vec<u8>) {
        for (at, item) in self.items.iter_mut().filter(|(_, item)| !item.done) {
            item.close(&at.to_string(), next, bytes);
        }
    }

    /// The output as it is.
    pub fn output(&self) -> String {
        let items: Vec<String> =
            self.items.values().map(|item| if item.done { item.json.clone() } else { item.finished() }).collect();
        array(&items)
    }
}

impl Item {
    fn member(&self, key: &str) -> Option<String> {
        Some(Envelope::parse(&self.json).ok()?.present(key)?.to_owned())
    }

    fn is_custom(&self) -> bool {
        self.member("type").as_deref() == Some("\"custom_tool_call\"")
    }

    fn is_call(&self) -> bool {
        self.is_custom() || self.member("type").as_deref() == Some("\"function_call\"")
    }

    /// The item with what its deltas made of it.
    fn finished(&self) -> String {
        let Ok(envelope) = Envelope::parse(&self.json) else { return self.json.clone() };
        let mut edits = envelope.edit();
        edits.set("status", "\"incomplete\"");
        if self.is_call() {
            edits.set(if self.is_custom() { "input" } else { "arguments" }, &quoted(&self.input));
        }
        for (place, key) in [(Place::Content, "content"), (Place::Summary, "summary")] {
            let parts = self.parts.iter().filter(|((of, _), _)| *of == place);
            let parts: Vec<String> = parts.map(|(_, part)| part.finished()).collect();
            if !parts.is_empty() {
                edits.set(key, &array(&parts));
            }
        }
        edits.finish()
    }

    fn close(&mut self, at: &str, next: &mut u64, bytes: &mut Vec<u8>) {
        let id = self.member("id").unwrap_or_else(|| "\"\"".to_owned());
        let here = [("item_id", id), ("output_index", at.to_owned())];
        for ((place, index), part) in &mut self.parts {
            if part.done {
                continue;
            }
            part.json = part.finished();
            part.done = true;
            let (key, text_done, part_done) = match (place, part.kind()) {
                (Place::Summary, _) => ("summary_index", "reasoning_summary_text.done", "reasoning_summary_part.done"),
                (_, "refusal") => ("content_index", "refusal.done", "content_part.done"),
                (_, "reasoning_text") => ("content_index", "reasoning_text.done", "content_part.done"),
                _ => ("content_index", "output_text.done", "content_part.done"),
            };
            let mut members = here.to_vec();
            members.push((key, index.to_string()));
            let mut text = members.clone();
            text.push((part.field(), quoted(&part.text)));
            text.extend((text_done == "output_text.done").then(|| ("logprobs", array(&[]))));
            if !part.told {
                event(bytes, next, &format!("response.{text_done}"), &text);
            }
            members.push(("part", part.json.clone()));
            event(bytes, next, &format!("response.{part_done}"), &members);
        }
        if self.is_call() && !self.told {
            let (kind, field) = if self.is_custom() {
                ("response.custom_tool_call_input.done", "input")
            } else {
                ("response.function_call_arguments.done", "arguments")
            };
            let mut members = here.to_vec();
            members.push((field, quoted(&self.input)));
            event(bytes, next, kind, &members);
        }
        self.json = self.finished();
        self.done = true;
        let done = [("output_index", at.to_owned()), ("item", self.json.clone())];
        event(bytes, next, "response.output_item.done", &done);
    }
}

impl Part {
    fn kind(&self) -> &'static str {
        let kind = Envelope::parse(&self.json).ok().and_then(|part| part.present("type").map(str::to_owned));
        match kind.as_deref() {
            Some("\"refusal\"") => "refusal",
            Some("\"reasoning_text\"") => "reasoning_text",
            Some("\"summary_text\"") => "summary_text",
            _ => "output_text",
        }
    }

    fn field(&self) -> &'static str {
        if self.kind() == "refusal" { "refusal" } else { "text" }
    }

    fn finished(&self) -> String {
        if self.done {
            return self.json.clone();
        }
        let field = self.field();
        match Envelope::parse(&self.json) {
            Ok(envelope) => {
                let mut edits = envelope.edit();
                edits.set(field, &quoted(&self.text));
                edits.finish()
            }
            // An upstream that adds no parts.
            Err(_) => {
                object(&[("type", quoted("output_text")), ("text", quoted(&self.text)), ("annotations", array(&[]))])
            }
        }
    }
}
