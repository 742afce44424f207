//! Writes a client's stream.
//!
//! The one rule: blocks stand strictly one after another. What comes of others while one is open waits.

use std::collections::BTreeMap;

use billing::money::NanoUsd;
use billing::usage::Usage;
use serde_json::json;

use super::keep_alive;
use crate::anthropic_messages::answer::input_object;
use crate::anthropic_messages::blocks::citation_json;
use crate::anthropic_messages::{error, stop, usage};
use crate::canonical::{Delta, Encode, Event, Identity, Losses, Opaque, Open, Stop, StopReason, ToolKind};
use crate::envelope::quoted;
use crate::relay::End;
use crate::sse::write_named;

/// Writes a stream of messages.
#[derive(Debug)]
pub struct Encoder {
    identity: Identity,
    started: bool,
    /// The block that is being written.
    open: Option<Writing>,
    /// Events of blocks that wait, by their numbers.
    waiting: BTreeMap<usize, Vec<Event>>,
    /// How many blocks have begun.
    begun: usize,
    usage: Option<Usage>,
    tier: Option<String>,
    stop: Option<Stop>,
    refused: bool,
    losses: Losses,
}

#[derive(Debug)]
struct Writing {
    /// Its number among the events.
    index: usize,
    /// Its number on the wire.
    at: usize,
    /// What ends it.
    rest: Rest,
}

/// What is still to be written of a block when it ends.
#[derive(Debug)]
enum Rest {
    /// Nothing.
    Nothing,
    /// Of reasoning, its signature.
    Signature(Opaque),
    /// Of a call, what has come of arguments that are not known to be an object.
    Arguments(String),
    /// Of a custom tool's call, the end of the object that its text stands in.
    Closing,
}

impl Encoder {
    /// A stream that begins.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self {
            identity,
            started: false,
            open: None,
            waiting: BTreeMap::new(),
            begun: 0,
            usage: None,
            tier: None,
            stop: None,
            refused: false,
            losses: Losses::default(),
        }
    }

    fn start(&mut self, bytes: &mut Vec<u8>) {
        if self.started {
            return;
        }
        self.started = true;
        // A client's meter of its context reads this: an estimate is better than nothing.
        let known = self.usage.filter(|usage| usage.total_input() > 0);
        let usage = known.unwrap_or(Usage { input: self.identity.likely_input, ..Usage::default() });
        let usage = usage::to_json(&usage, self.tier.as_deref(), None);
        let (id, model) = (message_id(&self.identity), quoted(&self.identity.model));
        let data = format!(
            r#"{{"type":"message_start","message":{{"id":{id},"type":"message","role":"assistant","model":{model},"content":[],"stop_reason":null,"stop_sequence":null,"usage":{usage}}}}}"#
        );
        write_named(bytes, "message_start", &data);
    }

    /// Writes an event of a block, if it is its turn.
    fn block(&mut self, index: usize, event: &Event, bytes: &mut Vec<u8>) {
        match (&self.open, event) {
            (None, Event::Open { block, .. }) => self.begin(index, block, bytes),
            (Some(open), Event::Delta { delta, .. }) if open.index == index => self.delta(delta, bytes),
            (Some(open), Event::Close { .. }) if open.index == index => {
                self.close(bytes);
                self.next(bytes);
            }
            (Some(_), _) => self.waiting.entry(index).or_default().push(event.clone()),
            // Nothing is open: what comes of a closed block says nothing.
            (None, _) => {}
        }
    }

    /// Writes the blocks that wait, up to the first that is not complete.
    fn next(&mut self, bytes: &mut Vec<u8>) {
        while self.open.is_none() {
            let Some((index, events)) = self.waiting.pop_first() else { return };
            for event in &events {
                match event {
                    Event::Open { block, .. } => self.begin(index, block, bytes),
                    Event::Delta { delta, .. } => self.delta(delta, bytes),
                    Event::Close { .. } => self.close(bytes),
                    _ => {}
                }
            }
        }
    }

    fn begin(&mut self, index: usize, block: &Open, bytes: &mut Vec<u8>) {
        let at = self.begun;
        self.begun = self.begun.saturating_add(1);
        let mut rest = Rest::Nothing;
        let content = match block {
            Open::Text => json!({"type": "text", "text": ""}),
            Open::Refusal => {
                self.refused = true;
                json!({"type": "text", "text": ""})
            }
            Open::Reasoning => {
                // Reasoning without a provider's state still has an owner.
                rest = Rest::Signature(Opaque::made_by(&self.identity.owner, ""));
                json!({"type": "thinking", "thinking": "", "signature": ""})
            }
            Open::Redacted(opaque) => json!({"type": "redacted_thinking", "data": opaque.tagged()}),
            Open::ToolUse { id, name, kind } => {
                rest = match kind {
                    ToolKind::Function => Rest::Arguments(String::new()),
                    ToolKind::Custom => Rest::Closing,
                };
                json!({
                    "type": "tool_use",
                    "id": tool_use_id(&self.identity, id, at),
                    "name": self.identity.tool_names.client(name).name,
                    "input": {},
                })
            }
        };
        let data = json!({"type": "content_block_start", "index": at, "content_block": content});
        write_named(bytes, "content_block_start", &data.to_string());
        if matches!(rest, Rest::Closing) {
            write_input(at, "{\"input\":\"", bytes);
        }
        self.open = Some(Writing { index, at, rest });
    }

    fn delta(&mut self, delta: &Delta, bytes: &mut Vec<u8>) {
        let Some(open) = &mut self.open else { return };
        let written = match delta {
            Delta::Text(text) if matches!(open.rest, Rest::Signature(_)) => {
                format!(r#"{{"type":"thinking_delta","thinking":{}}}"#, quoted(text))
            }
            Delta::Text(text) => format!(r#"{{"type":"text_delta","text":{}}}"#, quoted(text)),
            Delta::Input(input) => return open.input(input, bytes),
            Delta::Opaque(opaque) => {
                if let Rest::Signature(signature) = &mut open.rest {
                    signature.clone_from(opaque);
                }
                return;
            }
            Delta::Citation(citation) => match citation_json(citation) {
                Some(citation) => format!(r#"{{"type":"citations_delta","citation":{citation}}}"#),
                None => return self.losses.add("citations"),
            },
            Delta::Logprobs(_) => return self.losses.add("logprobs"),
        };
        let data = format!(r#"{{"type":"content_block_delta","index":{},"delta":{written}}}"#, open.at);
        write_named(bytes, "content_block_delta", &data);
    }

    fn close(&mut self, bytes: &mut Vec<u8>) {
        let Some(open) = self.open.take() else { return };
        match open.rest {
            Rest::Nothing => {}
            Rest::Signature(signature) => {
                let signature = quoted(&signature.tagged());
                let delta = format!(r#"{{"type":"signature_delta","signature":{signature}}}"#);
                let data = format!(r#"{{"type":"content_block_delta","index":{},"delta":{delta}}}"#, open.at);
                write_named(bytes, "content_block_delta", &data);
            }
            Rest::Arguments(held) => {
                // The block began with an empty object.
                let object = Some(input_object(&held)).filter(|object| object != "{}");
                object.iter().for_each(|object| write_input(open.at, object, bytes));
            }
            Rest::Closing => write_input(open.at, "\"}", bytes),
        }
        write_named(bytes, "content_block_stop", &format!(r#"{{"type":"content_block_stop","index":{}}}"#, open.at));
    }
}

impl Writing {
    /// Goes on with the input of a call: arguments pass as soon as they are seen to be an object, a custom
    /// tool's text as pieces of a JSON string.
    fn input(&mut self, input: &str, bytes: &mut Vec<u8>) {
        match &mut self.rest {
            Rest::Arguments(held) => {
                held.push_str(input);
                // `{}` needs no delta, and what is no object is written when it is whole.
                if held.trim_start().starts_with('{') && held != "{}" {
                    write_input(self.at, held, bytes);
                    self.rest = Rest::Nothing;
                }
            }
            Rest::Closing => {
                let text = quoted(input);
                let inside = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
                write_input(self.at, inside.unwrap_or_default(), bytes);
            }
            Rest::Nothing | Rest::Signature(_) => write_input(self.at, input, bytes),
        }
    }
}

impl Encode for Encoder {
    fn push(&mut self, event: &Event, bytes: &mut Vec<u8>) {
        match event {
            Event::Usage(reported) => self.usage = Some(reported.usage),
            Event::ServiceTier(tier) => match usage::service_tier(tier) {
                Some(tier) => self.tier = Some(tier.to_owned()),
                None => self.losses.add("service_tier"),
            },
            _ => {}
        }
        self.start(bytes);
        match event {
            Event::Open { index, .. } | Event::Delta { index, .. } | Event::Close { index } => {
                self.block(*index, event, bytes);
            }
            Event::Stop(stop) => self.stop = Some(stop.clone()),
            Event::Usage(_) | Event::ServiceTier(_) | Event::Lost(_) => {}
        }
    }

    fn tail(&mut self, end: End, used: &Usage, cost: NanoUsd) -> Vec<u8> {
        let mut bytes = Vec::new();
        if matches!(end, End::Truncated | End::Failed) {
            return error::event(500, &error::BROKE_OFF).into_bytes();
        }
        self.start(&mut bytes);
        while self.open.is_some() {
            self.close(&mut bytes);
            self.next(&mut bytes);
        }
        let stop = if end == End::Limit { None } else { self.stop.take() };
        let (reason, sequence) = stop_words(end, stop.as_ref(), self.refused);
        let usage = usage::to_json(used, self.tier.as_deref(), Some(cost));
        let data = format!(
            r#"{{"type":"message_delta","delta":{{"stop_reason":"{reason}","stop_sequence":{sequence}}},"usage":{usage}}}"#
        );
        write_named(&mut bytes, "message_delta", &data);
        write_named(&mut bytes, "message_stop", r#"{"type":"message_stop"}"#);
        bytes
    }

    fn keep_alive(&self) -> &'static [u8] {
        keep_alive(self.started)
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

/// `stop_reason`, and `stop_sequence` as JSON.
fn stop_words(end: End, stop: Option<&Stop>, refused: bool) -> (&'static str, String) {
    let reason = match stop.map(|stop| stop.reason) {
        _ if end == End::Limit => StopReason::MaxTokens,
        None | Some(StopReason::EndTurn) if refused => StopReason::Refusal,
        reason => reason.unwrap_or(StopReason::EndTurn),
    };
    let sequence = stop.and_then(|stop| stop.sequence.as_deref()).map_or_else(|| "null".to_owned(), quoted);
    (stop::word(reason), sequence)
}

/// The message's id, as JSON.
pub fn message_id(identity: &Identity) -> String {
    quoted(&format!("msg_{}", identity.id))
}

/// The id of a call: the provider's, else one of ours.
pub fn tool_use_id(identity: &Identity, id: &str, at: usize) -> String {
    if id.is_empty() { format!("toolu_{}{at}", identity.id) } else { id.to_owned() }
}

fn write_input(at: usize, json: &str, bytes: &mut Vec<u8>) {
    let delta = format!(r#"{{"type":"input_json_delta","partial_json":{}}}"#, quoted(json));
    write_named(
        bytes,
        "content_block_delta",
        &format!(r#"{{"type":"content_block_delta","index":{at},"delta":{delta}}}"#),
    );
}

#[cfg(test)]
mod tests;
