//! A stream of responses handed on to a client that speaks them too, and counted on the way.
//!
//! The one rule: the bytes are the upstream's, but for these cases. `model` and the fields that an
//! upstream is known to add are rewritten, and encrypted content gets its owner's tag. Sequence numbers
//! that are missing or have gaps are set. Events of unknown types and `[DONE]` go out. The last event
//! waits until the request is settled and carries the cost. An error becomes ours, and so do the words of a
//! comment and an end without a last event.

mod progress;

use billing::money::NanoUsd;
use billing::usage::Usage;

use super::error;
use super::item::object;
use super::response::{MAX_OUTPUT_TOKENS, Status};
use super::state;
use super::stream::{Decoder, event};
use super::usage;
use crate::canonical::{Decode, Owner, UpstreamError};
use crate::envelope::{Envelope, quoted};
use crate::relay::{End, Forward, Meter, PassFrames, Relay, Step, finish_frames, push_frames};
use crate::request::as_string;
use crate::rewrite::Rewrite;
use crate::sse::{Frame, Parser};
use crate::tokens::Vocabulary;
use crate::translate::Count;
use progress::Progress;

/// A stream of responses that is passed on.
#[derive(Debug)]
pub struct PassThrough {
    parser: Parser,
    rewrite: Rewrite,
    decoder: Decoder,
    count: Count,
    progress: Progress,
    /// The next sequence number.
    number: u64,
    /// The last response object, rewritten.
    response: Option<String>,
    /// The last event.
    held: Option<Frame>,
    end: Option<End>,
}

/// Events of the dialect, behind `response.`, without those of tools that cannot be asked for here. What
/// is none of them may be anything, a provider's words too.
const KNOWN: [&str; 33] = [
    "compaction.compacting",
    "completed",
    "content_part.added",
    "content_part.done",
    "created",
    "custom_tool_call_input.delta",
    "custom_tool_call_input.done",
    "function_call_arguments.delta",
    "function_call_arguments.done",
    "in_progress",
    "incomplete",
    "output_item.added",
    "output_item.done",
    "output_text.annotation.added",
    "output_text.delta",
    "output_text.done",
    "queued",
    "reasoning_summary_part.added",
    "reasoning_summary_part.done",
    "reasoning_summary_text.delta",
    "reasoning_summary_text.done",
    "reasoning_text.delta",
    "reasoning_text.done",
    "refusal.delta",
    "refusal.done",
    "shell_call_command.added",
    "shell_call_command.delta",
    "shell_call_command.done",
    "shell_call_output_content.delta",
    "shell_call_output_content.done",
    "web_search_call.completed",
    "web_search_call.in_progress",
    "web_search_call.searching",
];

impl PassThrough {
    /// A stream that begins, of a model with this vocabulary.
    #[must_use]
    pub fn new(rewrite: Rewrite, vocabulary: Vocabulary) -> Self {
        let owner = rewrite.owner.clone().unwrap_or_else(|| Owner::new(""));
        Self {
            parser: Parser::default(),
            rewrite,
            decoder: Decoder::new(owner),
            count: Count::new(vocabulary),
            progress: Progress::default(),
            number: 0,
            response: None,
            held: None,
            end: None,
        }
    }

    /// The frame with what is ours to change in it.
    fn rewritten(&mut self, frame: &Frame, envelope: &Envelope<'_>) -> Frame {
        let mut edits = envelope.edit();
        let number = self.number.to_string();
        if envelope.get("sequence_number") != Some(number.as_str()) {
            edits.set("sequence_number", &number);
        }
        self.number = self.number.saturating_add(1);
        if let (Some(owner), Some(item)) = (&self.rewrite.owner, envelope.present("item"))
            && let Some(item) = state::tagged(item, owner)
        {
            edits.set("item", &item);
        }
        if let Some(Ok(response)) = envelope.present("response").map(Envelope::parse) {
            let mut inner = response.edit();
            self.rewrite.apply(&response, &mut inner);
            if let (Some(owner), Some(output)) = (&self.rewrite.owner, response.present("output"))
                && let Some(output) = state::tagged_output(output, owner)
            {
                inner.set("output", &output);
            }
            let changed = !inner.is_empty();
            let response = inner.finish();
            if changed {
                edits.set("response", &response);
            }
            self.response = Some(response);
        }
        // What is no UTF-8 is not rewritten: its bytes could not be kept.
        if edits.is_empty() || std::str::from_utf8(frame.raw()).is_err() {
            return frame.clone();
        }
        frame.with_data(&edits.finish())
    }

    /// The last response object as it is when the stream ends otherwise than the upstream ended it.
    fn response(&self, status: Status, usage: &Usage, cost: NanoUsd) -> Option<String> {
        let envelope = Envelope::parse(self.response.as_deref()?).ok()?;
        let mut edits = envelope.edit();
        edits.set("status", &quoted(status.word()));
        edits.set("output", &self.progress.output());
        edits.set("usage", &usage::to_json(usage, Some(cost)));
        let (details, failure) = match status {
            Status::Incomplete(reason) => (object(&[("reason", quoted(reason))]), "null".to_owned()),
            _ => ("null".to_owned(), error::of_response()),
        };
        edits.set("incomplete_details", &details);
        edits.set("error", &failure);
        Some(edits.finish())
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
        let mut events = Vec::new();
        self.decoder.finish(&mut events);
        events.iter().for_each(|event| self.count.read(event));
        Step { forward: Forward::Bytes(forward), end: Some(end) }
    }

    fn event(&mut self, frame: &Frame, data: &str, forward: &mut Vec<u8>) {
        let mut events = Vec::new();
        let read = self.decoder.push(frame, &mut events);
        events.iter().for_each(|event| self.count.read(event));
        match read {
            Err(UpstreamError) => self.end = Some(End::Failed),
            Ok(terminal) => {
                // Where a member stands twice, readers differ in what it says.
                let Ok(envelope) = Envelope::parse(data) else { return };
                let kind = envelope.present("type").and_then(as_string).or_else(|| frame.event());
                let known = kind.as_deref().and_then(|kind| kind.strip_prefix("response."));
                if !known.is_some_and(|kind| KNOWN.contains(&kind)) {
                    return;
                }
                let frame = self.rewritten(frame, &envelope);
                if let Some(data) = frame.data() {
                    self.progress.read(&data);
                }
                if terminal {
                    self.held = Some(frame);
                    self.end = Some(End::Complete);
                } else {
                    forward.extend_from_slice(frame.raw());
                }
            }
        }
    }
}

impl Relay for PassThrough {
    fn push(&mut self, bytes: &[u8]) -> Step {
        push_frames(self, bytes)
    }

    fn finish(&mut self) -> Step {
        finish_frames(self, |_| false)
    }

    fn stop_at_limit(&mut self) {
        self.end = Some(End::Limit);
    }

    /// The cost stands in the usage of the last response object.
    fn tail(&mut self, usage: &Usage, cost: NanoUsd) -> Vec<u8> {
        let mut tail = Vec::new();
        match self.end {
            Some(End::Complete) => {
                if let Some(frame) = self.held.take() {
                    let frame = with_cost(&frame, usage, cost).unwrap_or(frame);
                    tail.extend_from_slice(frame.raw());
                }
            }
            Some(End::Limit) => {
                self.progress.close(&mut self.number, &mut tail);
                let response = self.response(Status::Incomplete(MAX_OUTPUT_TOKENS), usage, cost);
                match response {
                    Some(response) => {
                        event(&mut tail, &mut self.number, "response.incomplete", &[("response", response)]);
                    }
                    // It had not begun.
                    None => event(&mut tail, &mut self.number, "error", &error::event()),
                }
            }
            Some(End::Truncated | End::Failed) | None => {
                event(&mut tail, &mut self.number, "error", &error::event());
                if let Some(response) = self.response(Status::Failed, usage, cost) {
                    event(&mut tail, &mut self.number, "response.failed", &[("response", response)]);
                }
            }
        }
        tail
    }

    fn meter(&self) -> Meter {
        self.count.meter()
    }
}

/// The last event with `usage.cost`, in USD; where the provider told no usage, with that which was settled.
fn with_cost(frame: &Frame, settled: &Usage, cost: NanoUsd) -> Option<Frame> {
    let data = frame.data()?;
    let envelope = Envelope::parse(&data).ok()?;
    let response = Envelope::parse(envelope.present("response")?).ok()?;
    let usage = match response.present("usage").map(Envelope::parse) {
        Some(Ok(usage)) => {
            let mut edits = usage.edit();
            edits.set("cost", &cost.to_string());
            edits.finish()
        }
        _ => usage::to_json(settled, Some(cost)),
    };
    let mut inner = response.edit();
    inner.set("usage", &usage);
    let mut edits = envelope.edit();
    edits.set("response", &inner.finish());
    Some(frame.with_data(&edits.finish()))
}
