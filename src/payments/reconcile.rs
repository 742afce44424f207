//! The cron's part: what webhooks should have told and did not.
//!
//! Each run asks for a bounded number of things. Top-ups that are still pending are asked for one by one; beside
//! them one page of each of Stripe's lists is read, from the newest back to [`REACH_S`], page by page from run to
//! run, so that what D1 has lost, or never had, is found as well.

use serde::de::DeserializeOwned;
use worker::console_error;

use super::books::Books;
use super::charge;
use super::form::Form;
use super::meaning::{TOPUP_ID, TopUp};
use super::stripe::Stripe;
use super::wire::{Dispute, Identified, List, PaymentIntent, Refund, Session};
use crate::context::Context;
use crate::d1;

/// How many pending top-ups one run asks for.
const BATCH: u32 = 20;

/// How long a pending top-up is left alone after it was asked for, at least, in milliseconds.
const PAUSE_MS: i64 = 300_000;

/// How far back lists are read, in seconds: as long as Stripe tries to deliver a webhook, and a day.
const REACH_S: i64 = 4 * 86_400;

/// How many objects one page has: the most that Stripe gives.
const PAGE: u32 = 100;

/// How many objects of a page are entered again in one run.
const MOST_ENTERED: usize = 20;

/// Asks for everything whose turn it is. What fails is logged, and asked for again by a later run.
///
/// # Errors
/// What D1 said.
pub async fn run(context: &Context) -> worker::Result<()> {
    let Some(payments) = &context.config.payments else { return Ok(()) };
    let books = Books::new(context, Stripe(payments));
    due(&books).await?;
    pending(&books).await?;
    sessions(&books).await?;
    refunds(&books).await?;
    disputes(&books).await
}

/// Accounts that have an automatic payment to be looked after: one to charge, or one of which the answer was lost. A
/// row only says where to look: the account decides whether anything is charged.
async fn due(books: &Books<'_>) -> worker::Result<()> {
    let context = books.context;
    let db = context.env.d1(d1::BINDING)?;
    for account_id in d1::topups::due_auto(&db, BATCH).await? {
        if let Some(routing_id) = crate::ids::routing_id(&account_id) {
            context.due_top_ups.add(routing_id);
        }
        d1::topups::done_auto(&db, &account_id).await?;
    }
    charge::charge_due(context).await;
    Ok(())
}

async fn pending(books: &Books<'_>) -> worker::Result<()> {
    let db = books.context.env.d1(d1::BINDING)?;
    for topup in d1::topups::due(&db, books.context.started_ms, PAUSE_MS, BATCH).await? {
        let told = match (&topup.session_id, &topup.payment_intent) {
            (Some(session), _) => {
                let query = Form::default().with("expand[0]", "payment_intent");
                match books.stripe.get::<Session>(&format!("/v1/checkout/sessions/{session}"), &query).await {
                    Ok(session) => books.session(&session, None).await.map(drop),
                    Err(error) => Err(error.into()),
                }
            }
            (None, Some(intent)) => {
                match books
                    .stripe
                    .get::<PaymentIntent>(&format!("/v1/payment_intents/{intent}"), &Form::default())
                    .await
                {
                    Ok(intent) => books.intent(&intent).await.map(drop),
                    Err(error) => Err(error.into()),
                }
            }
            (None, None) => Ok(()),
        };
        if let Err(error) = told {
            console_error!("{}: it is still pending: {error}", topup.id);
        }
    }
    Ok(())
}

/// One page of sessions: those are entered that are paid and not known as such.
async fn sessions(books: &Books<'_>) -> worker::Result<()> {
    let query = Form::default().with("status", "complete");
    let Some(page) = page::<Session>(books, "sessions", "/v1/checkout/sessions", query).await? else { return Ok(()) };
    let paid: Vec<(&str, &str)> = page
        .iter()
        .filter(|session| session.payment_status == "paid")
        .filter(|session| matches!(TopUp::of_session(session, None), Ok(Some(_))))
        .filter_map(|session| Some((session.id.as_str(), session.metadata.as_ref()?.get(TOPUP_ID)?.as_str())))
        .collect();
    if paid.is_empty() {
        return Ok(());
    }
    let unpaid = d1::topups::unpaid(&books.context.env.d1(d1::BINDING)?, &paid).await?;
    for session in page.iter().filter(|session| unpaid.contains(&session.id)).take(MOST_ENTERED) {
        if let Err(error) = books.session(session, None).await {
            console_error!("{}: it is not entered: {error}", session.id);
        }
    }
    Ok(())
}

async fn refunds(books: &Books<'_>) -> worker::Result<()> {
    let Some(page) = page::<Refund>(books, "refunds", "/v1/refunds", Form::default()).await? else { return Ok(()) };
    let known = d1::topups::known_returns(&books.context.env.d1(d1::BINDING)?, &ids(&page)).await?;
    let is_news = |refund: &&Refund| {
        let undone = matches!(refund.status.as_deref(), Some("failed" | "canceled"));
        !known.iter().any(|(id, known_undone)| *id == refund.id && *known_undone >= undone)
    };
    for refund in page.iter().filter(is_news).take(MOST_ENTERED) {
        if let Err(error) = books.refund(refund).await {
            console_error!("{}: it is not entered: {error}", refund.id);
        }
    }
    Ok(())
}

async fn disputes(books: &Books<'_>) -> worker::Result<()> {
    let Some(page) = page::<Dispute>(books, "disputes", "/v1/disputes", Form::default()).await? else { return Ok(()) };
    let known = d1::topups::known_returns(&books.context.env.d1(d1::BINDING)?, &ids(&page)).await?;
    let is_news = |dispute: &&Dispute| {
        let undone = dispute.status == "won";
        !known.iter().any(|(id, known_undone)| *id == dispute.id && *known_undone >= undone)
    };
    for dispute in page.iter().filter(is_news).take(MOST_ENTERED) {
        if let Err(error) = books.dispute(dispute, None).await {
            console_error!("{}: it is not entered: {error}", dispute.id);
        }
    }
    Ok(())
}

fn ids<T: Identified>(page: &[T]) -> Vec<&str> {
    page.iter().map(Identified::id).collect()
}

/// The next page of a list; `None`: Stripe did not give it.
async fn page<T: DeserializeOwned + Identified>(
    books: &Books<'_>,
    list: &str,
    path: &str,
    query: Form,
) -> worker::Result<Option<Vec<T>>> {
    let db = books.context.env.d1(d1::BINDING)?;
    let since_s = books.context.started_ms.div_euclid(1_000).saturating_sub(REACH_S);
    let mut query = query.with("limit", PAGE).with("created[gte]", since_s);
    let after = d1::topups::walk(&db, list).await?;
    if let Some(after) = &after {
        query = query.with("starting_after", after);
    }
    let page = match books.stripe.get::<List<T>>(path, &query).await {
        Ok(page) => page,
        Err(error) => {
            console_error!("stripe: {list} could not be listed: {error}");
            // The object that it stands at may be gone.
            if after.is_some() {
                d1::topups::walked(&db, list, "").await?;
            }
            return Ok(None);
        }
    };
    let next = page.data.last().filter(|_| page.has_more).map_or("", Identified::id);
    if next != after.as_deref().unwrap_or("") {
        d1::topups::walked(&db, list, next).await?;
    }
    Ok(Some(page.data))
}
