//! Wire formats, purely: bytes in, bytes and counts out. No socket, no clock, no ids made here.

pub mod anthropic_messages;
pub mod canonical;
pub mod client;
mod count;
pub mod envelope;
mod items;
pub mod json_text;
pub mod measure;
mod name;
pub mod openai_chat;
pub mod openai_completions;
pub mod openai_embeddings;
pub mod openai_responses;
pub mod passes;
pub mod policy;
pub mod rejection;
pub mod relay;
pub mod request;
pub mod request_limits;
pub mod rewrite;
pub mod sse;
pub mod tokens;
pub mod translate;
pub mod typed;
mod unicode_escapes;
pub mod visible;

pub use name::Dialect;
