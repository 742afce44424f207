//! Money in: top-ups by Stripe Checkout, their refunds and disputes.
//!
//! The one rule: money moves by what Stripe says, in a signed event or when it is asked, never by what a client
//! says; and each movement is an entry of the account's journal under an id that is Stripe's own, so it happens
//! once. [`meaning`] decides purely what must be there, [`books`] sees to it.

pub mod auto;
pub mod books;
pub mod charge;
pub mod checkout;
pub mod config;
pub mod form;
pub mod meaning;
pub mod reconcile;
pub mod signature;
pub mod stripe;
pub mod topups;
pub mod webhook;
pub mod wire;

use crate::context::Context;
use crate::error::{ApiError, Code};
use config::Payments;

/// The settings of payments, where there are any.
///
/// # Errors
/// `invalid_request` with 404.
pub fn settings(context: &Context) -> Result<&Payments, ApiError> {
    let closed = || ApiError::new(Code::InvalidRequest, "This gateway takes no payments.").with_status(404);
    context.config.payments.as_ref().ok_or_else(closed)
}
