//! What of an embeddings request passes to an upstream: see [`crate::passes`].

use crate::passes::{Fields, Rule::Plain};

/// The fields of a request.
pub(crate) const FIELDS: Fields = &[
    ("dimensions", Plain),
    ("encoding_format", Plain),
    ("input", Plain),
    ("model", Plain),
    ("service_tier", Plain),
    ("speed", Plain),
    ("user", Plain),
];
