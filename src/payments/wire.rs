//! What Stripe says, as far as it matters here: version [`VERSION`] of its API. What is not named is passed over.
//! Amounts are in the smallest unit of their currency, times in seconds since the epoch.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

/// Sent with each request, so that an account that Stripe moves to a later version answers as before.
pub const VERSION: &str = "2026-10-28.endive";

/// An object, or its id alone where it was not asked for in full.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Linked<T> {
    /// Its id.
    Id(String),
    /// The object.
    Object(Box<T>),
}

/// An event: something happened to `data.object`, which is as it was then.
#[derive(Debug, Deserialize)]
pub struct Event<'a> {
    /// `evt_…`
    pub id: String,
    /// As `checkout.session.completed`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether real money moved.
    pub livemode: bool,
    /// What it happened to.
    #[serde(borrow)]
    pub data: EventData<'a>,
}

/// What an event happened to.
#[derive(Debug, Deserialize)]
pub struct EventData<'a> {
    /// Of the type that the event's name begins with.
    #[serde(borrow)]
    pub object: &'a RawValue,
}

/// A Checkout session.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Session {
    /// `cs_…`
    pub id: String,
    /// `open`, `complete` or `expired`.
    pub status: Option<String>,
    /// `paid`, `unpaid` or `no_payment_required`.
    pub payment_status: String,
    /// What is paid, in cents.
    pub amount_total: Option<u64>,
    /// Lower-case ISO 4217.
    pub currency: Option<String>,
    /// What pays it.
    #[serde(default)]
    pub payment_intent: Option<Linked<PaymentIntent>>,
    /// Whose saved method it may become.
    #[serde(default)]
    pub customer: Option<Linked<Object>>,
    /// What we wrote on it.
    #[serde(default)]
    pub metadata: Option<BTreeMap<String, String>>,
    /// When it was made.
    pub created: i64,
    /// The page to pay at, while it is open.
    #[serde(default)]
    pub url: Option<String>,
}

/// A payment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PaymentIntent {
    /// `pi_…`
    pub id: String,
    /// `succeeded`, `processing`, `requires_payment_method` …
    pub status: String,
    /// What is to be paid, in cents.
    pub amount: u64,
    /// What was paid, in cents.
    #[serde(default)]
    pub amount_received: u64,
    /// Lower-case ISO 4217.
    pub currency: String,
    /// What we wrote on it.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// Who pays.
    #[serde(default)]
    pub customer: Option<Linked<Object>>,
    /// With what.
    #[serde(default)]
    pub payment_method: Option<Linked<PaymentMethod>>,
    /// What it became.
    #[serde(default)]
    pub latest_charge: Option<Linked<Charge>>,
    /// Why the last attempt failed.
    #[serde(default)]
    pub last_payment_error: Option<ErrorBody>,
    /// When it was made.
    pub created: i64,
}

/// Anything of which the id is enough.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Object {
    /// Its id.
    pub id: String,
}

/// A charge.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Charge {
    /// `ch_…`
    pub id: String,
    /// Stripe's page with the receipt.
    #[serde(default)]
    pub receipt_url: Option<String>,
}

/// A way to pay.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PaymentMethod {
    /// `pm_…`
    pub id: String,
    /// `card`, `us_bank_account` …
    #[serde(rename = "type")]
    pub kind: String,
    /// What of a card may be shown.
    #[serde(default)]
    pub card: Option<Card>,
    /// When it was entered.
    pub created: i64,
}

/// What of a card may be shown.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Card {
    /// As `visa`.
    pub brand: String,
    /// Its last four digits.
    pub last4: String,
}

/// Money that goes back.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Refund {
    /// `re_…`
    pub id: String,
    /// How much, in cents.
    pub amount: u64,
    /// Lower-case ISO 4217.
    pub currency: String,
    /// Of which payment.
    #[serde(default)]
    pub payment_intent: Option<Linked<PaymentIntent>>,
    /// `pending`, `requires_action`, `succeeded`, `failed` or `canceled`.
    pub status: Option<String>,
}

/// A payment that the card's owner disputes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Dispute {
    /// `dp_…` or `du_…`
    pub id: String,
    /// How much of it, in cents.
    pub amount: u64,
    /// Lower-case ISO 4217.
    pub currency: String,
    /// Which payment.
    #[serde(default)]
    pub payment_intent: Option<Linked<PaymentIntent>>,
    /// `needs_response`, `under_review`, `won`, `lost`, `warning_…`, `prevented`.
    pub status: String,
}

/// A page of a list.
#[derive(Debug, Deserialize)]
pub struct List<T> {
    /// The newest first.
    pub data: Vec<T>,
    /// Whether there is another page.
    pub has_more: bool,
}

/// What is wrong. Its message is for the operator's account alone and is not read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ErrorBody {
    /// As `card_error`.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// As `card_declined`.
    #[serde(default)]
    pub code: Option<String>,
    /// As `insufficient_funds`.
    #[serde(default)]
    pub decline_code: Option<String>,
}

/// How an error travels.
#[derive(Debug, Default, Deserialize)]
pub struct ErrorEnvelope {
    /// What is wrong.
    pub error: ErrorBody,
}

/// What has an id.
pub trait Identified {
    /// It.
    fn id(&self) -> &str;
}

macro_rules! identified {
    ($($name:ty),*) => {
        $(impl Identified for $name {
            fn id(&self) -> &str {
                &self.id
            }
        })*
    };
}

identified!(Session, PaymentIntent, Object, Charge, PaymentMethod, Refund, Dispute);

impl<T: Identified> Linked<T> {
    /// The id, in either case.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Id(id) => id,
            Self::Object(object) => object.id(),
        }
    }

    /// The object, where it was asked for.
    #[must_use]
    pub fn object(&self) -> Option<&T> {
        match self {
            Self::Id(_) => None,
            Self::Object(object) => Some(object),
        }
    }
}
