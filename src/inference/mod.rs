//! The one way to an upstream: price → admit → upstream → relay → settle.

mod failover;
mod failure;
pub mod leaving;
mod opening;
pub mod payer;
pub mod pipeline;
pub mod pump;
pub mod stream;
mod streamed;
pub mod terms;
pub mod ticket;
pub mod waiting;
pub mod way;
mod whole;
