//! The one way to an upstream: price → admit → upstream → relay → settle.

pub mod pipeline;
pub mod pump;
pub mod stream;
pub mod ticket;
