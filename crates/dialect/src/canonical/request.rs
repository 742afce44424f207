//! A request, whatever the dialect that it came in.

use super::block::{Block, CacheMark};
use super::loss::Losses;
use super::opaque::Owner;
use super::tools::{Tool, ToolChoice, ToolNames};

/// What a client asks for. The model is not part of it: an upstream is told its own id of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// What stands before the conversation: Anthropic's `system`, the `instructions` of responses.
    pub instructions: Vec<Block>,
    /// The conversation, in order; system and developer turns stand where they stood.
    pub turns: Vec<Turn>,
    /// The tools that the client runs.
    pub tools: Vec<Tool>,
    /// Which of them to call.
    pub tool_choice: Option<ToolChoice>,
    /// Whether several may be called at once.
    pub parallel_tool_calls: Option<bool>,
    /// Names that an upstream is told otherwise than the client.
    pub tool_names: ToolNames,
    /// The largest output, in tokens.
    pub max_output: Option<u64>,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// Texts at which the answer ends.
    pub stop: Vec<String>,
    /// How much to reason.
    pub reasoning: Option<Reasoning>,
    /// The form of the answer.
    pub format: Option<Format>,
    /// `low`, `medium`, `high`: how much to say.
    pub verbosity: Option<String>,
    /// How many alternatives' log probabilities to tell beside those of the answer's own tokens; `None`:
    /// none at all.
    pub logprobs: Option<u64>,
    /// Whom it is for.
    pub metadata: Metadata,
    /// The mark of the request as a whole (Anthropic's top-level `cache_control`).
    pub cache: Option<CacheMark>,
    /// Requests with the same key share a prompt cache.
    pub prompt_cache_key: Option<String>,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// What the decoder met and this has no place for.
    pub losses: Losses,
}

/// One turn of the conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Whose.
    pub role: Role,
    /// What; may be empty. Tool calls are the assistant's, tool results the user's.
    pub blocks: Vec<Block>,
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The system's.
    System,
    /// The developer's: OpenAI's newer name for the system.
    Developer,
    /// The user's, and that of tools.
    User,
    /// The model's.
    Assistant,
}

/// How tokens are drawn. Numbers are JSON texts: they pass as they were written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sampling {
    /// `temperature`
    pub temperature: Option<String>,
    /// `top_p`
    pub top_p: Option<String>,
    /// `top_k` (Anthropic and open models).
    pub top_k: Option<String>,
    /// `frequency_penalty` (chat completions).
    pub frequency_penalty: Option<String>,
    /// `presence_penalty` (chat completions).
    pub presence_penalty: Option<String>,
    /// `seed` (chat completions).
    pub seed: Option<String>,
    /// `logit_bias` (chat completions), an object.
    pub logit_bias: Option<String>,
}

/// How much to reason, and how much of it to show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// Whether at all.
    pub mode: ReasoningMode,
    /// How hard.
    pub effort: Option<Effort>,
    /// At most so many tokens of it (Anthropic's `budget_tokens`).
    pub budget_tokens: Option<u64>,
    /// Whether it is shown: `Some(false)` for Anthropic's `display: omitted`; `Some(true)` where a
    /// summary is asked for.
    pub shown: Option<bool>,
}

/// Whether a model reasons.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReasoningMode {
    /// As it does by itself.
    #[default]
    Default,
    /// As much as it sees fit (Anthropic's `adaptive`).
    Adaptive,
    /// It does.
    Enabled,
    /// It does not.
    Disabled,
}

/// How hard a model reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Not at all.
    None,
    /// Hardly.
    Minimal,
    /// A little.
    Low,
    /// The usual.
    Medium,
    /// Much.
    High,
    /// More.
    XHigh,
    /// All that it can.
    Max,
}

impl Effort {
    /// Reads the word that all dialects use for it.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "none" => Self::None,
            "minimal" => Self::Minimal,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "xhigh" => Self::XHigh,
            "max" => Self::Max,
            _ => return None,
        })
    }

    /// The word that all dialects use for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// The effort of so many tokens of reasoning, where a dialect knows only one of the two. The borders
    /// are those that coding tools use for their levels.
    #[must_use]
    pub fn of_budget(tokens: u64) -> Self {
        match tokens {
            0..=4_096 => Self::Low,
            4_097..=16_384 => Self::Medium,
            _ => Self::High,
        }
    }

    /// The tokens of reasoning for this effort, the inverse of [`Self::of_budget`].
    #[must_use]
    pub fn budget(self) -> u64 {
        match self {
            Self::None | Self::Minimal => 1_024,
            Self::Low => 4_096,
            Self::Medium => 10_240,
            Self::High => 24_576,
            Self::XHigh | Self::Max => 32_768,
        }
    }
}

/// The form of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// Some JSON object.
    JsonObject,
    /// JSON of a schema.
    JsonSchema {
        /// A name for it; dialects that need one and got none say `response`.
        name: Option<String>,
        /// What it is for.
        description: Option<String>,
        /// The schema, as JSON text.
        schema: String,
        /// Whether the answer must keep to it.
        strict: Option<bool>,
    },
}

/// Whom a request is for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The client's id of its user: `safety_identifier`, `user`, Anthropic's `metadata.user_id`.
    pub user: Option<String>,
    /// OpenAI's `metadata`, an object as JSON text.
    pub labels: Option<String>,
}

/// What is known of the upstream and the model that a request is encoded for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target<'a> {
    /// The upstream's own id of the model.
    pub model: &'a str,
    /// Whose state may go there.
    pub owner: &'a Owner,
    /// Whether the model reasons; where not, asking for it is an error there, and it is left out.
    pub reasons: bool,
    /// Whether it takes Anthropic's adaptive thinking and effort, rather than a budget of tokens.
    pub adaptive_thinking: bool,
    /// The output limit to send instead of the client's: what the hold affords.
    pub lowered_output: Option<u64>,
    /// The most output tokens of the model, for dialects that must send a limit.
    pub max_output: u64,
    /// The chat field for the output limit: `max_tokens` or `max_completion_tokens`.
    pub limit_field: &'a str,
    /// Whether a stream is to be asked for its usage with `stream_options` (chat completions).
    pub stream_options: bool,
}

/// A body for an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// JSON.
    pub body: String,
    /// What it could not hold, those of the decoder included.
    pub losses: Losses,
}
