//! The catalogue, purely: upstreams, models, their prices and the routes between them.
//!
//! It is code: an operator edits `catalog.toml`, `file` (native only) checks it whole, `xtask`
//! writes it to D1 as [`rows`], and the Worker reads the same rows back into a [`Catalog`]. Nothing
//! here knows a clock, a network or a Workers type; which instant it is, is an argument.

mod base_url;
#[cfg(feature = "file")]
pub mod file;
mod model;
pub mod rows;

pub use base_url::{BaseUrl, BaseUrlError};
pub use dialect::Dialect;
pub use model::{Auth, Catalog, LimitField, Model, Route, Timeouts, Upstream, WhenClientLeaves};
