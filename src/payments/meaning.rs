//! What an object of Stripe means for an account: a top-up and how it stands, or money that goes back.
//!
//! The one rule: each object is read as it stands, whatever event brought it, and whatever an earlier state of
//! it must have left in the journal is named with it. So events may come twice, late and in any order: the same
//! entries are there in the end. What is paid, and in which currency, is what Stripe says.

use std::collections::BTreeMap;

use billing::ledger::{Enter, EntryKind};
use billing::money::NanoUsd;

use super::wire::{Dispute, PaymentIntent, Refund, Session};
use crate::ids;

/// The one currency of accounts.
const CURRENCY: &str = "usd";

/// A cent, in nano-USD.
const NANO_PER_CENT: i64 = 10_000_000;

/// Metadata on sessions and payment intents: whose top-up it is, …
pub const ACCOUNT_ID: &str = "account_id";
/// … its id, …
pub const TOPUP_ID: &str = "topup_id";
/// … [`Kind`] of it, …
pub const KIND: &str = "kind";
/// … and whether its method is to be kept for later ones.
pub const SAVE_METHOD: &str = "save_method";

/// How a top-up came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Somebody paid at Stripe's page.
    Checkout,
    /// The account asked for it by itself.
    Auto,
}

impl Kind {
    /// As it stands in metadata, in D1 and in answers.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Checkout => "checkout",
            Self::Auto => "auto",
        }
    }
}

/// How a top-up stands, apart from what was paid back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Not paid yet.
    Pending,
    /// Paid.
    Paid,
    /// It will not be paid: declined.
    Failed,
    /// It will not be paid: nobody did in time.
    Expired,
}

impl Status {
    /// As it stands in D1.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Paid => "paid",
            Self::Failed => "failed",
            Self::Expired => "expired",
        }
    }
}

/// A top-up as Stripe knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopUp {
    /// Ours.
    pub id: String,
    /// Whose.
    pub account_id: String,
    /// How it came to be.
    pub kind: Kind,
    /// How much, in cents.
    pub cents: u64,
    /// How it stands.
    pub status: Status,
    /// `cs_…`, of one that was paid at Stripe's page.
    pub session: Option<String>,
    /// `pi_…`, once there is one.
    pub intent: Option<String>,
    /// Whether its method is to be kept.
    pub saves_method: bool,
    /// When it was made, in milliseconds since the epoch.
    pub created_at_ms: i64,
}

/// Money of a top-up that goes back, or comes back after that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Return {
    /// `re_…`, `dp_…`
    pub id: String,
    /// [`EntryKind::Refund`] or [`EntryKind::Dispute`].
    pub kind: EntryKind,
    /// Of which payment.
    pub intent: String,
    /// How much, in cents.
    pub cents: u64,
    /// It came back: the refund failed, the dispute was won.
    pub undone: bool,
    /// What the journal must have, in order.
    pub entries: Vec<Enter>,
}

/// Why an object of ours cannot be entered. An operator has to look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Odd {
    /// Accounts are in USD.
    #[error("its currency is not usd")]
    Currency,
    /// No amount, or more than money can express.
    #[error("its amount cannot be entered")]
    Amount,
}

impl TopUp {
    /// The top-up of a session, of which an event named `event` tells, or none where it was asked for;
    /// `None`: it is no top-up of ours.
    ///
    /// # Errors
    /// [`Odd`], for one that is paid.
    pub fn of_session(session: &Session, event: Option<&str>) -> Result<Option<Self>, Odd> {
        let none = BTreeMap::new();
        let metadata = session.metadata.as_ref().unwrap_or(&none);
        let Some((id, account_id)) = ours(metadata) else { return Ok(None) };
        let status = match (session.payment_status.as_str(), session.status.as_deref(), event) {
            ("paid", ..) => Status::Paid,
            (_, Some("expired"), _) | (.., Some("checkout.session.expired")) => Status::Expired,
            (.., Some("checkout.session.async_payment_failed")) => Status::Failed,
            // The payment of one that is complete may still be on its way, unless it has ended.
            (_, Some("complete"), _) if session.intent_has_failed() => Status::Failed,
            _ => Status::Pending,
        };
        if status == Status::Paid && session.currency.as_deref() != Some(CURRENCY) {
            return Err(Odd::Currency);
        }
        Ok(Some(Self {
            id,
            account_id,
            kind: Kind::Checkout,
            cents: session.amount_total.ok_or(Odd::Amount)?,
            status,
            session: Some(session.id.clone()),
            intent: session.payment_intent.as_ref().map(|intent| intent.id().to_owned()),
            saves_method: metadata.contains_key(SAVE_METHOD),
            created_at_ms: session.created.saturating_mul(1_000),
        }))
    }

    /// The automatic top-up of a payment intent; `None`: it is none of ours. Those of sessions are told by
    /// their sessions.
    ///
    /// # Errors
    /// [`Odd`], for one that is paid.
    pub fn of_intent(intent: &PaymentIntent) -> Result<Option<Self>, Odd> {
        let Some((id, account_id)) = ours(&intent.metadata) else { return Ok(None) };
        if intent.metadata.get(KIND).map(String::as_str) != Some(Kind::Auto.text()) {
            return Ok(None);
        }
        let status = match intent.status.as_str() {
            "succeeded" => Status::Paid,
            // An off-session payment is tried once: nobody is there to give another card, or to confirm.
            "requires_payment_method" | "requires_action" | "canceled" => Status::Failed,
            _ => Status::Pending,
        };
        if status == Status::Paid && intent.currency != CURRENCY {
            return Err(Odd::Currency);
        }
        Ok(Some(Self {
            id,
            account_id,
            kind: Kind::Auto,
            cents: if status == Status::Paid { intent.amount_received } else { intent.amount },
            status,
            session: None,
            intent: Some(intent.id.clone()),
            saves_method: false,
            created_at_ms: intent.created.saturating_mul(1_000),
        }))
    }

    /// The entry that it must have left; `None`: it is not paid.
    ///
    /// # Errors
    /// [`Odd::Amount`].
    pub fn credit(&self) -> Result<Option<Enter>, Odd> {
        if self.status != Status::Paid {
            return Ok(None);
        }
        let id = match (self.kind, &self.session) {
            (Kind::Checkout, Some(session)) => format!("checkout:{session}"),
            _ => format!("auto:{}", self.id),
        };
        Ok(Some(Enter { id, kind: EntryKind::Credit, amount: nano(self.cents)? }))
    }
}

impl Session {
    fn intent_has_failed(&self) -> bool {
        let intent = self.payment_intent.as_ref().and_then(|intent| intent.object());
        intent.is_some_and(|intent| matches!(intent.status.as_str(), "requires_payment_method" | "canceled"))
    }
}

impl Return {
    /// What a refund takes; `None`: not of a payment intent, so none of ours.
    ///
    /// # Errors
    /// [`Odd`].
    pub fn of_refund(refund: &Refund) -> Result<Option<Self>, Odd> {
        let Some(intent) = &refund.payment_intent else { return Ok(None) };
        let undone = matches!(refund.status.as_deref(), Some("failed" | "canceled"));
        let entries = entries(&refund.id, EntryKind::Refund, refund.amount, &refund.currency, undone)?;
        let (id, intent) = (refund.id.clone(), intent.id().to_owned());
        Ok(Some(Self { id, kind: EntryKind::Refund, intent, cents: refund.amount, undone, entries }))
    }

    /// What a dispute takes, of which an event named `event` tells; `None`: nothing was taken. An inquiry
    /// (`warning_…`) takes nothing, nor does a dispute that was prevented.
    ///
    /// # Errors
    /// [`Odd`].
    pub fn of_dispute(dispute: &Dispute, event: Option<&str>) -> Result<Option<Self>, Odd> {
        let Some(intent) = &dispute.payment_intent else { return Ok(None) };
        let undone = dispute.status == "won" || event == Some("charge.dispute.funds_reinstated");
        let harmless = dispute.status.starts_with("warning_") || dispute.status == "prevented";
        if harmless && !undone && event != Some("charge.dispute.funds_withdrawn") {
            return Ok(None);
        }
        let entries = entries(&dispute.id, EntryKind::Dispute, dispute.amount, &dispute.currency, undone)?;
        let (id, intent) = (dispute.id.clone(), intent.id().to_owned());
        Ok(Some(Self { id, kind: EntryKind::Dispute, intent, cents: dispute.amount, undone, entries }))
    }
}

fn entries(id: &str, kind: EntryKind, cents: u64, currency: &str, undone: bool) -> Result<Vec<Enter>, Odd> {
    if currency != CURRENCY {
        return Err(Odd::Currency);
    }
    let amount = nano(cents)?;
    let (name, back) = match kind {
        EntryKind::Dispute => ("dispute", "won"),
        _ => ("refund", "reversed"),
    };
    let mut entries = vec![Enter { id: format!("{name}:{id}"), kind, amount: amount.negated() }];
    if undone {
        entries.push(Enter { id: format!("{name}:{id}:{back}"), kind, amount });
    }
    Ok(entries)
}

/// The top-up's id and its account's, where the metadata are ours.
fn ours(metadata: &BTreeMap<String, String>) -> Option<(String, String)> {
    let account_id = metadata.get(ACCOUNT_ID).filter(|id| ids::routing_id(id).is_some())?;
    Some((metadata.get(TOPUP_ID)?.clone(), account_id.clone()))
}

/// The account that a payment's metadata names, where they are ours.
#[must_use]
pub fn account_of(intent: &PaymentIntent) -> Option<String> {
    ours(&intent.metadata).map(|(_, account_id)| account_id)
}

fn nano(cents: u64) -> Result<NanoUsd, Odd> {
    let nano = i64::try_from(cents).ok().and_then(|cents| cents.checked_mul(NANO_PER_CENT)).ok_or(Odd::Amount)?;
    NanoUsd::new(nano).map_err(|_| Odd::Amount)
}

/// Cents as decimal USD.
#[must_use]
pub fn usd(cents: u64) -> String {
    nano(cents).unwrap_or_default().to_string()
}

/// An amount as whole cents; `None`: it has a part of one.
#[must_use]
pub fn cents(amount: NanoUsd) -> Option<u64> {
    let whole = amount.nano().checked_rem(NANO_PER_CENT)? == 0;
    amount.nano().checked_div(NANO_PER_CENT).filter(|_| whole).and_then(|cents| u64::try_from(cents).ok())
}

#[cfg(test)]
mod tests;
