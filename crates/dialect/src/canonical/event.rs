//! An answer as it is produced: the events between an upstream's decoder and a client's encoder.

use billing::money::NanoUsd;
use billing::reported::Reported;
use billing::usage::Usage;

use super::block::Citation;
use super::loss::Losses;
use super::opaque::{Opaque, Owner};
use super::tools::{ToolKind, ToolNames};
use crate::relay::End;
use crate::sse::{Frame, KEEP_ALIVE};
use crate::tokens::Vocabulary;

/// A step of an answer. Blocks are numbered from 0 in the order in which they open; several may be open
/// at once, and each is closed once, before [`Event::Stop`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A block begins.
    Open {
        /// Its number.
        index: usize,
        /// What it is.
        block: Open,
    },
    /// An open block goes on.
    Delta {
        /// Its number.
        index: usize,
        /// With what.
        delta: Delta,
    },
    /// A block is complete.
    Close {
        /// Its number.
        index: usize,
    },
    /// The provider's count, cumulative: see [`Reported::then`] for what several of them come to.
    Usage(Reported),
    /// The service tier that the provider says it used.
    ServiceTier(String),
    /// The model has stopped; usage may still come.
    Stop(Stop),
    /// Something that no other dialect can hold was left out.
    Lost(&'static str),
}

/// A block that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Open {
    /// Text.
    Text,
    /// A refusal.
    Refusal,
    /// Reasoning that is shown.
    Reasoning,
    /// Reasoning that is not shown, whole.
    Redacted(Opaque),
    /// A call of a tool.
    ToolUse {
        /// The call's id.
        id: String,
        /// The tool, by the upstream's name of it.
        name: String,
        /// What it takes.
        kind: ToolKind,
    },
}

/// How a block goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delta {
    /// More text, of a text, a refusal or of reasoning; never empty.
    Text(String),
    /// More of a tool's input: a piece of JSON text for functions, of plain text for custom tools.
    Input(String),
    /// The provider's state behind reasoning; the latest replaces earlier ones.
    Opaque(Opaque),
    /// A citation of the text.
    Citation(Citation),
    /// Log probabilities of the text that has come: JSON texts of objects.
    Logprobs(Vec<String>),
}

/// Why a model stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The reason.
    pub reason: StopReason,
    /// The stop sequence that it came to.
    pub sequence: Option<String>,
}

/// Why a model stopped. One table a dialect maps its own words to these and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// It was done.
    EndTurn,
    /// The output limit.
    MaxTokens,
    /// A stop sequence.
    StopSequence,
    /// It calls tools.
    ToolUse,
    /// It refuses.
    Refusal,
    /// A filter of the provider.
    ContentFilter,
    /// It paused, to go on in another request.
    PauseTurn,
    /// The context window is full.
    ContextWindow,
}

/// The upstream's stream holds an error event, or something that is no stream of its dialect. Its words
/// are not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the upstream's stream failed")]
pub struct UpstreamError;

/// Reads an upstream's stream.
pub trait Decode {
    /// Appends what `frame` says. `Ok(true)`: the stream's own terminal has come.
    ///
    /// # Errors
    /// [`UpstreamError`]; what came before it stays valid.
    fn push(&mut self, frame: &Frame, events: &mut Vec<Event>) -> Result<bool, UpstreamError>;

    /// The body ended: appends what was held back (a block that is not closed is closed here, also when
    /// it is cut).
    fn finish(&mut self, events: &mut Vec<Event>);
}

/// Writes a client's stream. It begins with whatever the dialect begins with at the first call.
pub trait Encode {
    /// Appends the bytes of one event. Nothing terminal is among them.
    fn push(&mut self, event: &Event, bytes: &mut Vec<u8>);

    /// The last bytes, once the request is settled: what its end means in the dialect, with what it used
    /// and, where the dialect and the client allow, what it cost.
    /// For [`End::Limit`] open blocks are closed and the stop is that of the output limit; for
    /// [`End::Truncated`] and [`End::Failed`] it is the dialect's error event.
    fn tail(&mut self, end: End, usage: &Usage, cost: NanoUsd) -> Vec<u8>;

    /// As [`crate::relay::Relay::keep_alive`].
    fn keep_alive(&self) -> &'static [u8] {
        KEEP_ALIVE
    }

    /// What could not be told to the client.
    fn losses(&self) -> &Losses;
}

/// What an answer of ours is called, for encoders: no id and no time is made in this crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Unique, of ASCII letters and digits; encoders put the dialect's prefix before it and a number
    /// behind it.
    pub id: String,
    /// Unix seconds.
    pub created_s: i64,
    /// Our id of the model.
    pub model: String,
    /// Who makes the state in this answer.
    pub owner: Owner,
    /// What the input is likely to be, in tokens, for dialects that tell it before the provider does.
    pub likely_input: u64,
    /// The vocabulary of the model's tokenizer, by which what is seen of the answer is counted.
    pub vocabulary: Vocabulary,
    /// Whether the client wants the usage of a chat stream.
    pub include_usage: bool,
    /// The client's names of its tools.
    pub tool_names: ToolNames,
    /// Fields of the request that the answer repeats (responses), with their JSON texts.
    pub echo: Vec<(String, String)>,
}
