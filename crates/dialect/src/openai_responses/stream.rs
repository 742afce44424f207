//! Streams of responses: [`Decoder`] reads an upstream's, [`Encoder`] writes a client's.

mod decoder;
mod encoder;
mod items;
mod output;

pub use decoder::Decoder;
pub(super) use decoder::{Ending, Response, string};
pub use encoder::Encoder;
pub(super) use encoder::event;
