//! Anthropic messages, as clients and upstreams speak them.
//! <https://docs.claude.com/en/api/messages>

pub mod answer;
mod blocks;
pub mod decode;
pub mod encode;
pub mod error;
pub(crate) mod fields;
pub mod relay;
mod stop;
pub mod stream;
mod trim;
pub mod usage;
pub mod wire;
