//! What is read of one chunk: whether it is an error, what it produced, what it says of its cost.
//!
//! Values stay JSON text: a chunk may hold half an emoji, which is no string that Rust could hold. A
//! member may stand twice; then an error in either is one, and of the rest the last counts.

use billing::usage::Usage;

use super::usage;
use crate::envelope::Envelope;
use crate::request::as_array;
use crate::tokens;

/// What may stand in a chunk that carries nothing but usage.
const USAGE_ONLY_KEYS: [&str; 9] =
    ["id", "object", "created", "model", "system_fingerprint", "service_tier", "obfuscation", "choices", "usage"];

/// What the stream has said of its cost so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Meter {
    /// The last usage that the provider reported. Never a sum: several report it again and again.
    pub usage: Option<Usage>,
    /// Groq's second place for it, used when there is no other.
    pub(super) vendor_usage: Option<Usage>,
    /// An estimate of the visible output, in tokens.
    pub visible_output: u64,
    /// Whether a choice has finished.
    pub(super) finished: bool,
}

/// One chunk.
pub(super) struct Chunk<'a>(Envelope<'a>);

/// One choice of a chunk.
pub(super) struct Choice<'a>(Envelope<'a>);

/// The last member of this name that is not `null`.
fn last<'a>(envelope: &Envelope<'a>, key: &str) -> Option<&'a str> {
    envelope.all(key).next_back()
}

impl<'a> Chunk<'a> {
    /// Reads an event's data; `None` when it is no object.
    pub fn parse(data: &'a str) -> Option<Self> {
        Envelope::parse_any(data).ok().map(Self)
    }

    /// The JSON text of a member.
    pub fn get(&self, key: &str) -> Option<&'a str> {
        last(&self.0, key)
    }

    /// Whether it is a chunk of this dialect at all.
    pub fn is_known(&self) -> bool {
        ["choices", "usage"].into_iter().any(|key| self.get(key).is_some())
    }

    /// The choices that can be read: one of another shape does not hide the others.
    pub fn choices(&self) -> Vec<Choice<'a>> {
        let lists = self.0.all("choices").filter_map(as_array);
        lists.flatten().filter_map(|item| Envelope::parse_any(item).ok().map(Choice)).collect()
    }

    /// Whether the chunk is an error in any of the forms in which providers write one.
    pub fn is_error(&self, choices: &[Choice<'_>]) -> bool {
        let named = self.0.all("object").any(|object| object == "\"error\"");
        let errs = |envelope: &Envelope<'_>| envelope.all("error").next().is_some();
        named || errs(&self.0) || choices.iter().any(|choice| errs(&choice.0))
    }

    /// Whether the chunk carries a usage and nothing else that a client could want.
    pub fn is_usage_only(&self) -> bool {
        let mut choices = self.0.all("choices").peekable();
        choices.peek().is_some()
            && choices.all(|choices| choices.trim_matches(['[', ']']).trim().is_empty())
            && self.get("usage").is_some()
            && self.0.keys().all(|key| USAGE_ONLY_KEYS.contains(&key))
    }
}

impl Choice<'_> {
    /// Which of the answers it belongs to.
    pub fn index(&self) -> u64 {
        last(&self.0, "index").and_then(|index| index.parse().ok()).unwrap_or(0)
    }

    /// Whether it is its last chunk.
    pub fn is_finished(&self) -> bool {
        last(&self.0, "finish_reason").is_some()
    }

    /// An estimate of what is seen of it, in tokens.
    fn visible_output(&self) -> u64 {
        let Some(Ok(delta)) = last(&self.0, "delta").map(Envelope::parse_any) else { return 0 };
        let text = |key| last(&delta, key);
        // Several providers write their reasoning under both names.
        let reasoning = text("reasoning").or(text("reasoning_content"));
        let texts = [text("content"), reasoning, text("refusal"), text("tool_calls"), text("function_call")];
        texts.into_iter().flatten().map(visible_tokens).fold(0, u64::saturating_add)
    }
}

impl Meter {
    /// Adds what a chunk says.
    pub(super) fn read(&mut self, chunk: &Chunk<'_>, choices: &[Choice<'_>]) {
        self.usage = chunk.get("usage").and_then(usage::parse).or(self.usage);
        let vendor = chunk.get("x_groq").and_then(|json| Envelope::parse_any(json).ok());
        let reported = vendor.and_then(|vendor| last(&vendor, "usage")).and_then(usage::parse);
        self.vendor_usage = reported.or(self.vendor_usage);
        for choice in choices {
            self.finished |= choice.is_finished();
            self.visible_output = self.visible_output.saturating_add(choice.visible_output());
        }
    }
}

/// Tokens of a delta's text, given as JSON: a string without its quotes, or the structure around it
/// left in (it is small beside what it carries).
fn visible_tokens(json: &str) -> u64 {
    let text = json.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(json);
    tokens::estimate(text)
}
