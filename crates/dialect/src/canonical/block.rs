//! Blocks: what turns and answers consist of.

use super::opaque::Opaque;
use super::tools::ToolKind;

/// A piece of a turn or of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// Text.
    Text(Text),
    /// A model's refusal to answer.
    Refusal(String),
    /// A picture.
    Image(Image),
    /// A document.
    Document(Document),
    /// Reasoning that is shown, or its summary. `opaque` is the provider's own state behind it: a
    /// signature, encrypted content.
    Reasoning {
        /// What is shown; may be empty.
        text: String,
        /// The provider's state that goes back to it, and to nobody else.
        opaque: Option<Opaque>,
    },
    /// Reasoning that is not shown at all (Anthropic's `redacted_thinking`).
    Redacted(Opaque),
    /// The model calls a tool.
    ToolUse(ToolUse),
    /// What the tool answered.
    ToolResult(ToolResult),
}

/// Text with what belongs to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text {
    /// The text.
    pub text: String,
    /// What it cites, in order.
    pub citations: Vec<Citation>,
    /// Log probabilities as JSON texts of objects `{token, logprob, bytes, top_logprobs}`, which chat
    /// completions and responses have in common.
    pub logprobs: Vec<String>,
    /// Caching ends behind it.
    pub cache: Option<CacheMark>,
}

impl Text {
    /// Text and nothing else.
    #[must_use]
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

/// What a text cites. Only what names an address can be told in every dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Citation {
    /// The address, for citations of the web.
    pub url: Option<String>,
    /// The title of what is cited.
    pub title: Option<String>,
    /// The words that are cited, where the dialect tells them.
    pub cited_text: Option<String>,
    /// The range in the text that cites, in characters: start and end.
    pub range: Option<(u64, u64)>,
    /// The whole citation as the dialect of its origin writes it, as JSON text.
    pub raw: String,
}

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Where its bytes are.
    pub source: ImageSource,
    /// `low`, `high`, `auto`, `original`: how closely it is looked at (OpenAI's dialects alone).
    pub detail: Option<String>,
    /// Caching ends behind it.
    pub cache: Option<CacheMark>,
}

/// Where the bytes of a picture are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSource {
    /// Inline.
    Base64 {
        /// `image/png`
        media_type: String,
        /// Without the prefix of a data URL.
        data: String,
    },
    /// At an address that the provider fetches.
    Url(String),
}

/// A document that the model reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Where its content is.
    pub source: DocumentSource,
    /// Its title, or the name of the file.
    pub title: Option<String>,
    /// What the model is told about it and may not cite.
    pub context: Option<String>,
    /// Whether it may be cited.
    pub citations: bool,
    /// Caching ends behind it.
    pub cache: Option<CacheMark>,
}

/// Where the content of a document is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DocumentSource {
    /// Inline bytes.
    Base64 {
        /// `application/pdf`
        media_type: String,
        /// Without the prefix of a data URL.
        data: String,
    },
    /// At an address that the provider fetches.
    Url(String),
    /// Plain text.
    Text(String),
    /// Text and pictures.
    Blocks(Vec<Block>),
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolUse {
    /// The call's id, to which its result refers.
    pub id: String,
    /// The tool's name as the upstream knows it, see [`super::ToolNames`].
    pub name: String,
    /// For a function: its arguments as JSON text, which may be cut off in an answer. For a custom tool:
    /// its input, any text.
    pub input: String,
    /// Which of both.
    pub kind: ToolKind,
    /// Caching ends behind it.
    pub cache: Option<CacheMark>,
}

/// What a tool answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolResult {
    /// The call's id.
    pub id: String,
    /// Text, pictures, documents.
    pub content: Vec<Block>,
    /// Whether the tool failed.
    pub is_error: bool,
    /// The kind of the tool that was called.
    pub kind: ToolKind,
    /// Caching ends behind it.
    pub cache: Option<CacheMark>,
}

/// A mark up to which a provider may cache the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheMark {
    /// For five minutes.
    FiveMinutes,
    /// For an hour.
    OneHour,
}

impl Block {
    /// Plain text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(Text::plain(text))
    }

    /// Its cache mark.
    #[must_use]
    pub fn cache(&self) -> Option<CacheMark> {
        match self {
            Self::Text(Text { cache, .. })
            | Self::Image(Image { cache, .. })
            | Self::Document(Document { cache, .. })
            | Self::ToolUse(ToolUse { cache, .. })
            | Self::ToolResult(ToolResult { cache, .. }) => *cache,
            Self::Refusal(_) | Self::Reasoning { .. } | Self::Redacted(_) => None,
        }
    }
}
