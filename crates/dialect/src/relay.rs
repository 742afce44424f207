//! What is done with the bytes of an upstream's stream on their way to the client, whatever the dialects.

use billing::money::NanoUsd;
use billing::reported::Reported;
use billing::usage::Usage;

use crate::sse::{Frame, FrameTooLong, KEEP_ALIVE, Parser};
use crate::tokens::Figures;

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As its dialect ends one.
    Complete,
    /// We ended it: the hold was used up and could not grow, or the provider had certainly passed the limit.
    Limit,
    /// It broke off.
    Truncated,
    /// With an error event, or something that is no stream of events.
    Failed,
}

/// What is to be done with bytes of the upstream.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// Bytes for the client now.
    pub forward: Forward,
    /// The stream is over: settle, then send [`Relay::tail`].
    pub end: Option<End>,
}

/// Bytes for the client.
#[derive(Debug, PartialEq, Eq)]
pub enum Forward {
    /// The very bytes that were pushed.
    Same,
    /// These instead; may be empty.
    Bytes(Vec<u8>),
}

/// What a stream has said of its cost so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Meter {
    /// What the provider has reported, all its reports taken together.
    pub reported: Option<Reported>,
    /// What was seen of the output of all choices, in tokens.
    pub visible: Figures,
    /// Whether the model has stopped: what is missing is at most the usage.
    pub finished: bool,
}

/// One stream on its way from an upstream to a client. What it forwards ends between two events: of an
/// event that is not complete yet nothing is forwarded.
pub trait Relay {
    /// Bytes came. After an end nothing more is read.
    fn push(&mut self, bytes: &[u8]) -> Step;

    /// The upstream's body ended.
    fn finish(&mut self) -> Step;

    /// Ends the stream for good: the hold was used up and could not grow, or the provider had certainly passed the
    /// limit.
    fn stop_at_limit(&mut self);

    /// The last bytes, once the request is settled: what was held, with the cost where it may stand, and
    /// the end. A stream that was stopped gets the end that it would have had at its own limit.
    fn tail(&mut self, usage: &Usage, cost: NanoUsd) -> Vec<u8>;

    /// What may be sent between any two steps to fill a silence.
    fn keep_alive(&self) -> &'static [u8] {
        KEEP_ALIVE
    }

    /// What has been counted.
    fn meter(&self) -> Meter;

    /// What of the answer could not be told to the client, by name and count; empty: nothing.
    fn losses(&self) -> String {
        String::new()
    }
}

/// What the comments of an upstream say to our clients.
const COMMENT: &str = "keep-alive";

/// A relay that passes frames on as they came, but for what its dialect demands. Comments keep the
/// connection alive; their words may be the provider's, so they are ours in every dialect.
pub(crate) trait PassFrames {
    /// Splits the bytes into frames.
    fn parser(&mut self) -> &mut Parser;

    /// Counts one event, which is the frame with its data, and appends what the client gets of it now.
    fn event(&mut self, frame: &Frame, data: &str, forward: &mut Vec<u8>);

    /// Appends a frame that goes on as it is.
    fn pass(&mut self, frame: &Frame, forward: &mut Vec<u8>) {
        forward.extend_from_slice(frame.raw());
    }

    /// The end that a frame has brought.
    fn end(&self) -> Option<End>;

    /// The last step.
    fn ended(&mut self, forward: Vec<u8>, end: End) -> Step;
}

/// [`Relay::push`] of such a relay: the very bytes go on where no frame of them is changed.
pub(crate) fn push_frames(relay: &mut impl PassFrames, bytes: &[u8]) -> Step {
    let whole_frames = relay.parser().is_between_frames();
    let frames = match relay.parser().push(bytes) {
        Ok(frames) => frames,
        Err(FrameTooLong) => return relay.ended(Vec::new(), End::Failed),
    };
    let mut same = whole_frames && relay.parser().is_between_frames();
    let mut forward = Vec::new();
    for frame in frames {
        let before = forward.len();
        push_frame(relay, &frame, &mut forward);
        same &= forward.get(before..) == Some(frame.raw());
        if let Some(end) = relay.end() {
            return relay.ended(forward, end);
        }
    }
    Step { forward: if same { Forward::Same } else { Forward::Bytes(forward) }, end: None }
}

/// One frame of it, with comments of ours.
fn push_frame(relay: &mut impl PassFrames, frame: &Frame, forward: &mut Vec<u8>) {
    let ours = frame.with_comments(COMMENT);
    let frame = ours.as_ref().unwrap_or(frame);
    match frame.data() {
        Some(data) => relay.event(frame, &data, forward),
        // What is neither a comment nor a field is no event: perhaps the text of a failing server.
        None if frame.is_well_formed() => relay.pass(frame, forward),
        None => {}
    }
}

/// [`Relay::finish`] of such a relay; `finished`: the model has stopped, so that no more had to come.
pub(crate) fn finish_frames<R: PassFrames>(relay: &mut R, finished: impl FnOnce(&R) -> bool) -> Step {
    let mut forward = Vec::new();
    if let Some(frame) = std::mem::take(relay.parser()).finish() {
        push_frame(relay, &frame.terminated(), &mut forward);
    }
    let end = relay.end().unwrap_or(if finished(relay) { End::Complete } else { End::Truncated });
    relay.ended(forward, end)
}
