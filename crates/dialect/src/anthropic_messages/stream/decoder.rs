//! Reads an upstream's stream.
//!
//! The one rule: every block is closed once, before the stop, however the upstream orders its events.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::anthropic_messages::blocks::{self, Begun, object};
use crate::anthropic_messages::stop;
use crate::anthropic_messages::usage::Counts;
use crate::canonical::{Decode, Delta, Event, Opaque, Open, Owner, Stop, UpstreamError};
use crate::json_text::{self, Joiner};
use crate::sse::Frame;

/// Reads a stream of messages.
#[derive(Debug)]
pub struct Decoder {
    owner: Owner,
    counts: Counts,
    tier: Option<String>,
    /// Blocks that are open, by the upstream's number of them.
    open: BTreeMap<u64, Slot>,
    /// Our number of the next block.
    next: usize,
    stopped: bool,
}

/// An open block.
#[derive(Debug)]
enum Slot {
    /// A block with our number of it.
    Block {
        index: usize,
        /// The input that a tool's call began with.
        input: Option<String>,
        kind: Kind,
        joiner: Joiner,
    },
    /// A block that cannot be told.
    Lost,
}

/// What an open block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Reasoning,
    Redacted,
    Tool {
        /// Whether some of its input has been told.
        told: bool,
    },
}

/// An event of the dialect, as far as it is read.
#[derive(Default, Deserialize)]
pub struct Wire<'a> {
    #[serde(borrow, default)]
    r#type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    index: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    context_management: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct WireDelta<'a> {
    #[serde(borrow, default)]
    r#type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow, default)]
    signature: Option<&'a RawValue>,
    #[serde(borrow, default)]
    partial_json: Option<&'a RawValue>,
    #[serde(borrow, default)]
    citation: Option<&'a RawValue>,
    #[serde(borrow, default)]
    stop_reason: Option<&'a RawValue>,
    #[serde(borrow, default)]
    stop_sequence: Option<&'a RawValue>,
    #[serde(borrow, default)]
    stop_details: Option<&'a RawValue>,
}

impl<'a> Wire<'a> {
    /// Reads an event; `None`: what some gateways add and no reader of this dialect expects.
    ///
    /// # Errors
    /// [`UpstreamError`]: an error event, whatever it calls itself, or no event of any dialect.
    pub fn read(frame: &Frame, data: &'a str) -> Result<Option<Self>, UpstreamError> {
        let name = frame.event();
        if data.trim() == "[DONE]" || name.as_deref() == Some("data") {
            return Ok(None);
        }
        if name.as_deref() == Some("error") {
            return Err(UpstreamError);
        }
        let wire: Self = object(data).ok_or(UpstreamError)?;
        if wire.kind() == "error" || said(wire.error).is_some() { Err(UpstreamError) } else { Ok(Some(wire)) }
    }

    /// Its `type`.
    pub fn kind(&self) -> String {
        self.r#type.and_then(|json| json_text::text(json.get())).unwrap_or_default()
    }

    /// The upstream's number of the block that it is about.
    pub fn index(&self) -> u64 {
        self.index.and_then(|json| json.get().parse().ok()).unwrap_or(0)
    }

    /// Whether it is a `message_delta` that tells why the model stopped.
    pub fn tells_stop(&self) -> bool {
        let delta = self.delta.and_then(|json| object::<WireDelta<'_>>(json.get()));
        delta.and_then(|delta| said(delta.stop_reason)).is_some()
    }
}

/// A member that is there and says something.
fn said(json: Option<&RawValue>) -> Option<&str> {
    json.map(RawValue::get).filter(|json| *json != "null")
}

impl Decoder {
    /// A stream that begins; the state in it is `owner`'s.
    #[must_use]
    pub fn new(owner: Owner) -> Self {
        Self { owner, counts: Counts::default(), tier: None, open: BTreeMap::new(), next: 0, stopped: false }
    }

    fn usage(&mut self, events: &mut Vec<Event>) {
        events.extend(self.counts.reported().map(Event::Usage));
        let tier = self.counts.service_tier().map(str::to_owned);
        if tier != self.tier {
            events.extend(tier.clone().map(Event::ServiceTier));
            self.tier = tier;
        }
    }

    fn begin(&mut self, at: u64, json: &str, events: &mut Vec<Event>) -> Result<(), UpstreamError> {
        self.close(at, events);
        let slot = match blocks::begin(json, &self.owner)? {
            Begun::Lost(name) => {
                events.push(Event::Lost(name));
                Slot::Lost
            }
            Begun::Block { open, deltas, input } => self.opened(open, deltas, input, events),
        };
        self.open.insert(at, slot);
        Ok(())
    }

    fn opened(&mut self, open: Open, deltas: Vec<Delta>, input: Option<String>, events: &mut Vec<Event>) -> Slot {
        let kind = match &open {
            Open::Text | Open::Refusal => Kind::Text,
            Open::Reasoning => Kind::Reasoning,
            Open::Redacted(_) => Kind::Redacted,
            Open::ToolUse { .. } => Kind::Tool { told: false },
        };
        let index = self.next;
        self.next = self.next.saturating_add(1);
        events.push(Event::Open { index, block: open });
        events.extend(deltas.into_iter().map(|delta| Event::Delta { index, delta }));
        Slot::Block { index, input, kind, joiner: Joiner::default() }
    }

    fn delta(&mut self, at: u64, json: &str, events: &mut Vec<Event>) -> Result<(), UpstreamError> {
        let delta: WireDelta<'_> = object(json).ok_or(UpstreamError)?;
        let delta_kind = delta.r#type.and_then(|json| json_text::borrowed(json.get())).unwrap_or_default();
        if !self.open.contains_key(&at) {
            // Some servers begin their blocks with the first delta.
            let open = match delta_kind.as_ref() {
                "text_delta" => Open::Text,
                "thinking_delta" => Open::Reasoning,
                _ => return Ok(()),
            };
            let slot = self.opened(open, Vec::new(), None, events);
            self.open.insert(at, slot);
        }
        let Some(Slot::Block { index, kind, joiner, .. }) = self.open.get_mut(&at) else { return Ok(()) };
        let index = *index;
        let mut text = |json: Option<&RawValue>| joiner.push(json?.get()).filter(|text| !text.is_empty());
        let delta = match (delta_kind.as_ref(), *kind) {
            ("text_delta", Kind::Text) => text(delta.text).map(Delta::Text),
            ("thinking_delta", Kind::Reasoning) => text(delta.thinking).map(Delta::Text),
            ("input_json_delta", Kind::Tool { told }) => {
                let more = text(delta.partial_json);
                *kind = Kind::Tool { told: told || more.is_some() };
                more.map(Delta::Input)
            }
            ("signature_delta", Kind::Reasoning) => {
                let signature = delta.signature.and_then(|json| json_text::text(json.get())).unwrap_or_default();
                (!signature.is_empty()).then(|| Delta::Opaque(Opaque::made_by(&self.owner, signature)))
            }
            ("citations_delta", Kind::Text) => delta.citation.map(|json| Delta::Citation(blocks::citation(json.get()))),
            _ => {
                events.push(Event::Lost("content_block_delta"));
                None
            }
        };
        events.extend(delta.map(|delta| Event::Delta { index, delta }));
        Ok(())
    }

    /// Closes the block that the upstream numbers so, if it is open. A tool whose input came with its
    /// beginning tells it here, and one that takes none tells that.
    fn close(&mut self, at: u64, events: &mut Vec<Event>) {
        let Some(Slot::Block { index, input, kind, mut joiner }) = self.open.remove(&at) else { return };
        match (kind, joiner.finish()) {
            (Kind::Tool { told: false }, None) => {
                let input = input.unwrap_or_else(|| "{}".to_owned());
                events.push(Event::Delta { index, delta: Delta::Input(input) });
            }
            (Kind::Tool { .. }, Some(half)) => {
                events.push(Event::Delta { index, delta: Delta::Input(half.into()) });
            }
            (_, Some(half)) => events.push(Event::Delta { index, delta: Delta::Text(half.into()) }),
            (_, None) => {}
        }
        events.push(Event::Close { index });
    }

    fn close_all(&mut self, events: &mut Vec<Event>) {
        let open: Vec<u64> = self.open.keys().copied().collect();
        open.into_iter().for_each(|at| self.close(at, events));
    }

    fn message_delta(&mut self, wire: &Wire<'_>, events: &mut Vec<Event>) -> Result<(), UpstreamError> {
        let delta = wire.delta.map(|json| object::<WireDelta<'_>>(json.get()).ok_or(UpstreamError));
        let delta = delta.transpose()?.unwrap_or_default();
        if let Some(usage) = wire.usage {
            self.counts.update(usage.get());
            self.usage(events);
        }
        if said(wire.context_management).is_some_and(|json| !json.contains("[]")) {
            events.push(Event::Lost("context_management"));
        }
        let Some(reason) = said(delta.stop_reason) else { return Ok(()) };
        self.close_all(events);
        if said(delta.stop_details).is_some() {
            // The provider's own words.
            events.push(Event::Lost("stop_details"));
        }
        if !self.stopped {
            self.stopped = true;
            let sequence = said(delta.stop_sequence).and_then(json_text::text);
            events.push(Event::Stop(Stop {
                reason: stop::parse(&json_text::borrowed(reason).unwrap_or_default()),
                sequence,
            }));
        }
        Ok(())
    }
}

impl Decode for Decoder {
    fn push(&mut self, frame: &Frame, events: &mut Vec<Event>) -> Result<bool, UpstreamError> {
        let Some(data) = frame.data() else { return Ok(false) };
        let Some(wire) = Wire::read(frame, &data)? else { return Ok(false) };
        match wire.kind().as_str() {
            "message_start" => {
                let message = wire.message.and_then(|json| object::<Message<'_>>(json.get()));
                if let Some(usage) = message.unwrap_or_default().usage {
                    self.counts.begin(usage.get());
                    self.usage(events);
                }
            }
            "content_block_start" => {
                let block = wire.content_block.ok_or(UpstreamError)?;
                self.begin(wire.index(), block.get(), events)?;
            }
            "content_block_delta" => {
                let delta = wire.delta.ok_or(UpstreamError)?;
                self.delta(wire.index(), delta.get(), events)?;
            }
            "content_block_stop" => self.close(wire.index(), events),
            "message_delta" => self.message_delta(&wire, events)?,
            "message_stop" => {
                self.close_all(events);
                return Ok(true);
            }
            _ => {}
        }
        Ok(false)
    }

    fn finish(&mut self, events: &mut Vec<Event>) {
        // A call that is cut before its input is no call without one.
        for slot in self.open.values() {
            if let Slot::Block { index, .. } = slot {
                events.push(Event::Close { index: *index });
            }
        }
        self.open.clear();
    }
}

#[cfg(test)]
mod tests;
