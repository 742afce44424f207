//! A chat stream handed on to its client, and counted on the way.
//!
//! The one rule: the bytes are the upstream's, but for these cases. A usage-only chunk goes to a
//! client that asked for usage, and to nobody else. The latest of them and `[DONE]` wait until the
//! request is settled. An error of the upstream becomes ours. A missing `[DONE]` after a
//! `finish_reason` is supplied; an end without either is an error. `model` and the fields that an
//! upstream is known to add are rewritten.

use std::collections::BTreeMap;

use billing::money::NanoUsd;
use billing::usage::Usage;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{error, usage};
use crate::envelope::{Envelope, quoted};
use crate::relay::{End, Forward, Meter, Relay, Step};
use crate::rewrite::Rewrite;
use crate::sse::{Frame, FrameTooLong, Parser};
use crate::tokens;

/// What may stand in a chunk that carries nothing but usage.
const USAGE_ONLY_KEYS: [&str; 9] =
    ["id", "object", "created", "model", "system_fingerprint", "service_tier", "obfuscation", "choices", "usage"];

/// A chat stream that is passed on.
#[derive(Debug)]
pub struct PassThrough {
    parser: Parser,
    meter: Meter,
    /// Groq's second place for the usage, used when there is no other.
    vendor_usage: Option<Usage>,
    rewrite: Rewrite,
    /// The client asked for the usage of the stream.
    include_usage: bool,
    /// The latest usage-only chunk, and `[DONE]`.
    held_usage: Option<Frame>,
    held_done: Option<Frame>,
    end: Option<End>,
    /// `id`, `created` and `model` of the last chunk, as JSON, for those that we make.
    identity: Vec<(&'static str, String)>,
    /// Choices that have begun, and whether each has finished.
    choices: BTreeMap<u64, bool>,
}

impl PassThrough {
    /// A stream that begins.
    #[must_use]
    pub fn new(include_usage: bool, rewrite: Rewrite) -> Self {
        Self {
            parser: Parser::default(),
            meter: Meter::default(),
            vendor_usage: None,
            rewrite,
            include_usage,
            held_usage: None,
            held_done: None,
            end: None,
            identity: Vec::new(),
            choices: BTreeMap::new(),
        }
    }
}

impl Relay for PassThrough {
    fn meter(&self) -> Meter {
        Meter { usage: self.meter.usage.or(self.vendor_usage), ..self.meter }
    }

    fn push(&mut self, bytes: &[u8]) -> Step {
        let whole_frames = self.parser.is_between_frames();
        let frames = match self.parser.push(bytes) {
            Ok(frames) => frames,
            Err(FrameTooLong) => return self.ended(Vec::new(), End::Failed),
        };
        let mut same = whole_frames && self.parser.is_between_frames();
        let mut forward = Vec::new();
        for frame in frames {
            let before = forward.len();
            self.frame(&frame, &mut forward);
            same &= forward.get(before..) == Some(frame.raw());
            if let Some(end) = self.end {
                return self.ended(forward, end);
            }
        }
        Step { forward: if same { Forward::Same } else { Forward::Bytes(forward) }, end: None }
    }

    fn finish(&mut self) -> Step {
        let mut forward = Vec::new();
        if let Some(frame) = std::mem::take(&mut self.parser).finish() {
            self.frame(&frame.terminated(), &mut forward);
        }
        let end = self.end.unwrap_or(if self.meter.finished { End::Complete } else { End::Truncated });
        self.ended(forward, end)
    }

    fn stop_at_limit(&mut self) {
        self.end = Some(End::Limit);
    }

    /// The cost stands in the usage-only chunk.
    fn tail(&mut self, usage: &Usage, cost: NanoUsd) -> Vec<u8> {
        let mut tail = Vec::new();
        if self.end == Some(End::Limit) {
            self.held_usage = None;
            let unfinished = self.choices.iter().filter(|(_, finished)| !**finished).map(|(index, _)| index);
            for index in unfinished {
                let choice = format!("{{\"index\":{index},\"delta\":{{}},\"finish_reason\":\"length\"}}");
                tail.extend_from_slice(self.chunk(&choice, "").raw());
            }
            self.held_usage = Some(self.chunk("", &format!(",\"usage\":{}", usage::to_json(usage))));
        }
        if let Some(frame) = self.held_usage.take()
            && self.include_usage
        {
            let frame = with_cost(&frame, cost).unwrap_or(frame);
            tail.extend_from_slice(frame.raw());
        }
        match self.end {
            Some(End::Complete | End::Limit) => {
                let done = self.held_done.take().unwrap_or_else(|| Frame::data_line("[DONE]"));
                tail.extend_from_slice(done.raw());
            }
            Some(End::Truncated | End::Failed) | None => {
                tail.extend_from_slice(Frame::data_line(&error::broken_stream()).raw());
            }
        }
        tail
    }
}

impl PassThrough {
    /// A chunk of our own in this stream.
    fn chunk(&self, choices: &str, more: &str) -> Frame {
        let identity: String = self.identity.iter().map(|(key, json)| format!("\"{key}\":{json},")).collect();
        Frame::data_line(&format!("{{{identity}\"object\":\"chat.completion.chunk\",\"choices\":[{choices}]{more}}}"))
    }

    fn ended(&mut self, forward: Vec<u8>, end: End) -> Step {
        self.end = Some(end);
        Step { forward: Forward::Bytes(forward), end: Some(end) }
    }

    /// Counts one frame and appends what the client gets of it now.
    fn frame(&mut self, frame: &Frame, forward: &mut Vec<u8>) {
        let Some(data) = frame.data() else {
            // What is neither a comment nor a field is no event: perhaps the text of a failing server.
            if frame.is_well_formed() {
                self.pass(frame, forward);
            }
            return;
        };
        if data.trim() == "[DONE]" {
            self.held_done = Some(frame.clone());
            self.end = Some(End::Complete);
            return;
        }
        let error_event = frame.event().as_deref() == Some("error");
        let Ok(chunk) = serde_json::from_str::<Chunk<'_>>(&data) else {
            if error_event || !is_object(&data) {
                self.end = Some(End::Failed);
                return;
            }
            // An object of an unknown shape: the client's own reader may understand it.
            return self.pass(frame, forward);
        };
        let choices = chunk.choices();
        if error_event || chunk.is_error(&choices) {
            self.end = Some(End::Failed);
            return;
        }
        if chunk.choices.is_none() && chunk.usage.is_none() {
            // No event of this dialect; it may be anything, a provider's words too.
            return;
        }
        self.count(&chunk, &choices);
        self.note(&chunk, &choices);
        let edited = self.edited(frame, &data);
        let frame = edited.as_ref().unwrap_or(frame);
        // As the client would see it: what is taken out is no further key.
        if chunk.is_usage_only(&frame.data().unwrap_or_default()) {
            // Only the latest is held: an earlier one goes its way.
            if let Some(earlier) = self.held_usage.replace(frame.clone())
                && self.include_usage
            {
                forward.extend_from_slice(earlier.raw());
            }
            return;
        }
        self.pass(frame, forward);
    }

    /// Remembers what a chunk of our own would need.
    fn note(&mut self, chunk: &Chunk<'_>, choices: &[Choice<'_>]) {
        for choice in choices {
            let index = choice.index.and_then(|index| index.get().parse().ok()).unwrap_or(0);
            *self.choices.entry(index).or_default() |= choice.is_finished();
        }
        if self.identity.is_empty() {
            let model = self.rewrite.model.as_deref().map(quoted);
            let model = model.or_else(|| chunk.model.map(|json| json.get().to_owned()));
            let given = [
                ("id", chunk.id.map(|json| json.get().to_owned())),
                ("created", chunk.created.map(|json| json.get().to_owned())),
                ("model", model),
            ];
            self.identity = given.into_iter().filter_map(|(key, json)| Some((key, json?))).collect();
        }
    }

    fn pass(&mut self, frame: &Frame, forward: &mut Vec<u8>) {
        if let Some(held) = self.held_usage.take()
            && self.include_usage
        {
            forward.extend_from_slice(held.raw());
        }
        forward.extend_from_slice(frame.raw());
    }

    fn edited(&self, frame: &Frame, data: &str) -> Option<Frame> {
        // What is no UTF-8 is not rewritten: its bytes could not be kept.
        if self.rewrite.is_empty() || std::str::from_utf8(frame.raw()).is_err() {
            return None;
        }
        let envelope = Envelope::parse(data).ok()?;
        let mut edits = envelope.edit();
        self.rewrite.apply(&envelope, &mut edits);
        if edits.is_empty() { None } else { Some(frame.with_data(&edits.finish())) }
    }
}

/// Whether `data` is the text of a JSON object, of whatever shape.
pub(super) fn is_object(data: &str) -> bool {
    data.trim_start().starts_with('{') && serde_json::from_str::<&RawValue>(data).is_ok()
}

/// The chunk with `usage.cost`, in USD.
fn with_cost(frame: &Frame, cost: NanoUsd) -> Option<Frame> {
    let data = frame.data()?;
    let envelope = Envelope::parse(&data).ok()?;
    let usage = Envelope::parse(envelope.present("usage")?).ok()?;
    let mut usage_edits = usage.edit();
    usage_edits.set("cost", &cost.to_string());
    let mut edits = envelope.edit();
    edits.set("usage", &usage_edits.finish());
    Some(frame.with_data(&edits.finish()))
}

/// What is read of a chunk. Text stays JSON text: a chunk may hold half an emoji, which is no string
/// that Rust could hold.
#[derive(Deserialize)]
pub(super) struct Chunk<'a> {
    #[serde(borrow, default)]
    pub(super) id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    created: Option<&'a RawValue>,
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    object: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) choices: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) x_groq: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) service_tier: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) citations: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Vendor<'a> {
    #[serde(borrow, default)]
    pub(super) usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Choice<'a> {
    #[serde(borrow, default)]
    pub(super) index: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) delta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) finish_reason: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) logprobs: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow, default)]
    function_call: Option<&'a RawValue>,
}

/// Whether a member is there and says something.
pub(super) fn says(json: Option<&RawValue>) -> bool {
    json.is_some_and(|json| json.get() != "null")
}

impl Choice<'_> {
    fn is_finished(&self) -> bool {
        says(self.finish_reason)
    }
}

impl<'a> Chunk<'a> {
    /// The choices that can be read: one of another shape does not hide the others.
    pub(super) fn choices(&self) -> Vec<Choice<'a>> {
        let items = self.choices.and_then(|json| serde_json::from_str::<Vec<&RawValue>>(json.get()).ok());
        items.into_iter().flatten().filter_map(|item| serde_json::from_str(item.get()).ok()).collect()
    }

    /// Whether the chunk is an error in any of the forms in which providers write one.
    pub(super) fn is_error(&self, choices: &[Choice<'_>]) -> bool {
        let named = self.object.is_some_and(|object| object.get() == "\"error\"");
        named || says(self.error) || choices.iter().any(|choice| says(choice.error))
    }

    /// Whether the chunk carries a usage and nothing else that a client could want.
    fn is_usage_only(&self, data: &str) -> bool {
        self.choices.is_some_and(|choices| choices.get().trim_matches(['[', ']']).trim().is_empty())
            && says(self.usage)
            && Envelope::parse(data).is_ok_and(|chunk| chunk.keys().all(|key| USAGE_ONLY_KEYS.contains(&key)))
    }
}

impl PassThrough {
    fn count(&mut self, chunk: &Chunk<'_>, choices: &[Choice<'_>]) {
        if let Some(reported) = chunk.usage.and_then(|json| usage::parse(json.get())) {
            self.meter.usage = Some(reported);
            self.meter.knows_input = true;
        }
        let vendor = chunk.x_groq.and_then(|json| serde_json::from_str::<Vendor<'_>>(json.get()).ok());
        if let Some(reported) = vendor.and_then(|v| v.usage).and_then(|json| usage::parse(json.get())) {
            self.vendor_usage = Some(reported);
        }
        for choice in choices {
            self.meter.finished |= choice.is_finished();
            let Some(delta) = choice.delta.and_then(|json| serde_json::from_str::<Delta<'_>>(json.get()).ok()) else {
                continue;
            };
            let texts = [
                delta.content,
                delta.reasoning.or(delta.reasoning_content),
                delta.refusal,
                delta.tool_calls,
                delta.function_call,
            ];
            for text in texts.into_iter().flatten() {
                let tokens = visible_tokens(text.get());
                self.meter.visible_output = self.meter.visible_output.saturating_add(tokens);
            }
        }
    }
}

/// Tokens of a delta's text, given as JSON: a string without its quotes, or the structure around it
/// left in (it is small beside what it carries).
fn visible_tokens(json: &str) -> u64 {
    if json == "null" {
        return 0;
    }
    let text = json.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(json);
    tokens::estimate(text)
}

#[cfg(test)]
mod tests;
