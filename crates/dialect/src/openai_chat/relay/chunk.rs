//! What is read of one chunk: whether it is an error, what it produced, what it says of its cost.
//!
//! Values stay JSON text: a chunk may hold half an emoji, which is no string that Rust could hold. A
//! member may stand twice; then an error in either is one, and of the rest the last counts.

use crate::canonical::Reported;
use crate::envelope::Envelope;
use crate::openai_chat::usage;
use crate::request::as_array;

/// What may stand in a chunk that carries nothing but usage.
const USAGE_ONLY_KEYS: [&str; 9] =
    ["id", "object", "created", "model", "system_fingerprint", "service_tier", "obfuscation", "choices", "usage"];

/// One chunk.
pub(in crate::openai_chat) struct Chunk<'a>(Envelope<'a>);

/// One choice of a chunk.
pub(in crate::openai_chat) struct Choice<'a>(Envelope<'a>);

/// The last member of this name that is not `null`.
pub(in crate::openai_chat) fn last<'a>(envelope: &Envelope<'a>, key: &str) -> Option<&'a str> {
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
        lists.flatten().filter_map(Choice::parse).collect()
    }

    /// What the provider counted, where the dialect has it.
    pub fn usage(&self) -> Option<Reported> {
        self.get("usage").and_then(usage::parse)
    }

    /// What it counted in Groq's second place.
    pub fn vendor_usage(&self) -> Option<Reported> {
        let vendor = self.get("x_groq").and_then(|json| Envelope::parse_any(json).ok())?;
        last(&vendor, "usage").and_then(usage::parse)
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

impl<'a> Choice<'a> {
    /// Reads a choice; `None` when it is no object.
    pub fn parse(json: &'a str) -> Option<Self> {
        Envelope::parse_any(json).ok().map(Self)
    }

    /// The JSON text of a member.
    pub fn get(&self, key: &str) -> Option<&'a str> {
        last(&self.0, key)
    }

    /// Which of the answers it belongs to.
    pub fn index(&self) -> u64 {
        last(&self.0, "index").and_then(|index| index.parse().ok()).unwrap_or(0)
    }

    /// Whether it is its last chunk.
    pub fn is_finished(&self) -> bool {
        last(&self.0, "finish_reason").is_some()
    }
}
