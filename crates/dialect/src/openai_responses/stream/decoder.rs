//! An upstream's stream of responses, event by event.
//!
//! The one rule: what an event of the end of something says, and no delta said before, is made up for;
//! nothing is said twice.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::items::Items;
use super::output::Output;
use crate::canonical::{Decode, Event, Owner, Stop, StopReason, UpstreamError};
use crate::json_text;
use crate::openai_responses::response::stop_of;
use crate::openai_responses::usage;
use crate::sse::Frame;

/// Reads the stream of one answer.
#[derive(Debug)]
pub struct Decoder {
    items: Items,
}

/// What is read of an event. Text stays JSON text: it may hold half an emoji.
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
    item_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    item: Option<&'a RawValue>,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    logprobs: Option<&'a RawValue>,
    #[serde(borrow, default)]
    annotation: Option<&'a RawValue>,
    #[serde(borrow, default)]
    response: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// What is read of a response object.
#[derive(Debug, Default, Deserialize)]
pub(in crate::openai_responses) struct Response<'a> {
    #[serde(borrow, default)]
    pub status: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub output: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub service_tier: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub incomplete_details: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub error: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
struct Details<'a> {
    #[serde(borrow, default)]
    reason: Option<&'a RawValue>,
}

/// How a response ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::openai_responses) enum Ending {
    Completed,
    Incomplete,
    Failed,
}

fn number(json: Option<&RawValue>) -> Option<u64> {
    json?.get().parse().ok()
}

/// The string, if it is one.
pub(in crate::openai_responses) fn string(json: Option<&RawValue>) -> Option<String> {
    json_text::text(json?.get())
}

impl Decoder {
    /// A stream that begins; `owner` makes the state in it.
    #[must_use]
    pub fn new(owner: Owner) -> Self {
        Self { items: Items::new(owner) }
    }

    /// Reads a response object that is whole.
    pub(in crate::openai_responses) fn ending(
        &mut self,
        response: &Response<'_>,
        ending: Ending,
        events: &mut Vec<Event>,
    ) {
        let output = response.output.and_then(|json| serde_json::from_str::<Vec<&RawValue>>(json.get()).ok());
        if ending != Ending::Failed {
            for (position, item) in (0..).zip(output.unwrap_or_default()) {
                if let Ok(output) = serde_json::from_str::<Output<'_>>(item.get()) {
                    let at = self.items.place(position, &output);
                    self.items.done(Some(at), &output, events);
                }
            }
        }
        self.items.close_all(events);
        let tier = string(response.service_tier).filter(|tier| !tier.is_empty() && tier != "auto");
        events.extend(tier.map(Event::ServiceTier));
        events.extend(response.usage.and_then(|json| usage::parse(json.get())).map(Event::Usage));
        let reason = match ending {
            Ending::Failed => return,
            Ending::Incomplete => {
                let details = response.incomplete_details.and_then(|json| serde_json::from_str(json.get()).ok());
                let details: Details<'_> = details.unwrap_or_default();
                stop_of(string(details.reason).as_deref().unwrap_or_default())
            }
            Ending::Completed if self.items.called => StopReason::ToolUse,
            Ending::Completed if self.items.refused => StopReason::Refusal,
            Ending::Completed => StopReason::EndTurn,
        };
        events.push(Event::Stop(Stop { reason, sequence: None }));
    }

    fn event(&mut self, kind: &str, wire: &Wire<'_>, events: &mut Vec<Event>) -> Result<bool, UpstreamError> {
        let index = number(wire.output_index);
        let id = if index.is_none() { string(wire.item_id) } else { None };
        let part = number(wire.content_index).or(number(wire.summary_index)).unwrap_or(0);
        let item = wire.item.and_then(|json| serde_json::from_str::<Output<'_>>(json.get()).ok());
        let response = || wire.response.and_then(|json| serde_json::from_str::<Response<'_>>(json.get()).ok());
        let items = &mut self.items;
        let at = |items: &Items| items.find(index, id.as_deref());
        match kind {
            "response.output_item.added" => {
                if let Some(item) = &item {
                    items.added(index, item, events);
                }
            }
            "response.output_item.done" => {
                if let Some(item) = &item {
                    items.done(index, item, events);
                }
            }
            "response.output_text.delta" | "response.refusal.delta" => {
                let refusal = kind == "response.refusal.delta";
                items.text(at(items), part, refusal, wire.delta, events);
                items.logprobs(at(items), part, wire.logprobs, events);
            }
            "response.output_text.done" => items.whole_text(at(items), part, false, wire.text, events),
            "response.refusal.done" => items.whole_text(at(items), part, true, wire.refusal, events),
            "response.output_text.annotation.added" => items.annotation(at(items), part, wire.annotation, events),
            "response.reasoning_summary_text.delta" => items.reasoning(at(items), true, part, wire.delta, events),
            "response.reasoning_text.delta" => items.reasoning(at(items), false, part, wire.delta, events),
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                items.input(at(items), wire.delta, events);
            }
            "response.function_call_arguments.done" => items.whole_input(at(items), wire.arguments, events),
            "response.custom_tool_call_input.done" => items.whole_input(at(items), wire.input, events),
            "response.completed" => {
                let response = response().ok_or(UpstreamError)?;
                let ending = match string(response.status).as_deref() {
                    Some("incomplete") => Ending::Incomplete,
                    Some("failed" | "cancelled") => Ending::Failed,
                    _ => Ending::Completed,
                };
                self.ending(&response, ending, events);
                return if ending == Ending::Failed { Err(UpstreamError) } else { Ok(true) };
            }
            "response.incomplete" => {
                self.ending(&response().ok_or(UpstreamError)?, Ending::Incomplete, events);
                return Ok(true);
            }
            "response.failed" | "response.cancelled" => {
                self.ending(&response().unwrap_or_default(), Ending::Failed, events);
                return Err(UpstreamError);
            }
            "error" => return Err(UpstreamError),
            _ if wire.error.is_some_and(|error| error.get() != "null") => return Err(UpstreamError),
            _ => {}
        }
        Ok(false)
    }
}

impl Decode for Decoder {
    fn push(&mut self, frame: &Frame, events: &mut Vec<Event>) -> Result<bool, UpstreamError> {
        let Some(data) = frame.data() else { return Ok(false) };
        if data.trim() == "[DONE]" {
            return Ok(false);
        }
        if !data.trim_start().starts_with('{') {
            return Err(UpstreamError);
        }
        let name = frame.event();
        let Ok(wire) = serde_json::from_str::<Wire<'_>>(&data) else {
            // An object whose members stand twice is no event that could be read, and no error either.
            let object = serde_json::from_str::<BTreeMap<String, &RawValue>>(&data).is_ok();
            return if object && name.as_deref() != Some("error") { Ok(false) } else { Err(UpstreamError) };
        };
        let kind = wire.kind.and_then(|json| json_text::borrowed(json.get())).or(name).unwrap_or_default();
        self.event(&kind, &wire, events)
    }

    fn finish(&mut self, events: &mut Vec<Event>) {
        self.items.close_all(events);
    }
}
