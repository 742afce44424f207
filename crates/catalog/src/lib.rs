//! The catalogue: upstreams, models, their prices, and the routes from models to upstreams.
//!
//! The catalogue is kept as code. An operator edits `catalog.toml`, the module `file` (native only) checks all of
//! it, `xtask` writes it to D1 as [`rows`], and the Worker reads these rows back into a [`Catalog`]. This crate
//! has no clock, no network and no Workers types; the current time is an argument.

mod base_url;
#[cfg(feature = "file")]
pub mod file;
mod model;
pub mod rows;

pub use base_url::{BaseUrl, BaseUrlError};
pub use dialect::Dialect;
pub use model::{Auth, Catalog, LimitField, Model, Route, Timeouts, Upstream, WhenClientLeaves};
