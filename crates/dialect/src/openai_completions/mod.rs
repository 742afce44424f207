//! The completions of old, as clients speak them; no upstream is asked for them.
//! <https://platform.openai.com/docs/api-reference/completions>

pub mod answer;
pub mod stream;
pub mod wire;
