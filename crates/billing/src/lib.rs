//! Money, purely: no clock, no randomness, no I/O, no float.
//!
//! A request is paid for in two phases, as a card payment is: a **hold** is reserved for the most that
//! it can cost before it is dispatched, and the hold is **settled** with what it did cost, released,
//! or expired. [`ledger::decide`] is the only place where an account's state is changed.
#![deny(clippy::float_arithmetic)]

pub mod hold;
pub mod ledger;
pub mod money;
pub mod price;
pub mod reported;
pub mod running;
pub mod usage;
