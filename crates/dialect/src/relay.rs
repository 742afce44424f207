//! What is done with the bytes of an upstream's stream on their way to the client, whatever the dialects.

use billing::money::NanoUsd;
use billing::usage::Usage;

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As its dialect ends one.
    Complete,
    /// We ended it: what was reserved for it is used up, and no more could be.
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
    /// The last usage that the provider reported. Never a sum: several report it again and again.
    pub usage: Option<Usage>,
    /// Whether the provider has told what the input was, so that only output can still be missing.
    pub knows_input: bool,
    /// An estimate of the visible output, in tokens.
    pub visible_output: u64,
    /// Whether the model has stopped: what is missing is at most the usage.
    pub finished: bool,
}

/// One stream on its way from an upstream to a client.
pub trait Relay {
    /// Bytes came. After an end nothing more is read.
    fn push(&mut self, bytes: &[u8]) -> Step;

    /// The upstream's body ended.
    fn finish(&mut self) -> Step;

    /// Ends the stream for good, where what was reserved for it is used up.
    fn stop_at_limit(&mut self);

    /// The last bytes, once the request is settled: what was held, with the cost where it may stand, and
    /// the end. A stream that was stopped gets the end that it would have had at its own limit.
    fn tail(&mut self, usage: &Usage, cost: NanoUsd) -> Vec<u8>;

    /// What has been counted.
    fn meter(&self) -> Meter;

    /// What of the answer could not be told to the client, by name and count; empty: nothing.
    fn losses(&self) -> String {
        String::new()
    }
}
