//! Encrypted reasoning and compacted turns on their way through: a client holds them with the tag of
//! their owner, and they go back to that owner alone.
//!
//! The one rule: the data under a tag is `ID.ENCRYPTED`, the item's own id with its content, as
//! [`super::stream::Decoder`] packs it too.

use crate::canonical::{Opaque, Owner};
use crate::envelope::{Envelope, quoted};
use crate::items::{self, Item};
use crate::request::as_string;

/// An output item for the client, with a tag on the state in it; `None`: there is none.
pub(super) fn tagged(item: &str, owner: &Owner) -> Option<String> {
    let envelope = Envelope::parse(item).ok()?;
    let encrypted = envelope.present("encrypted_content").and_then(as_string).unwrap_or_default();
    let id = envelope.present("id").and_then(as_string).unwrap_or_default();
    // The words of a model's reasoning are for their owner too, where no state stands behind them.
    if encrypted.is_empty() && !has_words(&envelope) {
        return None;
    }
    let mut edits = envelope.edit();
    edits.set("encrypted_content", &quoted(&Opaque::made_by(owner, format!("{id}.{encrypted}")).tagged()));
    Some(edits.finish())
}

/// Whether an item is reasoning that a provider shows word by word, as some do instead of a summary.
fn has_words(item: &Envelope<'_>) -> bool {
    let is_reasoning = item.present("type") == Some("\"reasoning\"");
    is_reasoning && item.present("content").and_then(crate::request::as_array).is_some_and(|parts| !parts.is_empty())
}

/// Whether there may be state in items; where not, nothing of them needs to be read.
pub(super) fn may_be_in(items: &str) -> bool {
    items.contains("encrypted_content") || items.contains("reasoning")
}

/// The output array for the client; `None`: there is no state in it.
pub(super) fn tagged_output(output: &str, owner: &Owner) -> Option<String> {
    if !may_be_in(output) {
        return None;
    }
    let edited = items::edit(output, |_, item| tagged(item, owner).map_or(Item::Keep, Item::Set))?;
    Some(edited.json)
}

/// An input item for the upstream of `owner`. What no tag names goes as it is: the conversation began
/// elsewhere, and only the client's own provider can read it. Reasoning with nothing in it but an id
/// names what a provider would have stored, and nothing is stored.
pub(super) fn untagged(item: &str, owner: Option<&Owner>) -> Item {
    if !may_be_in(item) {
        return Item::Keep;
    }
    let Ok(envelope) = Envelope::parse(item) else { return Item::Keep };
    let is_reasoning = envelope.present("type") == Some("\"reasoning\"");
    let held = envelope.present("encrypted_content").and_then(as_string).filter(|held| !held.is_empty());
    let Some(held) = held else {
        return if is_reasoning && !has_words(&envelope) { Item::Drop } else { Item::Keep };
    };
    let opaque = Opaque::parse(&held);
    if opaque.owner.is_none() {
        return Item::Keep;
    }
    let ours = owner.is_some_and(|owner| opaque.is_of(owner));
    // Text with an owner and nothing behind it cannot go back.
    let Some((id, encrypted)) = opaque.data.split_once('.').filter(|_| ours) else { return Item::Drop };
    // A tag alone, around an id that anybody can write, is no more than the id.
    if encrypted.is_empty() && !has_words(&envelope) {
        return Item::Drop;
    }
    let mut edits = envelope.edit();
    if !id.is_empty() {
        edits.set("id", &quoted(id));
    }
    if encrypted.is_empty() {
        edits.remove("encrypted_content");
    } else {
        edits.set("encrypted_content", &quoted(encrypted));
    }
    Item::Set(edits.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_goes_to_its_owner_alone_and_every_other_byte_is_kept() {
        let (owner, other) = (Owner::new("a1"), Owner::new("b2"));
        let item = r#"{ "type":"reasoning","id":"rs_1", "summary":[],"encrypted_content":"gA-_=" }"#;
        let held = tagged(item, &owner).unwrap();
        assert_eq!(held, item.replace("gA-_=", "oi-a1-rs_1.gA-_="));
        assert!(matches!(untagged(&held, Some(&owner)), Item::Set(back) if back == item));
        assert!(matches!(untagged(&held, Some(&other)), Item::Drop));
        assert!(matches!(untagged(&held, None), Item::Drop));
        assert!(matches!(untagged(item, Some(&other)), Item::Keep));
        let renamed = held.replace(r#""rs_1""#, r#""rs_ours0""#);
        assert!(matches!(untagged(&renamed, Some(&owner)), Item::Set(back) if back == item));
        let id_alone = item.replace("gA-_=", "oi-a1-rs_of_another.");
        assert!(matches!(untagged(&id_alone, Some(&owner)), Item::Drop));
        let plain = item.replace("gA-_=", "oi-a1-");
        assert!(matches!(untagged(&plain, Some(&owner)), Item::Drop));
        let stored = r#"{"type":"reasoning","id":"rs_1","summary":[]}"#;
        assert!(matches!(untagged(stored, Some(&owner)), Item::Drop));
        let words = r#"{"type":"reasoning","id":"rs_1","content":[{"type":"reasoning_text","text":"Hm."}]}"#;
        assert!(matches!(untagged(words, Some(&owner)), Item::Keep));
        let held = tagged(words, &owner).unwrap();
        assert_eq!(held, words.replace("]}", r#"],"encrypted_content":"oi-a1-rs_1."}"#));
        assert!(matches!(untagged(&held, Some(&owner)), Item::Set(back) if back == words));
        assert!(matches!(untagged(&held, Some(&other)), Item::Drop));
    }
}
