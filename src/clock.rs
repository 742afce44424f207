//! The Worker's clock: the same as the account object's, which is the only caller of the platform's.

pub use account::clock::{now_ms, sleep_ms, within};
