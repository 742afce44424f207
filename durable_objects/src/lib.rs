//! The account object: the strongly consistent money and keys of one account, in one Durable Object.
//!
//! The crate `billing` holds the ledger itself. This crate adds the ledger's storage (`store`), the object around it
//! (`object`), the way to D1 (`outbox`, `flush`), the wire (`protocol`, `client`), and what ties all of this to
//! workerd (`account`, `workerd`, `clock`, `panics`).

pub mod account;
pub mod audit;
pub mod client;
pub mod clock;
pub mod flush;
pub mod object;
pub mod outbox;
pub mod panics;
pub mod protocol;
pub mod sql;
pub mod store;
pub mod tail;
pub mod time;
pub mod workerd;

pub use account::Account;
