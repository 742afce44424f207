//! OpenAI responses, as clients and upstreams speak them.
//! <https://platform.openai.com/docs/api-reference/responses>

pub mod answer;
pub mod decode;
pub mod encode;
pub mod error;
pub(crate) mod fields;
mod item;
pub mod relay;
mod response;
mod state;
pub mod stream;
mod tools;
pub mod usage;
pub mod wire;
