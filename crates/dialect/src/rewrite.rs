//! What is changed in an answer that is passed on.

use std::collections::BTreeSet;

use crate::canonical::{Owner, Reported};
use crate::envelope::{Edits, Envelope, quoted};
use crate::tokens::Figures;

/// What is set back or taken out of an upstream's answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rewrite {
    /// Our id of the model, where the upstream knows it by another.
    pub model: Option<String>,
    /// Dotted names of the fields that this upstream is known to add (`provider`, `usage.cost`).
    pub strip: Vec<String>,
    /// Whose the state in it is: it is tagged with it.
    pub owner: Option<Owner>,
}

/// A whole answer that is passed on, and what it says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// The body to hand on: the upstream's own, but for the [`Rewrite`].
    pub body: String,
    /// What the provider counted.
    pub usage: Option<Reported>,
    /// What is seen of the output of all choices, in tokens.
    pub visible: Figures,
}

/// The body is no answer: not a JSON object, or an error with a success status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the upstream's body is not an answer")]
pub struct NotAnAnswer;

impl Rewrite {
    /// Whether [`Self::apply`] never changes anything.
    #[must_use]
    pub fn applies_nowhere(&self) -> bool {
        self.model.is_none() && self.strip.is_empty()
    }

    /// Adds the edits that `envelope`, an answer or a chunk, needs.
    pub fn apply(&self, envelope: &Envelope<'_>, edits: &mut Edits<'_>) {
        if let Some(model) = &self.model
            && envelope.all("model").any(|theirs| theirs.starts_with('"') && theirs != "\"\"")
        {
            edits.set("model", &quoted(model));
        }
        for name in self.strip.iter().filter(|name| !name.contains('.')) {
            edits.remove(name);
        }
        // Of a parent that goes as a whole nothing is left to go.
        let whole = |parent: &str| self.strip.iter().any(|name| name == parent);
        let nested = self.strip.iter().filter_map(|name| name.split_once('.'));
        let nested: Vec<(&str, &str)> = nested.filter(|(parent, _)| !whole(parent)).collect();
        let parents: BTreeSet<&str> = nested.iter().map(|(parent, _)| *parent).collect();
        for parent in parents {
            let Some(Ok(inner)) = envelope.all(parent).next_back().map(Envelope::parse_any) else { continue };
            let mut inner_edits = inner.edit();
            nested.iter().filter(|(of, _)| *of == parent).for_each(|(_, field)| inner_edits.remove(field));
            if !inner_edits.is_empty() {
                edits.set(parent, &inner_edits.finish());
            }
        }
    }
}
