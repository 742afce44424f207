//! The stream of this dialect: an upstream's read, and a client's written.

mod decoder;
mod encoder;

pub use decoder::Decoder;
pub(super) use decoder::Wire;
pub use encoder::Encoder;
pub(super) use encoder::{message_id, tool_use_id};

use crate::sse::KEEP_ALIVE;

/// What fills a silence. A message begins with `message_start`: before that no event may stand, and a comment
/// is none.
pub(super) fn keep_alive(started: bool) -> &'static [u8] {
    if started { b"event: ping\ndata: {\"type\":\"ping\"}\n\n" } else { KEEP_ALIVE }
}
