//! OpenAI chat completions, as clients and compatible upstreams speak them.
//! <https://platform.openai.com/docs/api-reference/chat>

pub mod answer;
pub mod error;
pub mod relay;
pub mod usage;
pub mod wire;
