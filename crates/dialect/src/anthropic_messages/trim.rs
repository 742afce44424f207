//! Edits inside the messages of a request, and the blocks of an answer, that pass: whose the state in
//! them is, and how many cache marks they carry. Every other byte is kept.

use std::ops::Range;

use crate::canonical::{Losses, Opaque, Owner};
use crate::envelope::{Envelope, quoted};
use crate::items::{self, Edited, Item};
use crate::request::as_string;

/// The most cache marks that a request may carry; the provider refuses more.
pub const MAX_MARKS: usize = 4;

/// How deep marks are looked for: a tool's result holds blocks, and nothing in those does.
const MAX_DEPTH: usize = 3;

/// The member of a block that holds a provider's state.
fn state_member(kind: &str) -> Option<&'static str> {
    match kind {
        "thinking" => Some("signature"),
        "redacted_thinking" => Some("data"),
        _ => None,
    }
}

/// The block with its state tagged as `owner`'s; `None`: it has none.
pub fn tag_block(block: &str, owner: &Owner) -> Option<String> {
    let envelope = Envelope::parse(block).ok()?;
    let member = state_member(&envelope.string("type").ok()??)?;
    tag_member(&envelope, member, owner)
}

/// The object with the state in `member` tagged as `owner`'s; `None`: it has none.
pub fn tag_member(envelope: &Envelope<'_>, member: &str, owner: &Owner) -> Option<String> {
    let state = envelope.string(member).ok()?.filter(|state| !state.is_empty())?;
    let mut edits = envelope.edit();
    edits.set(member, &quoted(&Opaque::made_by(owner, state).tagged()));
    Some(edits.finish())
}

/// The blocks of an answer with their state tagged as `owner`'s; `None`: they have none.
pub fn tag_blocks(content: &str, owner: &Owner) -> Option<String> {
    let edited = items::edit(content, |_, block| tag_block(block, owner).map_or(Item::Keep, Item::Set))?;
    Some(edited.json)
}

/// Goes through the blocks of a request in order.
#[derive(Debug)]
pub struct Trim<'o> {
    /// Whose state may stay.
    owner: Option<&'o Owner>,
    /// The marks that go, by their numbers in order.
    excess: Range<usize>,
    /// The marks that it has met.
    pub marks: usize,
    /// What went.
    pub losses: Losses,
}

impl<'o> Trim<'o> {
    /// Leaves state to `owner` alone, and takes the marks of these numbers out.
    pub fn new(owner: Option<&'o Owner>, excess: Range<usize>) -> Self {
        Self { owner, excess, marks: 0, losses: Losses::default() }
    }

    /// The messages after it; `None`: nothing changes.
    pub fn messages(&mut self, messages: &str) -> Option<String> {
        let edited = items::edit(messages, |_, message| self.message(message))?;
        Some(edited.json)
    }

    /// Blocks, or tools, after it; `None`: nothing changes, or it is no array.
    pub fn blocks(&mut self, blocks: &str) -> Option<Edited> {
        self.nested(blocks, MAX_DEPTH)
    }

    fn message(&mut self, message: &str) -> Item {
        let Ok(envelope) = Envelope::parse(message) else { return Item::Keep };
        let Some(edited) = envelope.present("content").and_then(|content| self.blocks(content)) else {
            return Item::Keep;
        };
        if edited.left == 0 {
            return Item::Drop;
        }
        let mut edits = envelope.edit();
        edits.set("content", &edited.json);
        Item::Set(edits.finish())
    }

    fn nested(&mut self, blocks: &str, depth: usize) -> Option<Edited> {
        if !blocks.starts_with('[') {
            return None;
        }
        items::edit(blocks, |_, block| self.block(block, depth))
    }

    fn block(&mut self, block: &str, depth: usize) -> Item {
        let Ok(envelope) = Envelope::parse(block) else { return Item::Keep };
        let kind = envelope.get("type").and_then(as_string).unwrap_or_default();
        if let (Some(owner), Some(member)) = (self.owner, state_member(&kind)) {
            return self.state(&envelope, &kind, member, owner);
        }
        let mut edits = envelope.edit();
        // The blocks inside come before the end of what they stand in, where the mark is.
        let inner = envelope.present("content").zip(depth.checked_sub(1));
        if let Some(edited) = inner.and_then(|(content, depth)| self.nested(content, depth)) {
            edits.set("content", &edited.json);
        }
        if let Some(source) = self.source(&envelope, depth) {
            edits.set("source", &source);
        }
        if envelope.present("cache_control").is_some() {
            if self.excess.contains(&self.marks) {
                edits.remove("cache_control");
                self.losses.add("cache_control");
            }
            self.marks = self.marks.saturating_add(1);
        }
        if edits.is_empty() { Item::Keep } else { Item::Set(edits.finish()) }
    }

    /// The source of a document that is made of blocks, after it; `None`: nothing changes.
    fn source(&mut self, document: &Envelope<'_>, depth: usize) -> Option<String> {
        let source = document.present("source").filter(|source| source.contains("cache_control"))?;
        let source = Envelope::parse(source).ok()?;
        let edited = self.nested(source.present("content")?, depth.checked_sub(1)?)?;
        let mut edits = source.edit();
        edits.set("content", &edited.json);
        Some(edits.finish())
    }

    /// State of the owner goes without our tag, and that of others does not go; what has no tag is the
    /// client's own affair.
    fn state(&mut self, envelope: &Envelope<'_>, kind: &str, member: &str, owner: &Owner) -> Item {
        let held = envelope.get(member).and_then(as_string).unwrap_or_default();
        let opaque = Opaque::parse(&held);
        if opaque.owner.is_none() {
            return Item::Keep;
        }
        if !opaque.is_of(owner) {
            self.losses.add(kind);
            return Item::Drop;
        }
        let mut edits = envelope.edit();
        edits.set(member, &quoted(&opaque.data));
        Item::Set(edits.finish())
    }
}
