//! A messages stream handed on to its client, and counted on the way.
//!
//! The one rule: the bytes are the upstream's, but for these cases. What is no event of the dialect is
//! dropped, and a second `message_start` too. A `message_start` without input gets an estimate of it.
//! The `message_delta` with the stop reason and `message_stop` wait until the request is settled; a
//! missing `message_stop` is supplied. An error of the upstream becomes ours, and so do the words of a
//! comment. `model` and the fields
//! that an upstream is known to add are rewritten, and a provider's state is tagged with its owner.

use std::collections::BTreeSet;

use billing::money::NanoUsd;
use billing::usage::Usage;

use super::stream::{Decoder, Wire, keep_alive};
use super::{error, trim, usage};
use crate::canonical::{Decode, Owner, UpstreamError};
use crate::envelope::Envelope;
use crate::relay::{End, Forward, Meter, PassFrames, Relay, Step, finish_frames, push_frames};
use crate::rewrite::Rewrite;
use crate::sse::{Frame, Parser};
use crate::tokens::Vocabulary;
use crate::translate::Count;

/// A messages stream that is passed on.
#[derive(Debug)]
pub struct PassThrough {
    parser: Parser,
    decoder: Decoder,
    count: Count,
    rewrite: Rewrite,
    /// An estimate of the input, in tokens.
    likely_input: u64,
    started: bool,
    /// The upstream's numbers of blocks that are open.
    open: BTreeSet<u64>,
    /// The `message_delta` with the stop reason, and `message_stop`.
    held_delta: Option<Frame>,
    held_stop: Option<Frame>,
    /// Usage came after the held `message_delta`.
    usage_is_newer: bool,
    end: Option<End>,
}

impl PassThrough {
    /// A stream that begins, of a model with this vocabulary; `likely_input` in tokens.
    #[must_use]
    pub fn new(likely_input: u64, rewrite: Rewrite, vocabulary: Vocabulary) -> Self {
        // The decoder only counts: whose the state is does not matter to it.
        let owner = rewrite.owner.clone().unwrap_or_else(|| Owner::new(""));
        Self {
            parser: Parser::default(),
            decoder: Decoder::new(owner),
            count: Count::new(vocabulary),
            rewrite,
            likely_input,
            started: false,
            open: BTreeSet::new(),
            held_delta: None,
            held_stop: None,
            usage_is_newer: false,
            end: None,
        }
    }

    fn edited(&self, frame: &Frame, data: &str, kind: &str) -> Option<Frame> {
        // What is no UTF-8 is not rewritten: its bytes could not be kept.
        if std::str::from_utf8(frame.raw()).is_err() {
            return None;
        }
        let envelope = Envelope::parse(data).ok()?;
        let mut edits = envelope.edit();
        match kind {
            "message_start" => {
                let message = self.message(envelope.present("message")?)?;
                edits.set("message", &message);
            }
            "content_block_start" => {
                let owner = self.rewrite.owner.as_ref()?;
                edits.set("content_block", &trim::tag_block(envelope.present("content_block")?, owner)?);
            }
            "content_block_delta" => {
                let owner = self.rewrite.owner.as_ref()?;
                let json = envelope.present("delta").filter(|json| json.contains("signature_delta"))?;
                let delta = Envelope::parse(json).ok()?;
                edits.set("delta", &trim::tag_member(&delta, "signature", owner)?);
            }
            "message_delta" => self.rewrite.apply(&envelope, &mut edits),
            _ => return None,
        }
        if edits.is_empty() { None } else { Some(frame.with_data(&edits.finish())) }
    }

    /// The message that a stream begins with, as the client gets it; `None`: as it came.
    fn message(&self, json: &str) -> Option<String> {
        let message = Envelope::parse(json).ok()?;
        let mut edits = message.edit();
        self.rewrite.apply(&message, &mut edits);
        let reported = message.present("usage");
        let knows_input = reported.and_then(usage::parse).is_some_and(|reported| reported.usage.total_input() > 0);
        // A client's meter of its context reads this: an estimate is better than nothing.
        let estimated = reported.filter(|_| !knows_input).map(Envelope::parse);
        let stripped = if edits.is_empty() { None } else { Some(edits.finish()) };
        let Some(Ok(_)) = estimated else { return stripped };
        let json = stripped.as_deref().unwrap_or(json);
        let message = Envelope::parse(json).ok()?;
        let usage = Envelope::parse(message.present("usage")?).ok()?;
        let mut usage_edits = usage.edit();
        usage_edits.set("input_tokens", &self.likely_input.to_string());
        let mut edits = message.edit();
        edits.set("usage", &usage_edits.finish());
        Some(edits.finish())
    }

    /// The held `message_delta` with the cost in it, and with counts that came after it.
    fn last_delta(&self, frame: &Frame, used: &Usage, cost: NanoUsd) -> Option<Frame> {
        let data = frame.data()?;
        let envelope = Envelope::parse(&data).ok()?;
        let mut edits = envelope.edit();
        match envelope.present("usage").map(Envelope::parse) {
            Some(Ok(usage)) if !self.usage_is_newer => {
                let mut usage_edits = usage.edit();
                usage_edits.set("cost", &cost.to_string());
                edits.set("usage", &usage_edits.finish());
            }
            _ => edits.set("usage", &usage::to_json(used, None, Some(cost))),
        }
        Some(frame.with_data(&edits.finish()))
    }

    /// The end of a stream that we ended ourselves.
    fn limit(&self, used: &Usage, cost: NanoUsd) -> String {
        let mut tail = String::new();
        for index in &self.open {
            let data = format!(r#"{{"type":"content_block_stop","index":{index}}}"#);
            tail.push_str(&format!("event: content_block_stop\ndata: {data}\n\n"));
        }
        let usage = usage::to_json(used, None, Some(cost));
        let data = format!(
            r#"{{"type":"message_delta","delta":{{"stop_reason":"max_tokens","stop_sequence":null}},"usage":{usage}}}"#
        );
        tail + &format!("event: message_delta\ndata: {data}\n\n") + STOP
    }
}

/// The end of a stream that lacks its own.
const STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

impl PassFrames for PassThrough {
    fn parser(&mut self) -> &mut Parser {
        &mut self.parser
    }

    fn end(&self) -> Option<End> {
        self.end
    }

    fn ended(&mut self, forward: Vec<u8>, end: End) -> Step {
        self.end = Some(end);
        Step { forward: Forward::Bytes(forward), end: Some(end) }
    }

    fn event(&mut self, frame: &Frame, data: &str, forward: &mut Vec<u8>) {
        let mut events = Vec::new();
        let read = self.decoder.push(frame, &mut events);
        events.iter().for_each(|event| self.count.read(event));
        let wire = match (read, Wire::read(frame, data)) {
            (Ok(_), Ok(Some(wire))) => wire,
            (Ok(_), Ok(None)) => return,
            (Err(UpstreamError), _) | (_, Err(UpstreamError)) => {
                self.end = Some(End::Failed);
                return;
            }
        };
        let kind = wire.kind();
        match kind.as_str() {
            "message_start" if std::mem::replace(&mut self.started, true) => return,
            "content_block_start" => {
                self.open.insert(wire.index());
            }
            "content_block_stop" => {
                self.open.remove(&wire.index());
            }
            "message_start" | "content_block_delta" | "message_delta" | "ping" => {}
            "message_stop" => {
                self.held_stop = Some(frame.clone());
                self.end = Some(End::Complete);
                return;
            }
            _ => return,
        }
        let edited = self.edited(frame, data, &kind);
        let frame = edited.as_ref().unwrap_or(frame);
        if kind == "message_delta" && (wire.tells_stop() || self.held_delta.is_some()) {
            // What follows the stop can only be newer counts, which the held one will tell.
            if wire.tells_stop() {
                self.held_delta = Some(frame.clone());
            }
            self.usage_is_newer = !wire.tells_stop();
            return;
        }
        forward.extend_from_slice(frame.raw());
    }
}

impl Relay for PassThrough {
    fn push(&mut self, bytes: &[u8]) -> Step {
        push_frames(self, bytes)
    }

    fn finish(&mut self) -> Step {
        finish_frames(self, |relay| relay.count.meter().finished)
    }

    fn stop_at_limit(&mut self) {
        self.end = Some(End::Limit);
    }

    /// The cost stands in the usage of the last `message_delta`.
    fn tail(&mut self, used: &Usage, cost: NanoUsd) -> Vec<u8> {
        match self.end {
            Some(End::Complete) => {
                let mut tail = Vec::new();
                if let Some(frame) = self.held_delta.take() {
                    tail.extend(self.last_delta(&frame, used, cost).unwrap_or(frame).into_raw());
                }
                tail.extend(self.held_stop.take().map_or_else(|| STOP.as_bytes().to_vec(), Frame::into_raw));
                tail
            }
            // Without its beginning a message has no end either.
            Some(End::Limit) if self.started => self.limit(used, cost).into_bytes(),
            _ => error::event(500, &error::BROKE_OFF).into_bytes(),
        }
    }

    fn keep_alive(&self) -> &'static [u8] {
        keep_alive(self.started)
    }

    fn meter(&self) -> Meter {
        self.count.meter()
    }
}

#[cfg(test)]
mod tests;
