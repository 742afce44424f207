//! Which wire formats there are.

use serde::{Deserialize, Serialize};

/// A wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// OpenAI chat completions.
    OpenaiChat,
    /// OpenAI responses.
    OpenaiResponses,
    /// OpenAI embeddings.
    OpenaiEmbeddings,
    /// Anthropic messages.
    AnthropicMessages,
}

impl Dialect {
    /// Its name in the catalogue.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenaiChat => "openai_chat",
            Self::OpenaiResponses => "openai_responses",
            Self::OpenaiEmbeddings => "openai_embeddings",
            Self::AnthropicMessages => "anthropic_messages",
        }
    }

    /// What is appended to an upstream's base URL.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::OpenaiChat => "/chat/completions",
            Self::OpenaiResponses => "/responses",
            Self::OpenaiEmbeddings => "/embeddings",
            Self::AnthropicMessages => "/messages",
        }
    }

    /// Whether it carries embeddings rather than text.
    #[must_use]
    pub fn embeds(self) -> bool {
        self == Self::OpenaiEmbeddings
    }
}
