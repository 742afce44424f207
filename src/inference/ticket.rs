//! An admitted request, which must be resolved exactly once: settled or released. When neither
//! happens, because the machine is gone, its hold expires in the account.

use std::cell::Cell;

use account::client::AccountClient;
use billing::ledger::{Answer, Command, Outcome, Settle, SettledBy};
use billing::money::NanoUsd;
use billing::price::Price;
use billing::usage::Usage;
use futures::future::{Either, select};

use crate::clock;

/// When a running request first says that it lives, in milliseconds from its dispatch.
const FIRST_CHECKPOINT_MS: u64 = 10_000;
/// How often it does afterwards, in milliseconds. Holds live 90 s from one to the next.
const CHECKPOINT_MS: u64 = 60_000;

/// A reservation in an account.
pub struct Ticket {
    client: AccountClient,
    request_id: String,
    price: Price,
    /// What the input is likely to be, in tokens, for answers whose provider does not count.
    likely_input: u64,
    /// What is known of the running answer.
    seen: Cell<Seen>,
}

/// What is known of an answer while it runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// The provider's count, as far as it has reported one.
    pub usage: Option<Usage>,
    /// An estimate of what was produced, in tokens.
    pub visible_output: u64,
}

/// The bill of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bill {
    /// What was used.
    pub usage: Usage,
    /// Who counted it.
    pub settled_by: SettledBy,
    /// What it costs at the pinned price.
    pub cost: NanoUsd,
}

impl Ticket {
    /// A request that `client`'s account has admitted.
    #[must_use]
    pub fn new(client: AccountClient, request_id: String, price: Price, likely_input: u64) -> Self {
        Self { client, request_id, price, likely_input, seen: Cell::default() }
    }

    /// Notes what is known by now; the next checkpoint says it.
    pub fn note(&self, seen: Seen) {
        self.seen.set(seen);
    }

    /// What the request costs by what is known now.
    #[must_use]
    pub fn bill(&self) -> Bill {
        let Seen { usage, visible_output } = self.seen.get();
        let (usage, settled_by) = match usage {
            Some(usage) => (usage, SettledBy::Upstream),
            None => {
                let usage = Usage { input: self.likely_input, output: visible_output, ..Usage::default() };
                (usage, SettledBy::Estimate)
            }
        };
        Bill { usage, settled_by, cost: self.price.cost(&usage).unwrap_or_default() }
    }

    /// Whether nothing was reported and nothing was seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.get() == Seen::default()
    }

    /// Runs `work` while the account hears of it from time to time.
    pub async fn alive_during<T>(&self, upstream: &str, work: impl Future<Output = T>) -> T {
        match select(std::pin::pin!(work), std::pin::pin!(self.checkpoints(upstream))).await {
            Either::Left((value, _)) => value,
            Either::Right((never, _)) => match never {},
        }
    }

    async fn checkpoints(&self, upstream: &str) -> std::convert::Infallible {
        let mut wait_ms = FIRST_CHECKPOINT_MS;
        loop {
            clock::sleep_ms(wait_ms).await;
            wait_ms = CHECKPOINT_MS;
            let command = Command::Checkpoint {
                request_id: self.request_id.clone(),
                usage: self.bill().usage,
                upstream: upstream.to_owned(),
            };
            self.tell(command).await;
        }
    }

    /// Charges the bill. The money is moved once, however often this is tried.
    pub async fn settle(&self, bill: Bill, outcome: Outcome, upstream: &str) {
        self.tell(Command::Settle(Settle {
            request_id: self.request_id.clone(),
            usage: bill.usage,
            settled_by: bill.settled_by,
            outcome,
            upstream: upstream.to_owned(),
        }))
        .await;
    }

    /// Frees the hold: nothing was produced.
    pub async fn release(&self, outcome: Outcome, upstream: Option<String>) {
        self.tell(Command::Release { request_id: self.request_id.clone(), outcome, upstream }).await;
    }

    async fn tell(&self, command: Command) {
        match self.client.call(command).await {
            Ok(Ok(Answer::Settled { uncollected, .. })) if uncollected > NanoUsd::ZERO => {
                worker::console_warn!("{}: ${uncollected} could not be collected", self.request_id);
            }
            Ok(Ok(_)) => {}
            Ok(Err(refusal)) => worker::console_error!("{}: the account refused: {refusal}", self.request_id),
            Err(error) => worker::console_error!("{}: the hold is left to expire: {error}", self.request_id),
        }
    }
}
