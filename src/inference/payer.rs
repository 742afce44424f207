//! Who a request is admitted and charged for.

use crate::keys::ApiKey;

/// The account, by one of its keys or by its owner.
#[derive(Debug, Clone, Copy)]
pub enum Payer<'a> {
    /// A key, with its permissions and limits. What `/v1` takes.
    Key(&'a ApiKey),
    /// The account's owner, signed in: no key's limits, only the balance.
    Owner {
        /// Where the account lives.
        routing_id: &'a str,
    },
}

impl<'a> Payer<'a> {
    /// Where the account lives.
    #[must_use]
    pub fn routing_id(self) -> &'a str {
        match self {
            Self::Key(key) => &key.routing_id,
            Self::Owner { routing_id } => routing_id,
        }
    }

    /// The key's digest, for the account; `None`: the owner.
    #[must_use]
    pub fn digest(self) -> Option<&'a str> {
        match self {
            Self::Key(key) => Some(&key.digest),
            Self::Owner { .. } => None,
        }
    }

    /// What its refusals are remembered under. A digest is longer than any routing id.
    #[must_use]
    pub fn source(self) -> &'a str {
        self.digest().unwrap_or(self.routing_id())
    }
}
