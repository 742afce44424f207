//! A stream from one dialect into another: an upstream's decoder, the events, a client's encoder.
//!
//! The one rule: what the decoder has read is counted, whether or not the client's dialect can say it.

use billing::money::NanoUsd;
use billing::usage::Usage;

use crate::canonical::{Decode, Delta, Encode, Event, Losses, Opaque, Open, UpstreamError};
use crate::relay::{End, Forward, Meter, Relay, Step};
use crate::sse::{Frame, FrameTooLong, Parser};
use crate::tokens;

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
    meter: Meter,
    /// Bytes of the block that is open are counted as one text: a text in pieces is no more than the text.
    pending: String,
}

/// How much text is gathered before it is counted, in bytes.
const COUNT_AT_BYTES: usize = 256;

impl Translation {
    /// A stream that begins.
    #[must_use]
    pub fn new(decoder: Box<dyn Decode>, encoder: Box<dyn Encode>) -> Self {
        Self {
            parser: Parser::default(),
            decoder,
            encoder,
            count: Count::default(),
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
        let end = self.end.unwrap_or(if self.count.meter.finished { End::Complete } else { End::Truncated });
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
    /// Reads one event.
    pub fn read(&mut self, event: &Event) {
        match event {
            Event::Usage(reported) => {
                self.meter.usage = Some(reported.usage);
                self.meter.lacks_output = reported.lacks_output;
                self.meter.knows_input |= reported.usage.total_input() > 0;
            }
            Event::Stop(_) => self.meter.finished = true,
            Event::Delta { delta, .. } => match delta {
                Delta::Text(text) | Delta::Input(text) => self.text(text),
                Delta::Opaque(_) | Delta::Citation(_) | Delta::Logprobs(_) => {}
            },
            Event::Open { block: Open::ToolUse { name, .. }, .. } => self.text(name),
            // Its words are hidden, but it is no shorter than they are.
            Event::Open { block: Open::Redacted(Opaque { data, .. }), .. } => {
                let tokens = u64::try_from(data.len()).unwrap_or(u64::MAX).div_ceil(8);
                self.meter.visible_output = self.meter.visible_output.saturating_add(tokens);
            }
            Event::Close { .. } => self.flush(),
            Event::Open { .. } | Event::ServiceTier(_) | Event::Lost(_) => {}
        }
    }

    /// What has been counted.
    #[must_use]
    pub fn meter(&self) -> Meter {
        let pending = tokens::estimate(&self.pending);
        Meter { visible_output: self.meter.visible_output.saturating_add(pending), ..self.meter }
    }

    fn text(&mut self, text: &str) {
        self.pending.push_str(text);
        if self.pending.len() >= COUNT_AT_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.meter.visible_output = self.meter.visible_output.saturating_add(tokens::estimate(&self.pending));
        self.pending.clear();
    }
}
