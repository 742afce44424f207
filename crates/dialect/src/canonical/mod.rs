//! The pivot between two dialects: block-structured, so that every dialect fits into it.
//!
//! The one rule: what is read into it is either carried on, or named as lost. A request is decoded into
//! a [`Request`] and encoded for an upstream; its answer comes back as [`Event`]s, or whole as an
//! [`Answer`], and is encoded for the client. Where both sides speak the same dialect nothing comes
//! through here: the bytes pass.

mod answer;
mod block;
mod event;
mod loss;
mod opaque;
mod request;
mod tools;

pub use answer::{Answer, Fold};
pub use billing::reported::Reported;
pub use block::{Block, CacheMark, Citation, Document, DocumentSource, Image, ImageSource, Text, ToolResult, ToolUse};
pub use event::{Decode, Delta, Encode, Event, Identity, Open, Stop, StopReason, UpstreamError};
pub use loss::{Losses, refused};
pub use opaque::{Opaque, Owner};
pub use request::{Effort, Encoded, Format, Metadata, Reasoning, ReasoningMode, Request, Role, Sampling, Target, Turn};
pub use tools::{ClientTool, MAX_TOOLS, Tool, ToolChoice, ToolKind, ToolNames, unwrapped_input};
