//! `reasoning_details`: reasoning with the state behind it, as OpenRouter writes it.
//! <https://openrouter.ai/docs/use-cases/reasoning-tokens>
//!
//! The details of one reasoning block are packed into its opaque state without their text, which is the
//! block's; unpacked, the text is put back.

use std::collections::BTreeMap;

use serde_json::value::{RawValue, to_raw_value};

use crate::envelope::Envelope;
use crate::json_text;

/// The members that hold text, by type.
const TEXT_MEMBERS: [(&str, &str); 2] = [("reasoning.text", "text"), ("reasoning.summary", "summary")];

/// How far back a fragment's beginning is looked for.
const MAX_OPEN: usize = 16;

/// One detail, or a fragment of one.
#[derive(Debug, Clone)]
pub(in crate::openai_chat) struct Detail {
    /// Its `type`.
    pub(in crate::openai_chat) kind: String,
    /// Its `index`, as JSON text.
    index: String,
    /// The JSON text of the string that it shows.
    pub(in crate::openai_chat) text: Option<String>,
    /// What else it says.
    members: BTreeMap<String, Box<RawValue>>,
}

impl Detail {
    /// Reads one; `None` where it is none.
    pub(in crate::openai_chat) fn read(json: &str) -> Option<Self> {
        let fields = Envelope::parse(json).ok()?;
        let kind = json_text::text(fields.present("type")?)?;
        let text_member = TEXT_MEMBERS.iter().find(|(of, _)| *of == kind).map(|(_, member)| *member);
        let text = text_member.and_then(|member| fields.present(member)).filter(|text| text.starts_with('"'));
        let others = fields.members().filter(|(key, value)| Some(*key) != text_member && *value != "null");
        let members = others.filter_map(|(key, value)| Some((key.to_owned(), super::super::object::raw(value)?)));
        Some(Self {
            index: fields.present("index").unwrap_or_default().to_owned(),
            text: text.map(str::to_owned),
            members: members.collect(),
            kind,
        })
    }

    /// The text of a member that is a string.
    pub(in crate::openai_chat) fn member(&self, key: &str) -> Option<String> {
        json_text::text(self.members.get(key)?.get())
    }

    /// The state that stands for this detail alone, with `state` in its `member`.
    pub(in crate::openai_chat) fn packed_with(&self, member: &str, state: &str) -> String {
        let mut detail = self.clone();
        detail.members.extend(to_raw_value(state).ok().map(|json| (member.to_owned(), json)));
        pack(&[detail])
    }

    /// Whether `other` is a fragment of the same detail.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (&self.kind, &self.index) == (&other.kind, &other.index)
    }
}

/// Adds a fragment to the details of a block.
pub(super) fn merge(details: &mut Vec<Detail>, fragment: Detail) {
    let earlier = details.iter_mut().rev().take(MAX_OPEN).find(|detail| detail.is_same(&fragment));
    match earlier {
        Some(detail) => detail.members.extend(fragment.members),
        None => details.push(fragment),
    }
}

/// The state that stands for the details; empty for none.
pub(super) fn pack(details: &[Detail]) -> String {
    let members: Vec<_> = details.iter().map(|detail| &detail.members).collect();
    if members.is_empty() { String::new() } else { serde_json::to_string(&members).unwrap_or_default() }
}

/// The details that [`pack`] packed, with the block's text; `None` where it was not that which packed.
pub(in crate::openai_chat) fn unpack(packed: &str, text: &str) -> Option<Vec<Box<RawValue>>> {
    let details: Vec<BTreeMap<String, Box<RawValue>>> = serde_json::from_str(packed).ok()?;
    let mut text = Some(text).filter(|text| !text.is_empty());
    let mut unpacked = Vec::new();
    for mut members in details {
        let kind = members.get("type").and_then(|kind| json_text::text(kind.get()))?;
        let member = TEXT_MEMBERS.iter().find(|(of, _)| *of == kind);
        if let Some((_, member)) = member
            && let Some(text) = text.take()
        {
            members.insert((*member).to_owned(), to_raw_value(text).ok()?);
        }
        unpacked.push(to_raw_value(&members).ok()?);
    }
    Some(unpacked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_are_packed_and_the_text_is_put_back() {
        let mut details = Vec::new();
        for json in [
            r#"{"type":"reasoning.text","text":"a","index":0,"format":"f","signature":null}"#,
            r#"{"type":"reasoning.text","text":"b","index":0}"#,
            r#"{"type":"reasoning.text","signature":"s","index":0}"#,
            r#"{"type":"reasoning.encrypted","data":"d","id":"r","index":1}"#,
        ] {
            merge(&mut details, Detail::read(json).unwrap());
        }
        let packed = pack(&details);
        assert!(!packed.contains("text\":"), "{packed}");
        let unpacked = unpack(&packed, "ab").unwrap();
        assert_eq!(
            unpacked.iter().map(|detail| detail.get()).collect::<Vec<_>>(),
            [
                r#"{"format":"f","index":0,"signature":"s","text":"ab","type":"reasoning.text"}"#,
                r#"{"data":"d","id":"r","index":1,"type":"reasoning.encrypted"}"#
            ]
        );
        assert!(unpack("EqQB", "x").is_none() && unpack(r#"[{"a":1}]"#, "x").is_none());
        assert_eq!(pack(&[]), "");
    }
}
