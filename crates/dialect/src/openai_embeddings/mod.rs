//! OpenAI embeddings. <https://platform.openai.com/docs/api-reference/embeddings>

pub mod answer;
pub(crate) mod fields;
pub mod wire;
