//! An admitted request, which must be resolved exactly once: settled or released. When neither
//! happens, because the machine is gone, its hold expires in the account.

use std::cell::Cell;
use std::rc::Rc;

use account::client::AccountClient;
use billing::hold::HoldRequest;
pub use billing::ledger::Bill;
use billing::ledger::{Answer, Command, Outcome, Settle, SettledBy};
use billing::money::NanoUsd;
use billing::price::Price;
use billing::reported::{Bounds, Measured, Reported};
use billing::running::{Next, Running};
use billing::usage::Usage;
use dialect::tokens::Figures;
use dialect::visible::measured;
use futures::future::{Either, select};

use worker::Env;

use crate::config::Config;
use crate::context::Context;
use crate::d1::undelivered::Undelivered;
use crate::payments::charge::DueTopUps;
use crate::upstream::within;
use crate::{clock, d1, seal};

/// When a running request first says that it lives, in milliseconds from its dispatch.
const FIRST_CHECKPOINT_MS: u64 = 10_000;
/// How often it does afterwards, in milliseconds. Holds live 90 s from one to the next.
const CHECKPOINT_MS: u64 = 60_000;

/// How long a settle that the account did not take waits before it is written down, in milliseconds.
const SETTLE_PATIENCE_MS: u64 = 20_000;

/// What a provider may count at most when a stream begins, in tokens.
const FIRST_COUNT_TOKENS: u64 = 8;

/// A reservation in an account.
pub struct Ticket {
    client: AccountClient,
    env: Env,
    config: Rc<Config>,
    request_id: String,
    terms: Terms,
    /// What is known of the running answer.
    seen: Cell<Seen>,
    /// Output tokens of all choices together that the hold covers; `None`: output costs nothing, or there
    /// is none.
    covered: Cell<Option<u64>>,
    /// Collects the automatic top-up that the account may name when the hold settles.
    due_top_ups: DueTopUps,
}

/// What a request is billed by.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// The price that the hold has pinned.
    pub price: Price,
    /// What the hold was asked for.
    pub hold: HoldRequest,
    /// What the input is likely to be, in tokens, for answers whose provider does not count.
    pub likely_input: u64,
    /// The most input that the request can have, or the model can take, in tokens.
    pub most_input: u64,
    /// How many answers are produced.
    pub choices: u64,
    /// The most output tokens of each of them: the limit that the upstream was told, or keeps to by itself.
    pub most_output: u64,
    /// What may be billed as output beyond that in each of them: predictions that the model does not take over.
    pub predicted: u64,
    /// Whether the model may reason out of sight.
    pub hides: bool,
    /// How fast the model works out of sight, in tokens a second: where it reasons, and until a whole answer is
    /// there; `None`: all is seen as it is made.
    pub hidden_tokens_per_s: Option<u64>,
    /// Whether a part was marked for the one-hour cache. Most dialects count all cache writes as one, so
    /// where one of them may be of the dear kind, all are taken for it.
    pub one_hour_marks: bool,
    /// When the request came, in milliseconds since the epoch.
    pub started_ms: i64,
}

/// What is known of an answer while it runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// What the provider has reported.
    pub reported: Option<Reported>,
    /// What was seen of the output of all choices, in tokens.
    pub visible: Figures,
    /// As much of that as the client was handed, in tokens.
    pub delivered: Figures,
    /// Whether the provider's count tells cache writes for an hour from those for five minutes.
    pub tells_cache_writes: bool,
}

/// What a request was charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charged {
    /// As much of the bill as the balance covered.
    pub cost: NanoUsd,
    /// What is left.
    pub balance: NanoUsd,
}

/// Whether a stream that was counted so has produced nothing. Anthropic's streams begin with a report of a few
/// output tokens before anything was produced.
#[must_use]
pub fn is_nothing(reported: Option<Reported>, visible: Figures) -> bool {
    visible.estimate == 0 && reported.is_none_or(|reported| reported.usage.output <= FIRST_COUNT_TOKENS)
}

impl Ticket {
    /// A request that `client`'s account has admitted, with so much output for each choice.
    #[must_use]
    pub fn new(client: AccountClient, context: &Context, terms: Terms, granted: Option<u64>) -> Self {
        let covered = granted.map(|each| each.saturating_mul(terms.choices));
        Self {
            client,
            env: context.env.clone(),
            config: Rc::clone(&context.config),
            request_id: context.request_id.clone(),
            terms,
            seen: Cell::default(),
            covered: Cell::new(covered),
            due_top_ups: context.due_top_ups.clone(),
        }
    }

    /// The request's id.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// Notes what is known by now; the next checkpoint says it.
    pub fn note(&self, seen: Seen) {
        self.seen.set(seen);
    }

    /// What an answer that came to its end costs.
    #[must_use]
    pub fn bill(&self) -> Bill {
        let (usage, by) = self.measured().usage(self.reported());
        self.priced(usage, by)
    }

    /// What a stream costs that did not come to its end.
    #[must_use]
    pub fn bill_of_cut(&self) -> Bill {
        let (usage, by) = self.measured().usage_of_cut(self.reported());
        self.priced(usage, by)
    }

    /// What the provider has reported. A dialect that counts all cache writes as one reports dear ones as cheap, so
    /// where the request may have caused a dear one, all of them are taken for that.
    fn reported(&self) -> Option<Reported> {
        let Seen { reported, tells_cache_writes, .. } = self.seen.get();
        let mut reported = reported?;
        if self.terms.one_hour_marks && !tells_cache_writes {
            let usage = &mut reported.usage;
            usage.cache_write_1h = usage.cache_write_1h.saturating_add(usage.cache_write_5m);
            usage.cache_write_5m = 0;
        }
        Some(reported)
    }

    /// What the Worker knows of the answer without its provider.
    fn measured(&self) -> Measured {
        let Seen { visible, delivered, .. } = self.seen.get();
        let each = self.terms.most_output.saturating_add(self.terms.predicted);
        let bounds = Bounds {
            likely_input: self.terms.likely_input,
            most_input: self.terms.most_input,
            most_output: each.saturating_mul(self.terms.choices),
            hides: self.terms.hides,
        };
        measured(&bounds, visible, delivered)
    }

    /// What a request costs whose client left before its usage was known. A model may have reasoned out
    /// of sight all the time, so leaving early is never cheaper than staying.
    #[must_use]
    pub fn bill_of_abandoned(&self, now_ms: i64) -> Bill {
        let bill = self.bill_of_cut();
        let Some(per_s) = self.terms.hidden_tokens_per_s.filter(|_| bill.settled_by != SettledBy::Upstream) else {
            return bill;
        };
        let elapsed_ms = now_ms.saturating_sub(self.terms.started_ms).unsigned_abs();
        let hidden = elapsed_ms.saturating_mul(per_s).div_ceil(1_000);
        let output = bill.usage.output.saturating_add(hidden).min(self.covered.get().unwrap_or(u64::MAX));
        let output = output.max(bill.usage.output);
        let usage = Usage { output, reasoning: output.saturating_sub(bill.usage.output), ..bill.usage };
        self.priced(usage, SettledBy::Estimate)
    }

    fn priced(&self, usage: Usage, settled_by: SettledBy) -> Bill {
        Bill::new(&self.terms.price, &usage, settled_by, self.held())
    }

    /// What the account has reserved, as far as it has told.
    fn held(&self) -> NanoUsd {
        let each = self.covered.get().map_or(0, |covered| covered.checked_div(self.terms.choices).unwrap_or(covered));
        self.terms.hold.amount(each).unwrap_or(self.terms.hold.fixed)
    }

    /// What is done with the running stream, by what was seen of it.
    #[must_use]
    pub fn next(&self) -> Next {
        let visible = self.seen.get().visible;
        let limit = self.terms.most_output.saturating_mul(self.terms.choices);
        Running { least: visible.lower, likely: visible.estimate, covered: self.covered.get(), limit }.next()
    }

    /// The output tokens of all choices together that the hold covers; `None`: output costs nothing, or
    /// there is none.
    #[must_use]
    pub fn covered(&self) -> Option<u64> {
        self.covered.get()
    }

    /// Asks for a hold that covers `more` output tokens in every choice beyond what it covers now.
    pub async fn grow(&self, upstream: &str, more: u64) {
        let Some(covered) = self.covered.get() else { return };
        let each = covered.checked_div(self.terms.choices).unwrap_or(covered);
        let answer =
            self.tell(self.checkpoint(upstream, Some(each.saturating_add(more).min(self.terms.most_output)))).await;
        if let Some(Answer::Checkpointed { granted_output: Some(each) }) = answer {
            self.covered.set(Some(each.saturating_mul(self.terms.choices)));
        }
    }

    fn checkpoint(&self, upstream: &str, grow_to: Option<u64>) -> Command {
        Command::Checkpoint {
            request_id: self.request_id.clone(),
            usage: self.bill_of_abandoned(clock::now_ms()).usage,
            upstream: upstream.to_owned(),
            grow_to,
        }
    }

    /// Whether nothing was produced.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Seen { reported, visible, .. } = self.seen.get();
        is_nothing(reported, visible)
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
            self.tell(self.checkpoint(upstream, None)).await;
        }
    }

    /// Charges the bill, and answers with what came of it where the account answered. The money is
    /// moved once, however often this is tried; a settle that the account does not take is written down
    /// and sent again by the cron.
    /// `dropped` is what the answer lost on its way to the client.
    pub async fn settle(&self, bill: Bill, outcome: Outcome, upstream: &str, dropped: String) -> Option<Charged> {
        let command = Command::Settle(Settle {
            request_id: self.request_id.clone(),
            usage: bill.usage,
            settled_by: bill.settled_by,
            outcome,
            upstream: upstream.to_owned(),
            dropped,
        });
        match self.tell(command.clone()).await {
            Some(Answer::Settled { balance, uncollected, .. }) => {
                Some(Charged { cost: bill.cost.minus(uncollected).unwrap_or(bill.cost), balance })
            }
            _ => {
                self.write_down(&command).await;
                None
            }
        }
    }

    async fn write_down(&self, command: &Command) {
        let written = async {
            let (request_id, routing_id) = (self.request_id.clone(), self.client.routing_id().to_owned());
            let command = serde_json::to_string(command)?;
            let mac = seal::seal(&self.config.peppers, &request_id, &routing_id, &command);
            let waiting = Undelivered { request_id, routing_id, command, mac };
            d1::undelivered::insert(&self.env.d1(d1::BINDING)?, &waiting, clock::now_ms()).await
        };
        match within(SETTLE_PATIENCE_MS, written).await {
            Some(Ok(())) => worker::console_error!("{}: its settle waits for the cron", self.request_id),
            Some(Err(error)) => {
                worker::console_error!("{}: its settle is lost, its hold will expire: {error}", self.request_id);
            }
            None => worker::console_error!("{}: its settle is lost, its hold will expire", self.request_id),
        }
    }

    /// Frees the hold: nothing was produced.
    pub async fn release(&self, outcome: Outcome, upstream: Option<String>) {
        self.tell(Command::Release { request_id: self.request_id.clone(), outcome, upstream }).await;
    }

    async fn tell(&self, command: Command) -> Option<Answer> {
        match self.client.call(command).await {
            Ok(Ok(answer)) => {
                self.due_top_ups.note(self.client.routing_id(), &answer);
                if let Answer::Settled { uncollected, .. } = answer
                    && uncollected > NanoUsd::ZERO
                {
                    worker::console_warn!("{}: ${uncollected} could not be collected", self.request_id);
                }
                Some(answer)
            }
            Ok(Err(refusal)) => {
                worker::console_error!("{}: the account refused: {refusal}", self.request_id);
                None
            }
            Err(error) => {
                worker::console_error!("{}: {error}", self.request_id);
                None
            }
        }
    }
}
