//! A provider's own state in a conversation: signatures and encrypted reasoning. It goes back to the
//! provider that made it and to nobody else, so what a client holds says whose it is.

use std::fmt;

/// Who made a piece of state: a short tag of the upstream, made by the Worker so that it tells clients
/// nothing. ASCII letters and digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner(String);

/// A provider's state, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opaque {
    /// Who made it; `None`: it came from a client without our tag, from a time before us.
    pub owner: Option<Owner>,
    /// As the provider's dialect packs it; empty: there is none, and only the reasoning's text has an
    /// owner.
    pub data: String,
}

/// What our tags begin with. No provider's state does: they are base64.
const PREFIX: &str = "oi-";

impl Owner {
    /// An owner by its tag; anything but ASCII letters and digits is left out of it.
    #[must_use]
    pub fn new(tag: &str) -> Self {
        Self(tag.chars().filter(char::is_ascii_alphanumeric).collect())
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Opaque {
    /// State that `owner` has just made.
    #[must_use]
    pub fn made_by(owner: &Owner, data: impl Into<String>) -> Self {
        Self { owner: Some(owner.clone()), data: data.into() }
    }

    /// As a client holds it: `oi-OWNER-DATA`, or the bare data without an owner.
    #[must_use]
    pub fn tagged(&self) -> String {
        match &self.owner {
            Some(owner) => format!("{PREFIX}{owner}-{}", self.data),
            None => self.data.clone(),
        }
    }

    /// Reads what a client holds.
    #[must_use]
    pub fn parse(held: &str) -> Self {
        let tagged = held.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-'));
        match tagged {
            Some((owner, data)) => Self { owner: Some(Owner::new(owner)), data: data.to_owned() },
            None => Self { owner: None, data: held.to_owned() },
        }
    }

    /// Whether it may go to `owner`.
    #[must_use]
    pub fn is_of(&self, owner: &Owner) -> bool {
        self.owner.as_ref() == Some(owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_reads_back_and_names_one_owner() {
        let opaque = Opaque::made_by(&Owner::new("k3v9"), "EqQB-x==");
        assert_eq!(opaque.tagged(), "oi-k3v9-EqQB-x==");
        assert_eq!(Opaque::parse(&opaque.tagged()), opaque);
        assert!(opaque.is_of(&Owner::new("k3v9")) && !opaque.is_of(&Owner::new("other")));
        let foreign = Opaque::parse("EqQB");
        assert_eq!((foreign.owner.clone(), foreign.tagged()), (None, "EqQB".to_owned()));
    }
}
