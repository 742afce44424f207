//! A stream from one dialect into another: an upstream's decoder, the events, a client's encoder.
//!
//! The one rule: what the decoder has read is counted, whether or not the client's dialect can say it.

use std::collections::BTreeSet;

use billing::money::NanoUsd;
use billing::reported::Reported;
use billing::usage::Usage;

use crate::canonical::{Decode, Delta, Encode, Event, Losses, Opaque, Open, UpstreamError};
use crate::relay::{End, Forward, Meter, Relay, Step};
use crate::sse::{Frame, FrameTooLong, Parser};
use crate::tokens::Vocabulary;
use crate::visible::{Kind, Place, Visible};

/// The relay of two dialects.
pub struct Translation {
    parser: Parser,
    decoder: Box<dyn Decode>,
    encoder: Box<dyn Encode>,
    count: Count,
    losses: Losses,
    end: Option<End>,
}

/// Counts an answer by its events.
#[derive(Debug, Clone, Default)]
pub struct Count {
    reported: Option<Reported>,
    finished: bool,
    visible: Visible,
    /// Blocks of reasoning by their numbers.
    reasoning: BTreeSet<usize>,
}

impl Translation {
    /// A stream that begins, of a model with this vocabulary.
    #[must_use]
    pub fn new(decoder: Box<dyn Decode>, encoder: Box<dyn Encode>, vocabulary: Vocabulary) -> Self {
        Self {
            parser: Parser::default(),
            decoder,
            encoder,
            count: Count::new(vocabulary),
            losses: Losses::default(),
            end: None,
        }
    }

    fn frame(&mut self, frame: &Frame, bytes: &mut Vec<u8>) {
        let mut events = Vec::new();
        let read = self.decoder.push(frame, &mut events);
        self.say(&events, bytes);
        match read {
            Ok(false) => {}
            Ok(true) => self.end = Some(End::Complete),
            Err(UpstreamError) => self.end = Some(End::Failed),
        }
    }

    fn say(&mut self, events: &[Event], bytes: &mut Vec<u8>) {
        for event in events {
            self.count.read(event);
            if let Event::Lost(name) = event {
                self.losses.add(name);
            }
            self.encoder.push(event, bytes);
        }
    }

    /// Lets the decoder say what it held back.
    fn drain(&mut self, bytes: &mut Vec<u8>) {
        let mut events = Vec::new();
        self.decoder.finish(&mut events);
        self.say(&events, bytes);
    }

    fn ended(&mut self, mut bytes: Vec<u8>, end: End) -> Step {
        self.drain(&mut bytes);
        self.end = Some(end);
        Step { forward: Forward::Bytes(bytes), end: Some(end) }
    }
}

impl Relay for Translation {
    fn push(&mut self, bytes: &[u8]) -> Step {
        let mut forward = Vec::new();
        let frames = match self.parser.push(bytes) {
            Ok(frames) => frames,
            Err(FrameTooLong) => return self.ended(forward, End::Failed),
        };
        for frame in frames {
            self.frame(&frame, &mut forward);
            if let Some(end) = self.end {
                return self.ended(forward, end);
            }
        }
        Step { forward: Forward::Bytes(forward), end: None }
    }

    fn finish(&mut self) -> Step {
        let mut forward = Vec::new();
        if let Some(frame) = std::mem::take(&mut self.parser).finish() {
            self.frame(&frame.terminated(), &mut forward);
        }
        let end = self.end.unwrap_or(if self.count.finished { End::Complete } else { End::Truncated });
        self.ended(forward, end)
    }

    fn stop_at_limit(&mut self) {
        self.end = Some(End::Limit);
    }

    fn tail(&mut self, usage: &Usage, cost: NanoUsd) -> Vec<u8> {
        self.encoder.tail(self.end.unwrap_or(End::Truncated), usage, cost)
    }

    fn keep_alive(&self) -> &'static [u8] {
        self.encoder.keep_alive()
    }

    fn meter(&self) -> Meter {
        self.count.meter()
    }

    fn losses(&self) -> String {
        let mut losses = self.losses.clone();
        losses.merge(self.encoder.losses());
        losses.to_string()
    }
}

impl Count {
    /// The count of an answer of a model with this vocabulary.
    #[must_use]
    pub fn new(vocabulary: Vocabulary) -> Self {
        Self { visible: Visible::new(vocabulary), ..Self::default() }
    }

    /// Reads one event.
    pub fn read(&mut self, event: &Event) {
        match event {
            Event::Usage(reported) => {
                self.reported = Some(self.reported.map_or(*reported, |earlier| earlier.then(*reported)));
            }
            Event::Stop(_) => self.finished = true,
            Event::Delta { index, delta: Delta::Text(text) } => {
                let kind = if self.reasoning.contains(index) { Kind::Reasoning } else { Kind::Text };
                self.visible.push(place(kind, *index), text);
            }
            Event::Delta { index, delta: Delta::Input(input) } => {
                self.visible.push(place(Kind::Arguments, *index), input);
            }
            Event::Open { index, block: Open::ToolUse { name, .. } } => {
                self.visible.push(place(Kind::Name, *index), name);
            }
            Event::Open { index, block: Open::Reasoning } => {
                self.reasoning.insert(*index);
            }
            Event::Open { block: Open::Redacted(Opaque { data, .. }), .. } => self.visible.push_state(data),
            Event::Open { block: Open::Text | Open::Refusal, .. }
            | Event::Delta { delta: Delta::Opaque(_) | Delta::Citation(_) | Delta::Logprobs(_), .. }
            | Event::Close { .. }
            | Event::ServiceTier(_)
            | Event::Lost(_) => {}
        }
    }

    /// What has been counted.
    #[must_use]
    pub fn meter(&self) -> Meter {
        Meter { reported: self.reported, visible: self.visible.figures(), finished: self.finished }
    }
}

/// The text of a block.
fn place(kind: Kind, block: usize) -> Place {
    Place { choice: 0, kind, part: u64::try_from(block).unwrap_or(u64::MAX) }
}
