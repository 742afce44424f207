//! Chat streams on their way through the pivot: an upstream's chunks into events, events into a client's
//! chunks.

mod calls;
mod complete;
mod decoder;
mod details;
mod encoder;
mod speech;

pub use decoder::Decoder;
pub use encoder::Encoder;

pub(super) use decoder::hash;
pub(super) use details::{Detail, unpack};
