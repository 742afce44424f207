//! Charges the automatic top-ups that accounts ask for.
//!
//! The one rule: the account has the last word immediately before each charge, and what Stripe may have charged is
//! looked up and never simply asked for again. So one charge is one question to the account
//! ([`Command::ChargeAttempt`]) and one call of Stripe under the attempt's id. When that call has no answer, Stripe is
//! asked whether it has the payment; only when it does not, the account decides again. Nobody waits for this: it runs
//! after the response.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use account::client::AccountClient;
use billing::ledger::{Answer, Attempt, Command, Refusal, Shortage, Step, StopReason};
use worker::console_error;

use super::books::{Books, Failed};
use super::form::Form;
use super::meaning::{ACCOUNT_ID, KIND, Kind, Status, TOPUP_ID, TopUp, cents};
use super::stripe::{Stripe, StripeError};
use super::wire::{Identified, List, PaymentIntent};
use crate::context::Context;
use crate::{clock, ids};

/// How often one run asks the account. Two charges, of which each is looked up, fit.
const ROUNDS: u32 = 4;

/// How many pages of a customer's payments are looked through for one. The one that is looked for is among those since
/// its attempt began.
const PAGES: u32 = 10;

/// How long an account is not asked again after a request was refused for want of balance, in milliseconds.
const SHORTAGE_PAUSE_MS: i64 = 60_000;

/// How many accounts are remembered to have been asked; then the memory begins anew.
const MOST_SHORTAGES: usize = 10_000;

thread_local! {
    static SHORTAGES: RefCell<Shortages> = RefCell::default();
}

/// When each account was last asked because a request of it was refused: by its routing id, in milliseconds since the
/// epoch.
#[derive(Debug, Default)]
struct Shortages(BTreeMap<String, i64>);

impl Shortages {
    /// Whether the account is to be asked at `now_ms`; notes that it is.
    fn is_due(&mut self, routing_id: &str, now_ms: i64) -> bool {
        let asked_ms = self.0.get(routing_id).copied();
        if asked_ms.is_some_and(|asked_ms| now_ms.saturating_sub(asked_ms) < SHORTAGE_PAUSE_MS) {
            return false;
        }
        if self.0.len() >= MOST_SHORTAGES {
            self.0.clear();
        }
        self.0.insert(routing_id.to_owned(), now_ms);
        true
    }
}

/// Accounts that have named an automatic top-up while a request or a cron ran, by their routing ids. They are looked
/// after at its end.
#[derive(Clone, Default)]
pub struct DueTopUps(Rc<RefCell<BTreeSet<String>>>);

impl DueTopUps {
    /// Notes what the account with this routing id answered.
    pub fn note(&self, routing_id: &str, answer: &Answer) {
        let waits = match answer {
            Answer::Settled { top_up, top_up_waits, .. } | Answer::AutoTopUp { top_up, top_up_waits, .. } => {
                *top_up_waits || top_up.is_some()
            }
            _ => false,
        };
        if waits {
            self.add(routing_id);
        }
    }

    /// Notes a refusal of an admit. An account whose balance is too low begins no top-up by itself where a debt took
    /// the last one, a refund took the balance, or a new month made room in the cap: no request settles there. So the
    /// refused request has the account look again, once a minute.
    pub fn note_refusal(&self, routing_id: &str, refusal: &Refusal, now_ms: i64) {
        let is_short = matches!(refusal, Refusal::InsufficientCredit { reason: Shortage::Balance, .. });
        if is_short && SHORTAGES.with_borrow_mut(|shortages| shortages.is_due(routing_id, now_ms)) {
            self.add(routing_id);
        }
    }

    /// Notes that the account with this routing id has a top-up to be looked after.
    pub fn add(&self, routing_id: &str) {
        self.0.borrow_mut().insert(routing_id.to_owned());
    }
}

/// Looks after what was noted. What fails is logged, and named by its account again.
pub async fn charge_due(context: &Context) {
    let due = context.due_top_ups.0.take();
    // Without payments nobody could have saved a method.
    let Some(payments) = context.config.payments.as_ref().filter(|_| !due.is_empty()) else { return };
    let books = Books::new(context, Stripe(payments));
    for routing_id in due {
        if let Err(error) = look_after(&books, &routing_id).await {
            console_error!("{}: its automatic top-up is not settled yet: {error}", ids::account_id(&routing_id));
        }
    }
}

/// Brings the attempt in flight of one account as far as it comes now.
async fn look_after(books: &Books<'_>, routing_id: &str) -> Result<(), Failed> {
    let account = books.context.account(routing_id)?;
    let mut command = Command::ChargeAttempt;
    for _ in 0..ROUNDS {
        let (step, waits) = ask(&account, command).await?;
        command = match step {
            Step::Charge(attempt) => match charge(books, routing_id, &attempt).await {
                Err(Failed::Stripe(StripeError::NoAnswer | StripeError::Busy(_))) => {
                    if look_up(books, &attempt).await? {
                        return Ok(());
                    }
                    Command::AttemptNotFound { attempt_id: attempt.id }
                }
                done => return done,
            },
            Step::LookUp(attempt) => {
                if look_up(books, &attempt).await? {
                    return Ok(());
                }
                Command::AttemptNotFound { attempt_id: attempt.id }
            }
            Step::Leave if waits => Command::ChargeAttempt,
            Step::Leave => return Ok(()),
        };
    }
    Ok(())
}

/// What the account wants done, and whether it has begun another attempt.
async fn ask(account: &AccountClient, command: Command) -> Result<(Step, bool), Failed> {
    match account.call(command).await? {
        Ok(Answer::AutoTopUp { auto, top_up, top_up_waits }) => {
            Ok((Step::of(top_up.as_deref(), auto.attempt.as_ref(), clock::now_ms()), top_up_waits))
        }
        Ok(_) => Ok((Step::Leave, false)),
        Err(refusal) => Err(Failed::Refused(refusal)),
    }
}

/// Asks Stripe for the money, once.
async fn charge(books: &Books<'_>, routing_id: &str, attempt: &Attempt) -> Result<(), Failed> {
    let account_id = ids::account_id(routing_id);
    // What may be set is whole cents.
    let cents = cents(attempt.amount).unwrap_or_default();
    let form = Form::default()
        .with("amount", cents)
        .with("currency", "usd")
        .with("customer", &attempt.customer)
        .with("payment_method", &attempt.method)
        .with("off_session", "true")
        .with("confirm", "true")
        // Nobody is there to be sent to another page.
        .with("automatic_payment_methods[enabled]", "true")
        .with("automatic_payment_methods[allow_redirects]", "never")
        .with("description", "One Interface credit, automatic top-up")
        .with(&format!("metadata[{ACCOUNT_ID}]"), &account_id)
        .with(&format!("metadata[{TOPUP_ID}]"), &attempt.id)
        .with(&format!("metadata[{KIND}]"), Kind::Auto.text())
        .with("expand[0]", "latest_charge");
    let reason = match books.stripe.post_once::<PaymentIntent>("/v1/payment_intents", &form, &attempt.id).await {
        Ok(intent) => return books.intent(&intent).await.map(drop),
        Err(StripeError::Declined(error)) => stop_reason(error.code.as_deref()),
        Err(StripeError::Missing | StripeError::Refused { status: 400, .. }) => StopReason::MethodUnusable,
        Err(error) => return Err(error.into()),
    };
    let refused = TopUp {
        id: attempt.id.clone(),
        account_id,
        kind: Kind::Auto,
        cents,
        status: Status::Failed,
        session: None,
        intent: None,
        saves_method: false,
        created_at_ms: attempt.began_at_ms,
    };
    books.refused(&refused, reason).await
}

/// Enters the payment of an attempt as Stripe has it; whether it has one.
async fn look_up(books: &Books<'_>, attempt: &Attempt) -> Result<bool, Failed> {
    match charged_before(books, attempt).await? {
        Some(intent) => books.intent(&intent).await.map(|_| true),
        None => Ok(false),
    }
}

/// The payment of an attempt of which the answer was lost.
async fn charged_before(books: &Books<'_>, attempt: &Attempt) -> Result<Option<PaymentIntent>, StripeError> {
    let since_s = attempt.began_at_ms.div_euclid(1_000).saturating_sub(60);
    let query = || Form::default().with("customer", &attempt.customer).with("limit", 100).with("created[gte]", since_s);
    let mut next = query();
    for _ in 0..PAGES {
        let page: List<PaymentIntent> = match books.stripe.get("/v1/payment_intents", &next).await {
            // The customer is gone at Stripe: nothing more can be charged to it, and nothing is found under it.
            Err(StripeError::Missing) => return Ok(None),
            page => page?,
        };
        let last = page.data.last().filter(|_| page.has_more).map(|intent| intent.id().to_owned());
        let is_it = |intent: &PaymentIntent| intent.metadata.get(TOPUP_ID) == Some(&attempt.id);
        if let Some(found) = page.data.into_iter().find(is_it) {
            return Ok(Some(found));
        }
        let Some(last) = last else { return Ok(None) };
        next = query().with("starting_after", &last);
    }
    // Not all of them were seen, so nothing is known.
    Err(StripeError::NoAnswer)
}

/// Why a payment was refused, by the code of the refusal.
#[must_use]
pub fn stop_reason(code: Option<&str>) -> StopReason {
    match code {
        Some("authentication_required") => StopReason::AuthenticationRequired,
        _ => StopReason::Declined,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_that_is_short_is_asked_once_a_minute() {
        let mut shortages = Shortages::default();
        let asked = [("a", 0), ("a", 59_999), ("b", 1), ("a", 60_000), ("a", 60_001)]
            .map(|(routing_id, now_ms)| shortages.is_due(routing_id, now_ms));
        assert_eq!(asked, [true, false, true, true, false]);
    }

    #[test]
    fn the_memory_of_shortages_ends() {
        let mut shortages = Shortages::default();
        for account in 0..=MOST_SHORTAGES {
            assert!(shortages.is_due(&account.to_string(), 0));
        }
        assert_eq!(shortages.0.len(), 1);
    }
}
