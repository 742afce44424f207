//! What a request costs: one answer for the account that charges it and for the Worker that tells it.

use super::command::SettledBy;
use crate::money::NanoUsd;
use crate::price::Price;
use crate::usage::Usage;

/// The bill of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bill {
    /// What was used, no count above [`crate::usage::MAX_COUNT`].
    pub usage: Usage,
    /// Who counted it.
    pub settled_by: SettledBy,
    /// What it costs at the pinned price. The account takes it as far as the balance goes.
    pub cost: NanoUsd,
}

impl Bill {
    /// The bill for `usage` at `price`, of a request that `held` is reserved for.
    ///
    /// A usage whose cost money cannot express (beyond 2^53 − 1 nano-USD) is no count of anything. It is
    /// neither free nor worth a balance: the request costs what was held, its bound, and the bill says that
    /// this is an estimate, whoever counted.
    #[must_use]
    pub fn new(price: &Price, usage: &Usage, settled_by: SettledBy, held: NanoUsd) -> Self {
        let usage = usage.bounded();
        match price.cost(&usage) {
            Ok(cost) => Self { usage, settled_by, cost },
            Err(_) => Self { usage, settled_by: SettledBy::Estimate, cost: held },
        }
    }
}
