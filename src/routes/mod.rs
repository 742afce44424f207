//! One file a route: parse, call inference, answer.

pub mod chat_completions;
pub mod embeddings;
pub mod models;
