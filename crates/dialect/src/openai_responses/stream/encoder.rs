//! A stream of responses as a client reads it: one output item a block, numbers without a gap.

use std::borrow::Cow;

use billing::money::NanoUsd;
use billing::usage::Usage;

use crate::canonical::{Delta, Encode, Event, Identity, Losses, Stop, ToolKind};
use crate::envelope::quoted;
use crate::openai_chat::words::service_tier;
use crate::openai_responses::error;
use crate::openai_responses::item::{Content, Item, annotation, array, object};
use crate::openai_responses::response::{MAX_OUTPUT_TOKENS, Status, response, status_of};
use crate::openai_responses::usage;
use crate::relay::End;
use crate::sse::one_line;

/// Appends one event with its sequence number. There is one for every few letters of an answer, so it is
/// written in place.
pub(in crate::openai_responses) fn event(
    bytes: &mut Vec<u8>,
    number: &mut u64,
    kind: &str,
    members: &[(&str, impl AsRef<str>)],
) {
    let mut put = |text: &str| bytes.extend_from_slice(text.as_bytes());
    for part in ["event: ", kind, "\ndata: {\"type\":\"", kind, "\",\"sequence_number\":", &number.to_string()] {
        put(part);
    }
    for (key, json) in members {
        for part in [",\"", key, "\":", &one_line(json.as_ref())] {
            put(part);
        }
    }
    put("}\n\n");
    *number = number.saturating_add(1);
}

/// Writes the stream of one answer.
#[derive(Debug)]
pub struct Encoder {
    identity: Identity,
    /// The next sequence number.
    number: u64,
    begun: bool,
    /// Item `n` is block `n` and has the output index `n`.
    items: Vec<Item>,
    stop: Option<Stop>,
    tier: Option<String>,
    losses: Losses,
}

impl Encoder {
    /// A stream that begins.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self { identity, number: 0, begun: false, items: Vec::new(), stop: None, tier: None, losses: Losses::default() }
    }

    /// The response as it is now.
    pub(in crate::openai_responses) fn response(&self, status: Status, usage: Option<String>) -> String {
        response(&self.identity, status, &self.items, usage, self.tier.as_deref())
    }

    /// How the answer stopped, for whole answers.
    pub(in crate::openai_responses) fn status(&self) -> Status {
        self.stop.as_ref().map_or(Status::Completed, |stop| status_of(stop.reason))
    }

    fn event(&mut self, bytes: &mut Vec<u8>, kind: &str, members: &[(&str, impl AsRef<str>)]) {
        event(bytes, &mut self.number, kind, members);
    }

    fn begin(&mut self, bytes: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            let response = self.response(Status::InProgress, None);
            self.event(bytes, "response.created", &[("response", response.clone())]);
            self.event(bytes, "response.in_progress", &[("response", response)]);
        }
    }

    fn open(&mut self, bytes: &mut Vec<u8>, item: Item) {
        let at = at(self.items.len(), &item);
        let added = [("output_index", at.output.clone()), ("item", item.json(true, "in_progress"))];
        self.event(bytes, "response.output_item.added", &added);
        if at.part == "content_index" {
            self.event(bytes, "response.content_part.added", &at.with([("part", item.part(true))]));
        }
        self.items.push(item);
    }

    fn delta(&mut self, bytes: &mut Vec<u8>, index: usize, delta: &Delta) {
        let Some(item) = self.items.get_mut(index).filter(|item| !item.closed) else { return };
        let at = at(index, item);
        match (&mut item.content, delta) {
            (Content::Text { text, chars, .. }, Delta::Text(more)) => {
                text.push_str(more);
                *chars = chars.saturating_add(more.chars().count());
                let members = at.with([("delta", quoted(more)), ("logprobs", array(&[]))]);
                self.event(bytes, "response.output_text.delta", &members);
            }
            (Content::Text { logprobs, .. }, Delta::Logprobs(more)) => {
                logprobs.extend_from_slice(more);
                let members = at.with([("delta", quoted("")), ("logprobs", array(more))]);
                self.event(bytes, "response.output_text.delta", &members);
            }
            (Content::Text { chars, annotations, .. }, Delta::Citation(citation)) => {
                let Some(made) = annotation(citation, *chars) else {
                    self.losses.add("citation");
                    return;
                };
                annotations.push(made.clone());
                let number = annotations.len().saturating_sub(1).to_string();
                let members = at.with([("annotation_index", number), ("annotation", made)]);
                self.event(bytes, "response.output_text.annotation.added", &members);
            }
            (Content::Refusal(text), Delta::Text(more)) => {
                text.push_str(more);
                self.event(bytes, "response.refusal.delta", &at.with([("delta", quoted(more))]));
            }
            (Content::Reasoning { text, .. }, Delta::Text(more)) => {
                let first = text.is_empty();
                text.push_str(more);
                if first {
                    let part = object(&[("type", quoted("summary_text")), ("text", quoted(""))]);
                    self.event(bytes, "response.reasoning_summary_part.added", &at.with([("part", part)]));
                }
                self.event(bytes, "response.reasoning_summary_text.delta", &at.with([("delta", quoted(more))]));
            }
            (Content::Reasoning { encrypted, .. }, Delta::Opaque(opaque)) => *encrypted = Some(opaque.tagged()),
            (Content::Call { input, tool, wrapped, .. }, Delta::Input(more)) => {
                input.push_str(more);
                // The text inside is told when it is whole.
                if !*wrapped {
                    let kind = input_event(tool.kind, "delta");
                    self.event(bytes, kind, &at.with([("delta", quoted(more))]));
                }
            }
            _ => {}
        }
    }

    fn close(&mut self, bytes: &mut Vec<u8>, index: usize, status: &str) {
        let Some(item) = self.items.get_mut(index).filter(|item| !item.closed) else { return };
        item.closed = true;
        let status = if item.is_cut() { "incomplete" } else { status };
        item.cut = status != "completed";
        let wrapped = matches!(item.content, Content::Call { wrapped: true, .. });
        item.unwrap_input();
        let item = item.clone();
        let at = at(index, &item);
        match &item.content {
            Content::Text { text, logprobs, .. } => {
                let members = at.with([("text", quoted(text)), ("logprobs", array(logprobs))]);
                self.event(bytes, "response.output_text.done", &members);
            }
            Content::Refusal(text) => {
                self.event(bytes, "response.refusal.done", &at.with([("refusal", quoted(text))]));
            }
            Content::Reasoning { text, .. } if !text.is_empty() => {
                self.event(bytes, "response.reasoning_summary_text.done", &at.with([("text", quoted(text))]));
                let part = at.with([("part", item.part(false))]);
                self.event(bytes, "response.reasoning_summary_part.done", &part);
            }
            Content::Reasoning { .. } => {}
            Content::Call { tool, input, .. } => {
                if wrapped && !input.is_empty() {
                    let kind = input_event(tool.kind, "delta");
                    self.event(bytes, kind, &at.with([("delta", quoted(input))]));
                }
                let field = if tool.kind == ToolKind::Custom { "input" } else { "arguments" };
                self.event(bytes, input_event(tool.kind, "done"), &at.with([(field, quoted(input))]));
            }
        }
        if at.part == "content_index" {
            self.event(bytes, "response.content_part.done", &at.with([("part", item.part(false))]));
        }
        let done = [("output_index", at.output.clone()), ("item", item.json(false, status))];
        self.event(bytes, "response.output_item.done", &done);
    }

    fn close_all(&mut self, bytes: &mut Vec<u8>, status: &str) {
        let open = self.items.iter().enumerate().filter(|(_, item)| !item.closed);
        let open: Vec<usize> = open.map(|(index, _)| index).collect();
        for index in open {
            self.close(bytes, index, status);
        }
    }
}

impl Encode for Encoder {
    fn push(&mut self, event: &Event, bytes: &mut Vec<u8>) {
        self.begin(bytes);
        match event {
            Event::Open { index, block } if *index == self.items.len() => {
                let item = Item::begin(&self.identity, *index, block);
                self.open(bytes, item);
            }
            Event::Open { .. } | Event::Usage(_) | Event::Lost(_) => {}
            Event::Delta { index, delta } => self.delta(bytes, *index, delta),
            Event::Close { index } => self.close(bytes, *index, "completed"),
            Event::ServiceTier(tier) => match service_tier(tier) {
                Some(tier) => self.tier = Some(tier.to_owned()),
                None => self.losses.add("service_tier"),
            },
            Event::Stop(stop) => self.stop = Some(stop.clone()),
        }
    }

    fn tail(&mut self, end: End, usage: &Usage, cost: NanoUsd) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.begin(&mut bytes);
        let status = match end {
            End::Complete => self.status(),
            End::Limit => Status::Incomplete(MAX_OUTPUT_TOKENS),
            End::Truncated | End::Failed => Status::Failed,
        };
        let kind = match status {
            Status::Failed => {
                self.event(&mut bytes, "error", &error::event());
                "response.failed"
            }
            Status::Incomplete(_) => "response.incomplete",
            Status::Completed | Status::InProgress => "response.completed",
        };
        if status != Status::Failed {
            self.close_all(&mut bytes, status.of_open_item());
        }
        let response = self.response(status, Some(usage::to_json(usage, Some(cost))));
        self.event(&mut bytes, kind, &[("response", response)]);
        bytes
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

/// Where a delta belongs.
struct At {
    item: String,
    output: String,
    /// What the one part of the item is numbered by; empty: it has none.
    part: &'static str,
}

impl At {
    fn with<const N: usize>(&self, more: [(&'static str, String); N]) -> Vec<(&'static str, Cow<'_, str>)> {
        let mut members = Vec::with_capacity(N.saturating_add(3));
        members.push(("item_id", Cow::Borrowed(self.item.as_str())));
        members.push(("output_index", Cow::Borrowed(self.output.as_str())));
        members.extend((!self.part.is_empty()).then_some((self.part, Cow::Borrowed("0"))));
        members.extend(more.map(|(key, json)| (key, Cow::Owned(json))));
        members
    }
}

fn at(index: usize, item: &Item) -> At {
    let part = match item.content {
        Content::Text { .. } | Content::Refusal(_) => "content_index",
        Content::Reasoning { .. } => "summary_index",
        Content::Call { .. } => "",
    };
    At { item: quoted(&item.id), output: index.to_string(), part }
}

fn input_event(kind: ToolKind, step: &str) -> &'static str {
    match (kind, step == "delta") {
        (ToolKind::Function, true) => "response.function_call_arguments.delta",
        (ToolKind::Function, false) => "response.function_call_arguments.done",
        (ToolKind::Custom, true) => "response.custom_tool_call_input.delta",
        (ToolKind::Custom, false) => "response.custom_tool_call_input.done",
    }
}
