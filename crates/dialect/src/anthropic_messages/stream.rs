//! The stream of this dialect: an upstream's read, and a client's written.

mod decoder;
mod encoder;

pub use decoder::Decoder;
pub(super) use decoder::Wire;
pub use encoder::Encoder;
pub(super) use encoder::{message_id, tool_use_id};
