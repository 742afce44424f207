//! Wire formats, purely: bytes in, bytes and counts out. No socket, no clock, no ids made here.

pub mod envelope;
pub mod measure;
pub mod openai_chat;
pub mod openai_embeddings;
pub mod request;
pub mod sse;
pub mod tokens;
