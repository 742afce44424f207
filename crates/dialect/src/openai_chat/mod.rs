//! OpenAI chat completions, as clients and compatible upstreams speak them.
//! <https://platform.openai.com/docs/api-reference/chat>

pub mod answer;
pub mod decode;
pub mod encode;
pub mod error;
pub(crate) mod fields;
pub mod mixed;
mod object;
pub mod relay;
mod said;
mod seen;
mod state;
pub mod stream;
pub mod usage;
pub mod wire;
pub(crate) mod words;

pub use words::finish_reason;
