//! The account object: strongly consistent money and keys of one account, in one Durable Object.
//!
//! The ledger itself is pure and lives in `billing`; here are its storage, its wire and its alarm.

pub mod account;
pub mod audit;
pub mod client;
pub mod clock;
pub mod flush;
pub mod outbox;
pub mod panics;
pub mod protocol;
pub mod sql;
pub mod store;
pub mod tail;
pub mod workerd;

pub use account::Account;
