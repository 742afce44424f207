//! What of a client's request passes to an upstream of the same dialect: a closed list for each dialect.
//!
//! The one rule: what stands on no list is not sent. A member that nobody knows is left out and named to
//! the client, for clients send odd extras. A content part or an item of a kind that nobody knows is refused:
//! without it the request would mean something else.

use std::fmt;

use crate::canonical::Losses;
use crate::envelope::Envelope;
use crate::items::{self, Item};
use crate::policy;
use crate::request::{RequestError, as_string};

/// The members that an object may have, by name.
pub type Fields = &'static [(&'static str, Rule)];

/// What a member may hold.
#[derive(Debug, Clone, Copy)]
pub enum Rule {
    /// Any JSON: a schema, the arguments of a tool, labels.
    Free,
    /// A text, a number, true or false, or arrays of those.
    Plain,
    /// An object of these members, an array of such objects, or a scalar.
    Members(Fields),
    /// An object whose `type` tells its members, an array of such objects, or a scalar.
    Kinds(&'static [Kind]),
    /// Nothing: the field is known, says nothing of the answer, and is left out and named.
    LeftOut,
    /// As this rule: for lists that hold themselves.
    Same(&'static Rule),
}

/// The members of objects of one `type`.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// The values of `type`. The empty name stands for an object without one. A final `#` stands for the
    /// eight digits of a date.
    pub names: &'static [&'static str],
    /// What such an object may have; `None`: it is left out as a whole.
    pub members: Option<Fields>,
}

impl Kind {
    /// A kind with these members.
    pub const fn of(names: &'static [&'static str], members: Fields) -> Self {
        Self { names, members: Some(members) }
    }

    /// A kind that is left out.
    pub const fn left_out(names: &'static [&'static str]) -> Self {
        Self { names, members: None }
    }

    fn is(&self, kind: &str) -> bool {
        self.names.iter().any(|name| matches(name, kind))
    }
}

/// Whether `kind` has this name: see [`Kind::names`].
pub fn matches(name: &str, kind: &str) -> bool {
    match name.strip_suffix('#') {
        Some(stem) => kind
            .strip_prefix(stem)
            .is_some_and(|date| date.len() == DATE_DIGITS && date.bytes().all(|digit| digit.is_ascii_digit())),
        None => name == kind,
    }
}

/// A date in the name of a versioned tool.
const DATE_DIGITS: usize = 8;

/// The body with what passes, and the losses; `body` itself where everything does. `also` are the top-level
/// fields that the catalogue lists for the upstream.
///
/// # Errors
/// [`RequestError`] for a part or an item of a kind that is on no list, and for an object in which a member
/// stands twice.
pub fn listed(body: String, fields: Fields, also: &[String], losses: &mut Losses) -> Result<String, RequestError> {
    let kept = {
        let walk = Walk { also };
        walk.object(&body, fields, &Path::Top, losses)?
    };
    Ok(match kept {
        Item::Set(text) => text,
        Item::Keep | Item::Drop => body,
    })
}

/// Where in the body a value stands.
#[derive(Clone, Copy)]
enum Path<'a> {
    Top,
    Member(&'a Self, &'a str),
    Item(&'a Self, usize),
}

/// How deep objects are looked through, in steps of the path. The deepest that a dialect knows is a part of a document
/// in the result of a tool, at about 10; each step costs another look at all that is below it.
const MAX_STEPS: usize = 16;

impl Path<'_> {
    fn steps(&self) -> usize {
        match self {
            Path::Top => 0,
            Path::Item(parent, _) | Path::Member(parent, _) => parent.steps().saturating_add(1),
        }
    }

    /// The path without the places in arrays, as the losses name it.
    fn name(&self) -> String {
        match self {
            Path::Top => String::new(),
            Path::Item(parent, _) => parent.name(),
            Path::Member(parent, key) => {
                let parent = parent.name();
                if parent.is_empty() { (*key).to_owned() } else { format!("{parent}.{key}") }
            }
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Top => Ok(()),
            Path::Member(Path::Top, key) => f.write_str(key),
            Path::Member(parent, key) => write!(f, "{parent}.{key}"),
            Path::Item(parent, at) => write!(f, "{parent}[{at}]"),
        }
    }
}

struct Walk<'a> {
    also: &'a [String],
}

impl Walk<'_> {
    fn value(&self, json: &str, rule: &Rule, path: &Path<'_>, losses: &mut Losses) -> Result<Item, RequestError> {
        let is_array = json.starts_with('[');
        match rule {
            Rule::Same(rule) => self.value(json, rule, path, losses),
            Rule::Free => Ok(Item::Keep),
            Rule::LeftOut => {
                if json != "null" {
                    losses.add(&path.name());
                }
                Ok(Item::Drop)
            }
            _ if path.steps() > MAX_STEPS => {
                Err(RequestError::field(path.to_string().as_str(), "the content is nested too deep"))
            }
            _ if is_array => self.array(json, rule, path, losses),
            _ if !json.starts_with('{') => Ok(Item::Keep),
            Rule::Plain => {
                losses.add(&path.name());
                Ok(Item::Drop)
            }
            Rule::Members(fields) => self.object(json, fields, path, losses),
            Rule::Kinds(kinds) => self.kind(json, kinds, path, losses),
        }
    }

    fn array(&self, json: &str, rule: &Rule, path: &Path<'_>, losses: &mut Losses) -> Result<Item, RequestError> {
        let mut error = None;
        let edited = items::edit(json, |at, item| {
            if error.is_some() {
                return Item::Keep;
            }
            self.value(item, rule, &Path::Item(path, at), losses).unwrap_or_else(|refused| {
                error = Some(refused);
                Item::Keep
            })
        });
        match error {
            Some(error) => Err(error),
            None => Ok(edited.map_or(Item::Keep, |edited| Item::Set(edited.json))),
        }
    }

    fn kind(&self, json: &str, kinds: &[Kind], path: &Path<'_>, losses: &mut Losses) -> Result<Item, RequestError> {
        let kind = read(json, path)?.present("type").and_then(as_string).unwrap_or_default();
        match kinds.iter().find(|known| known.is(&kind)) {
            Some(Kind { members: Some(fields), .. }) => self.object(json, fields, path, losses),
            Some(_) => {
                losses.add(&kind);
                Ok(Item::Drop)
            }
            None => {
                let path = format!("{path}.type");
                Err(RequestError::field(path.as_str(), format!("`{path}` names a kind that is not available here")))
            }
        }
    }

    fn object(&self, json: &str, fields: Fields, path: &Path<'_>, losses: &mut Losses) -> Result<Item, RequestError> {
        let envelope = read(json, path)?;
        let mut edits = envelope.edit();
        for (index, (key, value)) in envelope.members().enumerate() {
            let here = Path::Member(path, key);
            let known = fields.iter().find(|(name, _)| *name == key).map(|(_, rule)| rule);
            // `policy` has already refused these fields unless their value asks for nothing (`null`, `false`); so such a
            // value passes.
            let is_also = || self.also.iter().any(|name| name == key) || policy::refuses(key);
            let is_also = || matches!(path, Path::Top) && is_also();
            let item = match known {
                Some(rule) => self.value(value, rule, &here, losses)?,
                None if is_also() => Item::Keep,
                None => {
                    // A member that says nothing is nothing that a client misses.
                    if value != "null" {
                        losses.add(&here.name());
                    }
                    Item::Drop
                }
            };
            match item {
                Item::Keep => {}
                Item::Set(text) => edits.set_at(index, text),
                Item::Drop => edits.remove_at(index),
            }
        }
        Ok(if edits.is_empty() { Item::Keep } else { Item::Set(edits.finish()) })
    }
}

fn read<'a>(json: &'a str, path: &Path<'_>) -> Result<Envelope<'a>, RequestError> {
    match path {
        Path::Top => Ok(Envelope::parse(json)?),
        path => Envelope::parse(json)
            .map_err(|_| RequestError::wrong_type(&path.to_string(), "an object with each field once")),
    }
}

#[cfg(test)]
mod tests;
