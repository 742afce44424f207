//! Fetching the project's keys.
//!
//! A request that waits for another's fetch looks at what the isolate knows now and then: workerd lets no request
//! await what belongs to another.

use std::cell::RefCell;
use std::rc::Rc;

use worker::{Headers, Method, Request, RequestInit, RequestRedirect};

use super::cache::{Cache, FETCH_MS, Next, max_age_s};
use super::jwks::KeySet;
use crate::clock;
use crate::config::Sessions;
use crate::error::{ApiError, Code};
use crate::fetch::fetch;

/// How much of an answer is read, in bytes: dozens of keys.
const MAX_BYTES: usize = 64 << 10;
/// How often a request that waits looks, in milliseconds.
const LOOK_MS: u64 = 20;

thread_local! {
    /// Public keys of the one project that the environment names.
    static CACHE: RefCell<Cache> = RefCell::default();
}

/// Keys among which `key_id` is, if the project has it.
///
/// # Errors
/// `internal_error` with 503 when they cannot be had.
pub async fn keys(key_id: &str, sessions: &Sessions) -> Result<Rc<KeySet>, ApiError> {
    loop {
        match CACHE.with_borrow_mut(|cache| cache.next(key_id, clock::now_ms())) {
            Next::Use(keys) => return Ok(keys),
            Next::Fetch => match ask(&sessions.jwks_url()).await {
                Ok((keys, max_age_s)) => {
                    CACHE.with_borrow_mut(|cache| cache.fetched(keys, max_age_s, clock::now_ms()));
                }
                Err(problem) => {
                    worker::console_error!("sessions: the keys of the project could not be fetched: {problem}");
                    CACHE.with_borrow_mut(Cache::failed);
                }
            },
            Next::Wait => clock::sleep_ms(LOOK_MS).await,
            Next::Unavailable => {
                let sentence = "Sign-in cannot be checked right now. Please try again.";
                return Err(ApiError {
                    retry_after_s: Some(FETCH_MS.div_ceil(1_000)),
                    ..ApiError::new(Code::InternalError, sentence).with_status(503)
                });
            }
        }
    }
}

/// The set, and how long it is fresh, in seconds, where the answer says so.
async fn ask(url: &str) -> worker::Result<(KeySet, Option<i64>)> {
    let headers = Headers::new();
    headers.set("accept", "application/json")?;
    let mut init = RequestInit::new();
    // A redirect would let somebody else say who our customers are.
    init.with_method(Method::Get).with_headers(headers).with_redirect(RequestRedirect::Manual);
    let request = Request::new_with_init(url, &init)?;
    let answer = fetch(request, FETCH_MS, MAX_BYTES).await?;
    if answer.status != 200 {
        return Err(format!("status {}", answer.status).into());
    }
    let age_s = answer.headers.get("cache-control")?.as_deref().and_then(max_age_s);
    Ok((KeySet::parse(&answer.text).ok_or("the answer is no set of keys")?, age_s))
}
