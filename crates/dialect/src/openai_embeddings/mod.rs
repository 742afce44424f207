//! OpenAI embeddings. <https://platform.openai.com/docs/api-reference/embeddings>

pub mod answer;
pub mod wire;
