//! The state behind reasoning (`reasoning_details`) on its way through: a client holds it with the tag of
//! its owner, and it goes back to that owner alone.
//!
//! The one rule: what is tagged here passed as the provider wrote it, and says so by [`AS_SENT`]; it goes
//! back in its own place, to the byte. What a decoder packed has no such mark.

use super::stream::Detail;
use crate::canonical::{Opaque, Owner};
use crate::envelope::{Envelope, quoted};
use crate::items::{self, Item};
use crate::json_text;

/// What stands before state that passed: no provider's state begins so, nor does what is packed.
const AS_SENT: char = '~';

/// The members of a detail that hold state.
const MEMBERS: [&str; 2] = ["signature", "data"];

/// Whether there may be state in a text; where not, nothing of it needs to be read.
pub(super) fn may_be_in(json: &str) -> bool {
    json.contains("reasoning_details")
}

/// The choices of an answer or a chunk with their state tagged as `owner`'s; `None`: there is none.
/// `member`: where the words of a choice stand.
pub(super) fn tagged(choices: &str, member: &str, owner: &Owner) -> Option<String> {
    let edited = items::edit(choices, |_, choice| {
        within(choice, member, &|said| within(said, "reasoning_details", &|details| tag(details, owner)))
            .map_or(Item::Keep, Item::Set)
    })?;
    Some(edited.json)
}

/// The object with one member edited; `None`: nothing changes. What stands twice is left alone.
fn within(object: &str, member: &str, edit: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let envelope = Envelope::parse(object).ok()?;
    let edited = edit(envelope.present(member)?)?;
    let mut edits = envelope.edit();
    edits.set(member, &edited);
    Some(edits.finish())
}

fn tag(details: &str, owner: &Owner) -> Option<String> {
    let held = |state: &str| Some(Opaque::made_by(owner, format!("{AS_SENT}{state}")).tagged());
    Some(items::edit(details, |_, detail| replaced(detail, held))?.json)
}

/// The detail with its state replaced; it goes where `with` has nothing for it.
fn replaced(detail: &str, with: impl Fn(&str) -> Option<String>) -> Item {
    let Ok(envelope) = Envelope::parse(detail) else { return Item::Keep };
    let mut edits = envelope.edit();
    for member in MEMBERS {
        let state = envelope.present(member).and_then(json_text::text).filter(|state| !state.is_empty());
        let Some(state) = state else { continue };
        match with(&state) {
            Some(text) if text == state => {}
            Some(text) => edits.set(member, &quoted(&text)),
            None => return Item::Drop,
        }
    }
    if edits.is_empty() { Item::Keep } else { Item::Set(edits.finish()) }
}

/// The messages of a request for the upstream of `owner`, and how many details were left out of them;
/// `None`: nothing changes. What has no tag is the client's own affair.
pub(super) fn untagged(messages: &str, owner: Option<&Owner>) -> Option<(String, usize)> {
    let mut left_out: usize = 0;
    let mut message = |json: &str| {
        let envelope = Envelope::parse(json).ok()?;
        let edited = items::edit(envelope.present("reasoning_details")?, |_, detail| {
            let item = replaced(detail, |held| {
                let opaque = Opaque::parse(held);
                match (&opaque.owner, opaque.data.strip_prefix(AS_SENT)) {
                    (None, _) => Some(held.to_owned()),
                    (Some(_), Some(state)) if owner.is_some_and(|owner| opaque.is_of(owner)) => Some(state.to_owned()),
                    (Some(_), _) => None,
                }
            });
            left_out = left_out.saturating_add(usize::from(item == Item::Drop));
            item
        })?;
        let mut edits = envelope.edit();
        if edited.left == 0 {
            edits.remove("reasoning_details");
        } else {
            edits.set("reasoning_details", &edited.json);
        }
        Some(edits.finish())
    };
    let edited = items::edit(messages, |_, json| message(json).map_or(Item::Keep, Item::Set))?;
    Some((edited.json, left_out))
}

/// Whether details hold state that a decoder packed: it can only be unpacked, not passed.
pub(super) fn is_packed(details: &str) -> bool {
    let packed = |held: &str| {
        let opaque = Opaque::parse(held);
        opaque.owner.is_some() && !opaque.data.starts_with(AS_SENT)
    };
    let holds = |detail: &str| {
        let envelope = Envelope::parse(detail).ok();
        let state = |key| envelope.as_ref().and_then(|detail| detail.present(key)).and_then(json_text::text);
        MEMBERS.into_iter().filter_map(state).any(|held| packed(&held))
    };
    crate::request::as_array(details).unwrap_or_default().into_iter().any(holds)
}

/// The state that a client holds in a detail, as the pivot has it: what passed is packed now.
pub(super) fn opaque(detail: &Detail) -> Option<Opaque> {
    let (member, held) = MEMBERS.into_iter().find_map(|member| Some((member, detail.member(member)?)))?;
    let opaque = Opaque::parse(&held);
    let packed = opaque.data.strip_prefix(AS_SENT).filter(|_| opaque.owner.is_some());
    Some(match packed {
        Some(state) => Opaque { data: detail.packed_with(member, state), ..opaque },
        None => opaque,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trap_11_state_that_passes_goes_back_to_its_owner_alone_and_to_the_byte() {
        let (owner, other) = (Owner::new("a1"), Owner::new("b2"));
        let details = r#"[ {"type":"reasoning.text","text":"Hm\u00e9","signature":"gA==","index":0},{"type":"reasoning.encrypted" ,"data":"x/y"},{"type":"reasoning.summary","summary":"s"} ]"#;
        let choices = |member: &str| format!(r#"[{{"index":0, "{member}":{{"reasoning_details":{details}}}}}]"#);
        for member in ["delta", "message"] {
            let held = tagged(&choices(member), member, &owner).unwrap();
            let expected = choices(member).replace("gA==", "oi-a1-~gA==").replace("x/y", "oi-a1-~x/y");
            assert_eq!(held, expected);
        }
        let sent = format!(r#"[{{"role":"assistant", "reasoning_details":{details},"content":"a"}}]"#);
        let held = sent.replace("gA==", "oi-a1-~gA==").replace("x/y", "oi-a1-~x/y");
        assert!(!is_packed(details) && is_packed(r#"[{"data":"oi-a1-[]"}]"#) && !is_packed(r#"[{"data":"oi-a1-~x"}]"#));
        assert_eq!(untagged(&sent, Some(&owner)), None);
        assert_eq!(untagged(&held, Some(&owner)), Some((sent, 0)));
        for owner in [Some(&other), None] {
            let (out, left_out) = untagged(&held, owner).unwrap();
            assert_eq!(
                out,
                r#"[{"role":"assistant", "reasoning_details":[ {"type":"reasoning.summary","summary":"s"} ],"content":"a"}]"#
            );
            assert_eq!(left_out, 2);
        }
        let alone = r#"[{"role":"assistant","reasoning_details":[{"data":"oi-a1-~x"}],"content":"a"}]"#;
        assert_eq!(untagged(alone, None).unwrap().0, r#"[{"role":"assistant","content":"a"}]"#);
    }

    #[test]
    fn state_that_passed_can_be_packed_for_its_owner() {
        let detail =
            Detail::read(r#"{"type":"reasoning.text","text":"a","signature":"oi-a1-~gA","format":"f"}"#).unwrap();
        let opaque = opaque(&detail).unwrap();
        assert!(opaque.is_of(&Owner::new("a1")));
        assert_eq!(opaque.data, r#"[{"format":"f","signature":"gA","type":"reasoning.text"}]"#);
    }
}
