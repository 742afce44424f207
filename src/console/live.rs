//! `GET /console/api/live`: balance and requests as they come, as server-sent events.
//!
//! The one rule: a viewer asks the account at most once in two seconds, and not for long. Whoever looks on after
//! that connects again, with `last-event-id` where no request is to be missed.

use std::collections::VecDeque;

use account::tail::{MAX_ROWS, Reading, Rows, Tail};
use billing::ledger::Permission;
use dialect::sse::write_named;
use futures::future::{Either, select};
use serde::Serialize;
use worker::{Headers, Request, Response};

use super::balance::BalanceView;
use super::caller::Caller;
use super::page::ErrorView;
use super::recent;
use super::usage::UsageView;
use crate::clock;
use crate::context::Context;
use crate::error::ApiError;
use crate::inference::leaving::Leaving;
use crate::inference::pipeline::Served;
use crate::inference::stream::Sink;
use crate::upstream::within;

/// How long a stream lasts, in milliseconds: five minutes. So long may a key that has ended look on.
const LASTS_MS: i64 = 300_000;
/// How long to wait after a reading that brought nothing, by how many such there were before: the account is kept
/// awake for nobody's sake. Milliseconds.
const WAITS_MS: [(usize, u64); 3] = [(5, 2_000), (15, 5_000), (usize::MAX, 10_000)];
/// How long a client may read nothing, in milliseconds.
const WRITE_MS: u64 = 60_000;

/// Streams `event: balance`, with what `GET /console/api/balance` shows, at once and on each change, and
/// `event: request`, with a row of `GET /console/api/usage`, for each request that has been charged. It ends
/// after five minutes; whoever wants more connects again.
///
/// # Errors
/// `invalid_api_key`.
#[utoipa::path(get, path = "/console/api/live", tag = "account", operation_id = "live",
    responses((status = 200, body = String, content_type = "text/event-stream"), (status = "default", body = ErrorView)))]
pub async fn get(request: &Request, context: &Context) -> Result<Served, ApiError> {
    let leaving = Leaving::of(request);
    let caller = Caller::new(request.headers(), Permission::AccountRead, context).await?;
    let reading = Reading { rows: Rows::Waiting { before: None }, limit: 0, names: false };
    let first = recent::read(&caller, reading).await?;
    let last_seen = request.headers().get("last-event-id")?.and_then(|id| id.parse().ok());
    let seq = begin(last_seen, first.seq);
    let (sink, readable) = Sink::new().map_err(worker::Error::from)?;
    let ends_ms = context.started_ms.saturating_add(LASTS_MS);
    let rest = Box::pin(async move {
        // A client that is gone, or an account that does not answer: both end it, and the client may come again.
        let _ = tell(&caller, &sink, &leaving, first, seq, ends_ms).await;
        let _ = within(WRITE_MS, sink.close()).await;
    });
    let headers = Headers::new();
    headers.set("content-type", "text/event-stream; charset=utf-8")?;
    Ok(Served { response: Response::builder().with_headers(headers).stream(readable), rest: Some(rest) })
}

/// Behind which row requests are told of: what a client missed while it connected again, unless that is long.
fn begin(last_seen: Option<u64>, seq: u64) -> u64 {
    last_seen.filter(|last| *last <= seq && seq.saturating_sub(*last) <= MAX_ROWS).unwrap_or(seq)
}

/// It cannot go on.
struct Ended;

async fn tell(
    caller: &Caller,
    sink: &Sink,
    leaving: &Leaving,
    first: Tail,
    seq: u64,
    ends_ms: i64,
) -> Result<(), Ended> {
    let mut seq = seq;
    let mut idle: usize = 0;
    let mut shown = BalanceView::new(&first, clock::now_ms());
    put(sink, &event("balance", None, &shown)).await?;
    // The first rows are those that were missed.
    let mut waits: VecDeque<u64> = [0].into();
    while clock::now_ms() < ends_ms {
        let wait_ms = waits.pop_front().unwrap_or_else(|| wait_ms(idle));
        if let Either::Right(_) =
            select(std::pin::pin!(clock::sleep_ms(wait_ms)), std::pin::pin!(leaving.heard())).await
        {
            return Err(Ended);
        }
        let reading = Reading { rows: Rows::After { seq }, limit: MAX_ROWS, names: true };
        let tail = recent::read(caller, reading).await.map_err(|_| Ended)?;
        let money = BalanceView::new(&tail, clock::now_ms());
        let mut events = Vec::new();
        if !same(&money, &shown) {
            events.extend(event("balance", None, &money));
            shown = money;
        }
        for row in UsageView::of_tail(&tail) {
            events.extend(event("request", Some(row.seq), &row));
        }
        seq = tail.entries.last().map_or(seq, |entry| entry.seq);
        idle = if events.is_empty() { idle.saturating_add(1) } else { 0 };
        if events.is_empty() {
            // Finds a client that has left, and keeps proxies from cutting what is silent.
            events.extend_from_slice(b": keep-alive\n\n");
        }
        put(sink, &events).await?;
    }
    Ok(())
}

fn wait_ms(idle: usize) -> u64 {
    WAITS_MS.iter().find(|(before, _)| idle < *before).map_or(10_000, |(_, ms)| *ms)
}

/// Whether the money is the same; that the time is another one is no news.
fn same(a: &BalanceView, b: &BalanceView) -> bool {
    BalanceView { as_of: String::new(), ..a.clone() } == BalanceView { as_of: String::new(), ..b.clone() }
}

fn event<T: Serialize>(name: &str, id: Option<u64>, value: &T) -> Vec<u8> {
    let mut bytes = id.map(|id| format!("id: {id}\n").into_bytes()).unwrap_or_default();
    write_named(&mut bytes, name, &serde_json::to_string(value).unwrap_or_default());
    bytes
}

async fn put(sink: &Sink, bytes: &[u8]) -> Result<(), Ended> {
    match within(WRITE_MS, sink.write(bytes)).await {
        Some(Ok(())) => Ok(()),
        _ => Err(Ended),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_looks_on_while_nothing_happens_asks_less_and_less() {
        let waits: Vec<u64> = [0, 4, 5, 14, 15, 1_000].map(wait_ms).into();
        assert_eq!(waits, [2_000, 2_000, 5_000, 5_000, 10_000, 10_000]);
    }

    #[test]
    fn a_viewer_that_returns_goes_on_where_it_was_unless_that_is_long_ago() {
        for (last_seen, expected) in [(None, 900), (Some(890), 890), (Some(900), 900), (Some(1), 900), (Some(901), 900)]
        {
            assert_eq!(begin(last_seen, 900), expected, "{last_seen:?}");
        }
    }
}
