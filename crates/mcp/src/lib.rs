//! The Model Context Protocol without its I/O: what a body asks for, and what is answered.
//!
//! Two eras are served on one route. Since revision 2026-07-28 every request stands for itself and says
//! its version in `_meta`; before, a client began with `initialize`. Neither needs a session here.
//! <https://modelcontextprotocol.io/specification>

pub mod arguments;
pub mod asked;
pub mod chat;
pub mod exchange;
pub mod prompt;
pub mod resource;
pub mod rpc;
pub mod tool;
pub mod version;

pub use asked::Asked;
pub use exchange::{Exchange, Headers, Opened};
pub use rpc::{Fault, Reply};
