//! Brings accounts and D1 to where Stripe says that they are: for a webhook, and for the cron.
//!
//! The account first: what it has taken is durable, and everything here may be done again.

use account::client::CallError;
use billing::ledger::{Command, Enter, Refusal, SavedMethod, StopReason};
use worker::{D1Database, console_error, console_warn};

use super::charge::stop_reason;
use super::form::Form;
use super::meaning::{Kind, Odd, Return, Status, TopUp, account_of};
use super::stripe::{Stripe, StripeError};
use super::wire::{Charge, Dispute, PaymentIntent, Refund, Session};
use crate::context::Context;
use crate::{d1, ids};

/// Why it must be tried again.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The account did not take it.
    #[error("account: {0}")]
    Account(#[from] CallError),
    /// It refused what it cannot refuse for long.
    #[error("account: it refused: {0}")]
    Refused(Refusal),
    /// Stripe had to be asked.
    #[error("stripe: {0}")]
    Stripe(#[from] StripeError),
    /// D1, or the platform.
    #[error("{0}")]
    Platform(#[from] worker::Error),
}

/// The accounts and D1, and Stripe to ask what is missing.
pub struct Books<'a> {
    /// The platform.
    pub context: &'a Context,
    /// Stripe.
    pub stripe: Stripe<'a>,
}

/// What became of something that Stripe told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It stands in the account and in D1.
    Entered,
    /// It is none of ours.
    NotOurs,
    /// It is ours and cannot be entered: an operator has to look at it, and telling it again changes nothing.
    Odd,
}

impl<'a> Books<'a> {
    /// The books of `context`, kept by what `stripe` says.
    #[must_use]
    pub fn new(context: &'a Context, stripe: Stripe<'a>) -> Self {
        Self { context, stripe }
    }

    fn db(&self) -> worker::Result<D1Database> {
        self.context.env.d1(d1::BINDING)
    }

    /// A session as it stands, of which an event named `event` tells, or none.
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn session(&self, session: &Session, event: Option<&str>) -> Result<Done, Failed> {
        match TopUp::of_session(session, event) {
            Ok(Some(topup)) => self.topup(&topup, None).await,
            Ok(None) => Ok(Done::NotOurs),
            Err(odd) => Ok(told(&session.id, odd)),
        }
    }

    /// An automatic payment as it stands.
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn intent(&self, intent: &PaymentIntent) -> Result<Done, Failed> {
        match TopUp::of_intent(intent) {
            Ok(Some(topup)) => self.topup(&topup, Some(intent)).await,
            Ok(None) => Ok(Done::NotOurs),
            Err(odd) => Ok(told(&intent.id, odd)),
        }
    }

    async fn topup(&self, topup: &TopUp, intent: Option<&PaymentIntent>) -> Result<Done, Failed> {
        let name = topup.session.as_deref().or(topup.intent.as_deref()).unwrap_or(&topup.id);
        let credit = match topup.credit() {
            Ok(credit) => credit,
            Err(odd) => return Ok(told(name, odd)),
        };
        if let Some(credit) = credit
            && self.enter(&topup.account_id, credit).await? == Done::NotOurs
        {
            return Ok(Done::NotOurs);
        }
        let receipt_url = match intent {
            Some(intent) if (topup.kind, topup.status) == (Kind::Auto, Status::Failed) => {
                let error = intent.last_payment_error.as_ref();
                self.stop(topup, stop_reason(error.and_then(|error| error.code.as_deref()))).await?;
                None
            }
            Some(intent) => self.receipt(intent).await,
            None => self.paid(topup).await?,
        };
        d1::topups::upsert(&self.db()?, topup, receipt_url.as_deref()).await?;
        Ok(Done::Entered)
    }

    /// An automatic top-up that Stripe refused, for this reason.
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn refused(&self, topup: &TopUp, reason: StopReason) -> Result<(), Failed> {
        self.stop(topup, reason).await?;
        Ok(d1::topups::upsert(&self.db()?, topup, None).await?)
    }

    async fn stop(&self, topup: &TopUp, reason: StopReason) -> Result<(), Failed> {
        self.tell(&topup.account_id, Command::StopTopUp { attempt_id: topup.id.clone(), reason }).await
    }

    /// What is to be known of a payment at Stripe's page: where its receipt is, and the method that is to be kept.
    async fn paid(&self, topup: &TopUp) -> Result<Option<String>, Failed> {
        let Some(intent) = topup.intent.as_deref().filter(|_| topup.status == Status::Paid) else { return Ok(None) };
        let intent = match self.ask_intent(intent).await {
            Ok(intent) => intent,
            Err(error) if topup.saves_method => return Err(error.into()),
            Err(error) => {
                // The money is there; the receipt is Stripe's to send, too.
                console_warn!("{}: its receipt is not known: {error}", topup.id);
                return Ok(None);
            }
        };
        if topup.saves_method
            && let Some(method) = saved_method(&intent)
        {
            self.tell(&topup.account_id, Command::SaveMethod(method)).await?;
        }
        Ok(receipt_of(&intent))
    }

    /// Tells an account what changes none of its money.
    async fn tell(&self, account_id: &str, command: Command) -> Result<(), Failed> {
        let Some(routing_id) = ids::routing_id(account_id) else { return Ok(()) };
        match self.context.account(routing_id)?.call(command).await? {
            Ok(answer) => {
                self.context.due_top_ups.note(routing_id, &answer);
                Ok(())
            }
            Err(Refusal::NoAccount) => Ok(()),
            Err(other) => Err(Failed::Refused(other)),
        }
    }

    async fn receipt(&self, intent: &PaymentIntent) -> Option<String> {
        if let Some(url) = receipt_of(intent) {
            return Some(url);
        }
        let charge = intent.latest_charge.as_ref()?;
        let charge: Charge = self.stripe.get(&format!("/v1/charges/{}", charge.id()), &Form::default()).await.ok()?;
        charge.receipt_url
    }

    async fn ask_intent(&self, id: &str) -> Result<PaymentIntent, StripeError> {
        let query = Form::default().with("expand[0]", "latest_charge").with("expand[1]", "payment_method");
        self.stripe.get(&format!("/v1/payment_intents/{id}"), &query).await
    }

    /// A refund as it stands.
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn refund(&self, refund: &Refund) -> Result<Done, Failed> {
        match Return::of_refund(refund) {
            Ok(Some(given)) => self.given(&given).await,
            Ok(None) => Ok(Done::NotOurs),
            Err(odd) => Ok(told(&refund.id, odd)),
        }
    }

    /// A dispute as it stands, of which an event named `event` tells, or none.
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn dispute(&self, dispute: &Dispute, event: Option<&str>) -> Result<Done, Failed> {
        match Return::of_dispute(dispute, event) {
            Ok(Some(given)) => self.given(&given).await,
            Ok(None) => Ok(Done::NotOurs),
            Err(odd) => Ok(told(&dispute.id, odd)),
        }
    }

    async fn given(&self, given: &Return) -> Result<Done, Failed> {
        let Some(account_id) = self.payer(&given.intent).await? else { return Ok(Done::NotOurs) };
        for enter in &given.entries {
            if self.enter(&account_id, enter.clone()).await? == Done::NotOurs {
                return Ok(Done::NotOurs);
            }
        }
        d1::topups::upsert_return(&self.db()?, given).await?;
        Ok(Done::Entered)
    }

    /// Whose payment it was. Refunds and disputes do not say it, so Stripe is asked for what the Worker wrote on the
    /// payment. D1 has it too, but D1 is a copy: a row there must not decide whose money goes back.
    async fn payer(&self, intent: &str) -> Result<Option<String>, Failed> {
        match self.ask_intent(intent).await {
            Ok(intent) => Ok(account_of(&intent)),
            Err(StripeError::Missing) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn enter(&self, account_id: &str, enter: Enter) -> Result<Done, Failed> {
        let id = enter.id.clone();
        let Some(routing_id) = ids::routing_id(account_id) else { return Ok(Done::NotOurs) };
        match self.context.account(routing_id)?.call(Command::Enter(enter)).await? {
            Ok(_) => Ok(Done::Entered),
            Err(Refusal::NoAccount) => {
                console_error!("{id}: there is no account {account_id}");
                Ok(Done::NotOurs)
            }
            Err(Refusal::Conflict) => {
                console_error!("{id}: {account_id} has it with another amount, which stays");
                Ok(Done::Entered)
            }
            Err(other) => Err(Failed::Refused(other)),
        }
    }
}

fn receipt_of(intent: &PaymentIntent) -> Option<String> {
    intent.latest_charge.as_ref()?.object()?.receipt_url.clone()
}

/// The method of a payment, where its owner agreed to have it kept.
fn saved_method(intent: &PaymentIntent) -> Option<SavedMethod> {
    let (customer, method) = (intent.customer.as_ref()?, intent.payment_method.as_ref()?.object()?);
    let (brand, last4) = method.card.as_ref().map_or((method.kind.as_str(), ""), |card| (&card.brand, &card.last4));
    Some(SavedMethod {
        customer: customer.id().to_owned(),
        method: method.id.clone(),
        brand: brand.to_owned(),
        last4: last4.to_owned(),
        created_at_ms: method.created.saturating_mul(1_000),
    })
}

fn told(id: &str, odd: Odd) -> Done {
    console_error!("{id}: it is for an account and cannot be entered: {odd}");
    Done::Odd
}
