//! A block of words: text, a refusal, or reasoning with the state behind it.

use super::details::{self, Detail};
use crate::canonical::{Delta, Event, Opaque, Open, Owner};
use crate::json_text::Joiner;

/// A block of words.
#[derive(Debug)]
pub(super) struct Speech {
    pub(super) kind: Kind,
    /// Its number; `None` before its first words.
    pub(super) index: Option<usize>,
    joiner: Joiner,
    /// Of reasoning: the state behind it.
    details: Vec<Detail>,
    /// The one of them whose text it holds.
    with_text: Option<Detail>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Refusal,
    Reasoning,
}

impl Speech {
    /// A block that has said nothing.
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, index: None, joiner: Joiner::default(), details: Vec::new(), with_text: None }
    }

    /// Whether `detail` belongs to it: a block holds the text of one detail, so that it can be put back.
    pub(super) fn takes(&self, detail: &Detail) -> bool {
        let other_text = || self.with_text.as_ref().is_some_and(|known| !known.is_same(detail));
        self.kind == Kind::Reasoning && (detail.text.is_none() || !other_text())
    }

    /// More words, a JSON string; `next`: the number that the block takes with its first words.
    pub(super) fn json(&mut self, json: &str, next: &mut usize, events: &mut Vec<Event>) {
        let text = self.joiner.push(json).unwrap_or_default();
        self.say(text, next, events);
    }

    /// One of `reasoning_details`.
    pub(super) fn detail(&mut self, detail: Detail, next: &mut usize, events: &mut Vec<Event>) {
        let text = detail.text.as_deref().and_then(|json| self.joiner.push(json));
        if detail.text.is_some() && self.with_text.is_none() {
            self.with_text = Some(detail.clone());
        }
        details::merge(&mut self.details, detail);
        self.say(text.unwrap_or_default(), next, events);
    }

    fn say(&mut self, text: String, next: &mut usize, events: &mut Vec<Event>) {
        if text.is_empty() {
            return;
        }
        let index = *self.index.get_or_insert_with(|| {
            let index = *next;
            *next = next.saturating_add(1);
            let block = match self.kind {
                Kind::Text => Open::Text,
                Kind::Refusal => Open::Refusal,
                Kind::Reasoning => Open::Reasoning,
            };
            events.push(Event::Open { index, block });
            index
        });
        events.push(Event::Delta { index, delta: Delta::Text(text) });
    }

    /// Ends it. `owner`: who made the state behind reasoning.
    pub(super) fn close(mut self, owner: &Owner, next: &mut usize, events: &mut Vec<Event>) {
        if let Some(c) = self.joiner.finish() {
            self.say(c.to_string(), next, events);
        }
        let opaque = || Opaque::made_by(owner, details::pack(&self.details));
        match self.index {
            Some(index) => {
                if self.kind == Kind::Reasoning {
                    events.push(Event::Delta { index, delta: Delta::Opaque(opaque()) });
                }
                events.push(Event::Close { index });
            }
            // State without a word that is shown.
            None if !self.details.is_empty() => {
                let index = *next;
                *next = next.saturating_add(1);
                events.push(Event::Open { index, block: Open::Redacted(opaque()) });
                events.push(Event::Close { index });
            }
            None => {}
        }
    }
}
