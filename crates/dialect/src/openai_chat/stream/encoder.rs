//! Events as chunks for a client.

use std::collections::BTreeMap;

use billing::money::NanoUsd;
use billing::usage::Usage;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::canonical::{Delta, Encode, Event, Identity, Losses, Open, StopReason, ToolKind, unwrapped_input};
use crate::openai_chat::object::{Object, object, raw};
use crate::openai_chat::{error, said, usage, words};
use crate::relay::End;
use crate::sse::Frame;

/// Writes a client's stream.
#[derive(Debug)]
pub struct Encoder {
    identity: Identity,
    /// The answer's id.
    id: String,
    /// Blocks that are open, by their numbers.
    open: BTreeMap<usize, Block>,
    begun: bool,
    stopped: bool,
    /// Calls of functions that take nothing.
    without_input: Vec<u64>,
    /// Tool calls so far, details of reasoning, and annotations.
    calls: u64,
    details: u64,
    annotations: u64,
    /// The length of the content, in characters: ranges of citations count from its beginning.
    content_chars: u64,
    service_tier: Option<String>,
    losses: Losses,
}

/// What is remembered of an open block.
#[derive(Debug)]
enum Block {
    /// Where its text begins in the content, in characters.
    Text(u64),
    Refusal,
    /// What it has said.
    Reasoning(String),
    Call {
        index: u64,
        kind: ToolKind,
        /// The JSON around the input of a custom tool, until it is whole.
        wrapped: Option<String>,
        /// Whether nothing of its input has come.
        empty: bool,
    },
}

impl Encoder {
    /// A stream that begins.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self {
            id: format!("chatcmpl-{}", identity.id),
            identity,
            open: BTreeMap::new(),
            begun: false,
            stopped: false,
            without_input: Vec::new(),
            calls: 0,
            details: 0,
            annotations: 0,
            content_chars: 0,
            service_tier: None,
            losses: Losses::default(),
        }
    }
}

impl Encode for Encoder {
    fn push(&mut self, event: &Event, bytes: &mut Vec<u8>) {
        match event {
            Event::Open { index, block } => self.begin(*index, block, bytes),
            Event::Delta { index, delta } => self.delta(*index, delta, bytes),
            Event::Close { index } => self.close(*index, bytes),
            Event::ServiceTier(tier) => match words::service_tier(tier) {
                Some(tier) => self.service_tier = Some(tier.to_owned()),
                None => self.losses.add("service_tier"),
            },
            Event::Stop(stop) => self.stop(stop.reason, bytes),
            Event::Usage(_) | Event::Lost(_) => {}
        }
    }

    fn tail(&mut self, end: End, usage: &Usage, cost: NanoUsd) -> Vec<u8> {
        let mut bytes = Vec::new();
        match end {
            End::Complete => self.stop(StopReason::EndTurn, &mut bytes),
            End::Limit => self.stop(StopReason::MaxTokens, &mut bytes),
            End::Truncated | End::Failed => return Frame::data_line(&error::broken_stream()).into_raw(),
        }
        if self.identity.include_usage {
            self.write(&mut bytes, [], raw(&usage::detailed(usage, Some(cost))).as_deref());
        }
        bytes.extend(Frame::data_line("[DONE]").into_raw());
        bytes
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

impl Encoder {
    fn begin(&mut self, index: usize, block: &Open, bytes: &mut Vec<u8>) {
        let block = match block {
            Open::Text => Block::Text(self.content_chars),
            Open::Refusal => Block::Refusal,
            Open::Reasoning => Block::Reasoning(String::new()),
            Open::Redacted(opaque) => {
                let detail = said::redacted_detail(opaque, self.details);
                return self.detail(&detail, bytes);
            }
            Open::ToolUse { id, name, kind } => {
                let (tool, wrapped) = said::called(&self.identity.tool_names, name, *kind);
                let mut call = object([("index", &self.calls)]);
                call.extend(said::call(id, &tool, ""));
                self.say("tool_calls", &[call], bytes);
                let index = self.calls;
                self.calls = self.calls.saturating_add(1);
                Block::Call { index, kind: tool.kind, wrapped: wrapped.then(String::new), empty: true }
            }
        };
        self.open.insert(index, block);
    }

    fn delta(&mut self, index: usize, delta: &Delta, bytes: &mut Vec<u8>) {
        match (self.open.get_mut(&index), delta) {
            (Some(Block::Text(_)), Delta::Text(text)) => {
                let chars = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
                self.content_chars = self.content_chars.saturating_add(chars);
                self.say("content", text, bytes);
            }
            (Some(Block::Refusal), Delta::Text(text)) => self.say("refusal", text, bytes),
            (Some(Block::Reasoning(said)), Delta::Text(text)) => {
                said.push_str(text);
                self.say("reasoning_content", text, bytes);
            }
            (Some(Block::Reasoning(text)), Delta::Opaque(opaque)) => {
                let detail = said::reasoning_detail(text, opaque, self.details);
                self.detail(&detail, bytes);
            }
            (Some(Block::Call { wrapped: Some(wrapped), .. }), Delta::Input(input)) => wrapped.push_str(input),
            (Some(Block::Call { index, kind, empty, .. }), Delta::Input(input)) => {
                *empty = false;
                let call = more_input(*index, *kind, input);
                self.say("tool_calls", &[call], bytes);
            }
            (Some(Block::Text(start)), Delta::Citation(citation)) => match said::annotation(citation, *start) {
                Some(annotation) => {
                    // The SDKs gather lists of a stream by the index of their items.
                    let mut indexed = object([("index", &self.annotations)]);
                    indexed.extend(annotation);
                    self.annotations = self.annotations.saturating_add(1);
                    self.say("annotations", &[indexed], bytes);
                }
                None => self.losses.add("citations"),
            },
            (Some(Block::Text(_)), Delta::Logprobs(tokens)) => {
                let tokens = said::logprobs(tokens);
                self.chunk(&Object::default(), Some(&tokens), None, bytes);
            }
            // No such block is open, or it has no such part: nothing that this dialect could say.
            _ => self.losses.add("delta"),
        }
    }

    fn close(&mut self, index: usize, bytes: &mut Vec<u8>) {
        match self.open.remove(&index) {
            Some(Block::Call { index, kind, wrapped: Some(wrapped), .. }) if !wrapped.is_empty() => {
                let call = more_input(index, kind, &unwrapped_input(&wrapped));
                self.say("tool_calls", &[call], bytes);
            }
            Some(Block::Call { index, kind: ToolKind::Function, empty: true, .. }) => self.without_input.push(index),
            _ => {}
        }
    }

    fn stop(&mut self, reason: StopReason, bytes: &mut Vec<u8>) {
        if self.stopped {
            return;
        }
        // Where the limit stops it a block may still be open.
        let open: Vec<usize> = self.open.keys().copied().collect();
        open.into_iter().for_each(|index| self.close(index, bytes));
        let finish = words::finish_reason(reason);
        for index in std::mem::take(&mut self.without_input) {
            let input = said::whole_input("", finish);
            if !input.is_empty() {
                self.say("tool_calls", &[more_input(index, ToolKind::Function, input)], bytes);
            }
        }
        self.chunk(&Object::default(), None, Some(finish), bytes);
        self.stopped = true;
    }

    fn detail(&mut self, detail: &Object, bytes: &mut Vec<u8>) {
        self.details = self.details.saturating_add(1);
        self.say("reasoning_details", &[detail], bytes);
    }

    fn say(&mut self, key: &'static str, value: &(impl Serialize + ?Sized), bytes: &mut Vec<u8>) {
        let mut delta = Object::default();
        delta.set(key, value);
        self.chunk(&delta, None, None, bytes);
    }

    /// Appends a chunk, behind the one that every stream begins with.
    fn chunk(&mut self, delta: &Object, logprobs: Option<&Object>, finish: Option<&str>, bytes: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            let role = object([("role", &"assistant"), ("content", &"")]);
            self.chunk(&role, None, None, bytes);
        }
        self.write(bytes, [Choice { index: 0, delta, logprobs, finish_reason: finish }], None);
    }

    /// Writes one chunk straight into `bytes`: there is one for every few letters of an answer.
    fn write<const N: usize>(&self, bytes: &mut Vec<u8>, choices: [Choice<'_>; N], usage: Option<&RawValue>) {
        let chunk = Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.identity.created_s,
            model: &self.identity.model,
            service_tier: self.service_tier.as_deref(),
            choices: &choices,
            usage,
        };
        bytes.extend_from_slice(b"data: ");
        // Strings, numbers and JSON texts into memory: there is nothing in it that could fail.
        let _ = serde_json::to_writer(&mut *bytes, &chunk);
        bytes.extend_from_slice(b"\n\n");
    }
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
    choices: &'a [Choice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u64,
    delta: &'a Object,
    logprobs: Option<&'a Object>,
    finish_reason: Option<&'a str>,
}

fn more_input(index: u64, kind: ToolKind, input: &str) -> Object {
    let (key, called) = match kind {
        ToolKind::Function => ("function", object([("arguments", &input)])),
        ToolKind::Custom => ("custom", object([("input", &input)])),
    };
    object([("index", &index), (key, &called)])
}
