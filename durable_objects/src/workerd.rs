//! What the account object needs from workerd: SQL, D1, and the clock with its alarm.

mod d1;
mod sql;
mod time;

pub use d1::D1;
pub use sql::ObjectSql;
pub use time::ObjectClock;
