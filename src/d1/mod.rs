//! D1, one file a table or group of tables. The only SQL of the Worker stands here; the account
//! object's own is in `durable_objects`.

pub mod accounts;
pub mod activity;
pub mod catalogue;
pub mod undelivered;
pub mod usage;

/// The D1 binding of `wrangler.toml`.
pub const BINDING: &str = "DB";
