//! Why a provider rejected a request, read from its body in any dialect, and told in our own words.
//!
//! Clients recover from some rejections, and know them by their words: those of our sentences are the
//! words that they look for. Nothing of the provider's own text is repeated.

use std::borrow::Cow;

use crate::envelope::Envelope;
use crate::request::as_string;

/// How much of a body is read, in bytes: an error is short.
const MAX_READ_BYTES: usize = 16 << 10;
/// The longest name of a beta that is repeated, in bytes.
const MAX_BETA_BYTES: usize = 64;

/// What a provider has rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// The input does not fit into the context window.
    ContextLength,
    /// Input and output limit together do not fit into it.
    MaxTokens,
    /// `thinking` of type `adaptive`.
    ThinkingAdaptive,
    /// `thinking` of type `enabled`.
    ThinkingEnabled,
    /// A signature of thinking that the provider has not made.
    ThinkingSignature,
    /// An effort.
    Effort,
    /// Structured outputs.
    StructuredOutputs,
    /// A system message within the conversation.
    MidConvSystem,
    /// A cache mark.
    CacheControl,
    /// An image.
    Image,
    /// A document.
    Document,
    /// More media than a request may hold.
    MediaBudget,
    /// A beta, by its name: lower-case letters, digits and `-`.
    BetaHeader(String),
    /// A content policy.
    ContentPolicy,
}

/// Reads why a provider answered with this status and body; `None`: nothing that a client could act on.
/// `betas` is the header `anthropic-beta` of the client: only a beta that the client sent is named to it.
#[must_use]
pub fn classify(status: u16, body: &str, betas: Option<&str>) -> Option<Rejection> {
    // 500: some local servers say so of an input that is too long.
    if !matches!(status, 400 | 413 | 422 | 500) {
        return None;
    }
    let body = match body.char_indices().nth(MAX_READ_BYTES) {
        Some((end, _)) => body.get(..end).unwrap_or_default(),
        None => body,
    };
    let text = text(body).to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let all = |words: &[&str]| words.iter().all(|word| text.contains(word));
    if let Some(beta) = betas.and_then(|sent| beta(&text, sent)) {
        return Some(Rejection::BetaHeader(beta));
    }
    if all(&["max_tokens", "exceed context limit"]) || all(&["max_tokens", "input length"]) {
        return Some(Rejection::MaxTokens);
    }
    if has(&[
        "prompt is too long",
        "context_length_exceeded",
        "maximum context length",
        "context window",
        "exceeds the available context size",
        "is too large to process",
        "input token count",
        "input is too long",
    ]) {
        return Some(Rejection::ContextLength);
    }
    if status == 500 {
        return None;
    }
    if has(&["content_policy", "content management policy", "content_filter", "responsibleaipolicy", "safety system"]) {
        return Some(Rejection::ContentPolicy);
    }
    if has(&["signature"]) && has(&["thinking"]) {
        return Some(Rejection::ThinkingSignature);
    }
    if has(&["thinking"]) && has(&["adaptive"]) {
        // "`adaptive` is not supported" and "`enabled` is not supported, use `adaptive`" name both.
        let enabled = has(&[
            "thinking.type.enabled",
            "\"enabled\" is not supported",
            "`enabled` is not supported",
            "input tag 'enabled'",
        ]);
        return Some(if enabled { Rejection::ThinkingEnabled } else { Rejection::ThinkingAdaptive });
    }
    if has(&["thinking.type.enabled", "thinking.budget_tokens", "thinking.enabled"]) {
        return Some(Rejection::ThinkingEnabled);
    }
    if has(&["output_config.effort", "reasoning_effort", "reasoning.effort", "effort parameter"]) {
        return Some(Rejection::Effort);
    }
    if has(&["output_config.format", "output_format", "structured output", "response_format", "json_schema"]) {
        return Some(Rejection::StructuredOutputs);
    }
    if has(&["role 'system'", "role \"system\"", "unexpected role", "system role"]) && has(&["messages", "role"]) {
        return Some(Rejection::MidConvSystem);
    }
    if has(&["cache_control"]) {
        return Some(Rejection::CacheControl);
    }
    if has(&["too many images", "many-image", "image dimensions exceed", "pdf pages", "too many media"]) {
        return Some(Rejection::MediaBudget);
    }
    if has(&["image"]) && has(&["not support", "unsupported", "process image", "invalid", "exceeds"]) {
        return Some(Rejection::Image);
    }
    if has(&["document", "pdf"]) && has(&["not support", "unsupported", "could not process", "invalid", "not valid"]) {
        return Some(Rejection::Document);
    }
    None
}

/// The message and the codes of an error in any of the shapes in which providers write one.
fn text(body: &str) -> Cow<'_, str> {
    let Ok(outer) = Envelope::parse(body) else { return Cow::Borrowed("") };
    let mut parts = Vec::new();
    gather(&outer, &mut parts);
    match outer.present("error").map(|error| (Envelope::parse(error), as_string(error))) {
        Some((Ok(inner), _)) => gather(&inner, &mut parts),
        Some((_, Some(text))) => parts.push(text.into_owned()),
        _ => {}
    }
    Cow::Owned(parts.join("\n"))
}

fn gather(envelope: &Envelope<'_>, parts: &mut Vec<String>) {
    for key in ["message", "code", "type", "param", "detail"] {
        parts.extend(envelope.present(key).and_then(as_string).map(Cow::into_owned));
    }
}

/// The beta among those `sent` that a provider does not know: "Unexpected value(s) `x-2025-01-01` for the
/// `anthropic-beta` header". A word that the client did not send is the provider's own, and is not repeated.
fn beta(text: &str, sent: &str) -> Option<String> {
    let before = text.split("anthropic-beta").next().filter(|before| before.len() < text.len())?;
    let is_quoted = |beta: &str| before.split(['`', '"', '\'']).any(|word| word == beta);
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let is_name = |beta: &str| !beta.is_empty() && beta.len() <= MAX_BETA_BYTES && beta.bytes().all(fits);
    let sent = sent.split(',').map(|beta| beta.trim().to_ascii_lowercase());
    sent.filter(|beta| is_name(beta)).find(|beta| is_quoted(beta))
}

impl Rejection {
    /// The word after `capability_rejected: ` by which coding tools know it; `None`: they know none.
    #[must_use]
    pub fn token(&self) -> Option<Cow<'static, str>> {
        Some(match self {
            Self::ContextLength => "prompt_too_long".into(),
            Self::MaxTokens => "max_tokens_context_overflow".into(),
            Self::ThinkingAdaptive => "thinking_type:adaptive".into(),
            Self::ThinkingEnabled => "thinking_type:enabled".into(),
            Self::ThinkingSignature => "thinking_signature".into(),
            Self::Effort => "effort_unsupported".into(),
            Self::StructuredOutputs => "structured_outputs_unsupported".into(),
            Self::MidConvSystem => "mid_conv_system".into(),
            Self::CacheControl => "cache_control_field".into(),
            Self::Image => "image_block".into(),
            Self::Document => "document_block".into(),
            Self::MediaBudget => "media_budget".into(),
            Self::BetaHeader(value) => format!("beta_header:{value}").into(),
            Self::ContentPolicy => return None,
        })
    }

    /// A sentence for the caller, with the token in it.
    #[must_use]
    pub fn sentence(&self) -> String {
        let words = match self {
            Self::ContextLength => "The prompt is too long: it exceeds the model's maximum context length.",
            Self::MaxTokens => "The input length and `max_tokens` exceed context limit of the model.",
            Self::ThinkingAdaptive => "The model does not support adaptive thinking.",
            Self::ThinkingEnabled => "The model does not support thinking with a budget of tokens.",
            Self::ThinkingSignature => "The signature of a thinking block is not valid for this model.",
            Self::Effort => "The model does not support this effort.",
            Self::StructuredOutputs => "The model does not support structured outputs of this form.",
            Self::MidConvSystem => "The model does not support system messages within the conversation.",
            Self::CacheControl => "The model does not support these cache marks.",
            Self::Image => "The model cannot read an image of the request.",
            Self::Document => "The model cannot read a document of the request.",
            Self::MediaBudget => "The request holds more images or pages than the model takes.",
            Self::BetaHeader(_) => "The provider does not know a beta of the request.",
            Self::ContentPolicy => "The provider's content policy does not allow this request.",
        };
        match self.token() {
            Some(token) => format!("{words} capability_rejected: {token}"),
            None => words.to_owned(),
        }
    }

    /// The code that clients of the OpenAI dialects know it by, where they know one.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Self::ContextLength | Self::MaxTokens => Some("context_length_exceeded"),
            Self::ContentPolicy => Some("content_policy_violation"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
