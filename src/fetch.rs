//! Asking a service that we use (sign-in, payments) over HTTP, for an answer of a bounded size. What serves models
//! has a way of its own, `upstream`.

use worker::{AbortController, Fetch, Headers, Request};

use crate::clock::within;
use crate::inference::stream::Source;

/// An answer that was read to its end.
pub struct Fetched {
    /// Its status, whichever that is.
    pub status: u16,
    /// Its headers.
    pub headers: Headers,
    /// Its body; empty where there is none.
    pub text: String,
}

/// Sends `request` and reads the answer, of at most `most_bytes`, within `deadline_ms`. An exchange that is late is
/// ended.
///
/// # Errors
/// No connection, or one that broke; an answer that is late, too large or no text.
pub async fn fetch(request: Request, deadline_ms: u64, most_bytes: usize) -> worker::Result<Fetched> {
    let abort = AbortController::default();
    let signal = abort.signal();
    let exchange = async {
        let response = Fetch::Request(request).send_with_signal(&signal).await?;
        let text = match Source::new(response.body()) {
            Some(source) => source.text(most_bytes, |_| true).await.map_err(|error| error.to_string())?,
            None => String::new(),
        };
        Ok(Fetched { status: response.status_code(), headers: response.headers().clone(), text })
    };
    within(deadline_ms, exchange).await.unwrap_or_else(|| {
        abort.abort();
        Err(format!("no answer within {deadline_ms} ms").into())
    })
}
