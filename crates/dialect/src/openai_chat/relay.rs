//! A chat stream handed on to its client, and counted on the way.
//!
//! The one rule: the bytes are the upstream's, but for these cases. A usage-only chunk goes to a
//! client that asked for usage, and to nobody else. The latest of them and `[DONE]` wait until the
//! request is settled. An error of the upstream becomes ours, and an event that is none of this dialect
//! is dropped. Comments keep the connection alive, but their text, which may be the provider's, is ours.
//! A missing `[DONE]` after a `finish_reason` is supplied; an end without either is an error. `model` and
//! the fields that an upstream is known to add are rewritten, and the state behind reasoning is tagged with
//! its owner.

pub(super) mod chunk;

use std::collections::BTreeMap;

use billing::money::NanoUsd;
use billing::usage::Usage;

use super::seen::Seen;
use super::{error, state, usage};
use crate::canonical::Reported;
use crate::envelope::{Envelope, quoted};
use crate::relay::{End, Forward, Meter, PassFrames, Relay, Step, finish_frames, push_frames};
use crate::rewrite::Rewrite;
use crate::sse::{Frame, Parser};
use crate::tokens::Vocabulary;

use chunk::{Choice, Chunk};

/// A chat stream that is passed on.
#[derive(Debug)]
pub struct PassThrough {
    parser: Parser,
    seen: Seen,
    /// A choice has finished.
    finished: bool,
    /// What the provider counted, all its reports taken together.
    reported: Option<Reported>,
    /// Groq's second place for the usage, used when there is no other.
    vendor_usage: Option<Reported>,
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
    /// A stream that begins, of a model with this vocabulary.
    #[must_use]
    pub fn new(include_usage: bool, rewrite: Rewrite, vocabulary: Vocabulary) -> Self {
        Self {
            parser: Parser::default(),
            seen: Seen::new(vocabulary),
            finished: false,
            reported: None,
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
        if data.trim() == "[DONE]" {
            self.held_done = Some(frame.clone());
            self.end = Some(End::Complete);
            return;
        }
        let chunk = Chunk::parse(data).filter(|_| frame.event().as_deref() != Some("error"));
        let Some(chunk) = chunk else {
            self.end = Some(End::Failed);
            return;
        };
        let choices = chunk.choices();
        if chunk.is_error(&choices) {
            self.end = Some(End::Failed);
            return;
        }
        if !chunk.is_known() {
            // No event of this dialect; it may be anything, a provider's words too.
            return;
        }
        self.count(&chunk, &choices);
        self.note(&chunk, &choices);
        let edited = self.edited(frame, data);
        let frame = edited.as_ref().unwrap_or(frame);
        // As the client would see it: what is taken out is no further key.
        if Chunk::parse(&frame.data().unwrap_or_default()).is_some_and(|chunk| chunk.is_usage_only()) {
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

    fn pass(&mut self, frame: &Frame, forward: &mut Vec<u8>) {
        if let Some(held) = self.held_usage.take()
            && self.include_usage
        {
            forward.extend_from_slice(held.raw());
        }
        forward.extend_from_slice(frame.raw());
    }
}

impl Relay for PassThrough {
    fn meter(&self) -> Meter {
        let reported = self.reported.or(self.vendor_usage);
        Meter { reported, visible: self.seen.figures(), finished: self.finished }
    }

    fn push(&mut self, bytes: &[u8]) -> Step {
        push_frames(self, bytes)
    }

    fn finish(&mut self) -> Step {
        finish_frames(self, |relay| relay.finished)
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

    /// Counts what a chunk says.
    fn count(&mut self, chunk: &Chunk<'_>, choices: &[Choice<'_>]) {
        merge(&mut self.reported, chunk.usage());
        merge(&mut self.vendor_usage, chunk.vendor_usage());
        for choice in choices {
            self.finished |= choice.is_finished();
            self.seen.read(choice, "delta");
        }
    }

    /// Remembers what a chunk of our own would need.
    fn note(&mut self, chunk: &Chunk<'_>, choices: &[Choice<'_>]) {
        for choice in choices {
            *self.choices.entry(choice.index()).or_default() |= choice.is_finished();
        }
        if self.identity.is_empty() {
            let model = self.rewrite.model.as_deref().map(quoted);
            let theirs = |key| chunk.get(key).map(str::to_owned);
            let given =
                [("id", theirs("id")), ("created", theirs("created")), ("model", model.or_else(|| theirs("model")))];
            self.identity = given.into_iter().filter_map(|(key, json)| Some((key, json?))).collect();
        }
    }

    fn edited(&self, frame: &Frame, data: &str) -> Option<Frame> {
        // What is no UTF-8 is not rewritten: its bytes could not be kept.
        let owner = self.rewrite.owner.as_ref().filter(|_| state::may_be_in(data));
        if (self.rewrite.applies_nowhere() && owner.is_none()) || std::str::from_utf8(frame.raw()).is_err() {
            return None;
        }
        let envelope = Envelope::parse_any(data).ok()?;
        let mut edits = envelope.edit();
        self.rewrite.apply(&envelope, &mut edits);
        let mut choices = envelope.all("choices");
        if let (Some(owner), Some(only), None) = (owner, choices.next(), choices.next())
            && let Some(tagged) = state::tagged(only, "delta", owner)
        {
            edits.set("choices", &tagged);
        }
        if edits.is_empty() { None } else { Some(frame.with_data(&edits.finish())) }
    }
}

/// Takes one more report in.
fn merge(reported: &mut Option<Reported>, later: Option<Reported>) {
    *reported = match (*reported, later) {
        (Some(earlier), Some(later)) => Some(earlier.then(later)),
        (earlier, later) => later.or(earlier),
    };
}

/// The chunk with `usage.cost`, in USD.
fn with_cost(frame: &Frame, cost: NanoUsd) -> Option<Frame> {
    let data = frame.data()?;
    let envelope = Envelope::parse_any(&data).ok()?;
    let usage = Envelope::parse_any(envelope.all("usage").next_back()?).ok()?;
    let mut usage_edits = usage.edit();
    usage_edits.set("cost", &cost.to_string());
    let mut edits = envelope.edit();
    edits.set("usage", &usage_edits.finish());
    Some(frame.with_data(&edits.finish()))
}

#[cfg(test)]
mod tests;
