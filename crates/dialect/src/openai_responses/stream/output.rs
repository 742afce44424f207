//! Output items as providers write them. Text stays JSON text: it may hold half an emoji.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::decoder::string;

/// An output item as it is written.
#[derive(Debug, Default, Deserialize)]
pub(in crate::openai_responses) struct Output<'a> {
    #[serde(borrow, default, rename = "type")]
    pub kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub summary: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub encrypted_content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub call_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub arguments: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub phase: Option<&'a RawValue>,
}

/// A part of a message, of a summary, or of reasoning.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Part<'a> {
    #[serde(borrow, default, rename = "type")]
    pub kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub refusal: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub annotations: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub logprobs: Option<&'a RawValue>,
}

/// Parts that are joined in one text of reasoning.
pub(super) const BETWEEN_PARTS: &str = "\n\n";

/// The items of an array; none of what is no array.
pub(super) fn list(json: Option<&RawValue>) -> Vec<&RawValue> {
    json.and_then(|json| serde_json::from_str(json.get()).ok()).unwrap_or_default()
}

/// The parts of a message.
pub(super) fn parts(json: Option<&RawValue>) -> Vec<Part<'_>> {
    list(json).into_iter().filter_map(|part| serde_json::from_str(part.get()).ok()).collect()
}

/// The texts of parts as one.
pub(super) fn joined(json: Option<&RawValue>) -> String {
    let texts: Vec<String> = parts(json).iter().filter_map(|part| string(part.text)).collect();
    texts.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(BETWEEN_PARTS)
}
