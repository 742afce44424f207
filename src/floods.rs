//! Floods of requests that are refused for their key.
//!
//! The one rule: only what was refused with 401 is counted, so nobody who has a living key is ever
//! limited here. Counted is the key where it is truly tagged, for it may belong to an account that a
//! flood would keep awake, and the client's address otherwise. The platform's rate limiter counts for
//! all isolates of a place; what it says is remembered for a while, and spares the account, the limiter
//! and the body of the next request.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;

use worker::Headers;

use crate::context::Context;
use crate::error::{ApiError, Code};
use crate::{auth, clock};

/// The rate limiter of `wrangler.toml`, which has the limit; without it there is none.
const LIMITER_BINDING: &str = "REFUSALS";

/// How long the limiter's word counts, in seconds: a fraction of its period, so that who stops is soon
/// answered as before.
const BLOCK_S: u64 = 10;
/// How many are remembered; then it begins anew. With their keys this is a megabyte.
const MOST: usize = 10_000;

/// Who is answered 429 instead of 401, and until when, in milliseconds since the epoch.
#[derive(Debug, Default)]
struct Blocked(BTreeMap<String, i64>);

thread_local! {
    static BLOCKED: RefCell<Blocked> = RefCell::default();
}

/// Whether the key with this digest floods, so that its account need not be asked.
#[must_use]
pub fn is_blocked(digest: &str, now_ms: i64) -> bool {
    BLOCKED.with_borrow(|blocked| blocked.contains(&key_source(digest), now_ms))
}

/// Counts a request that was refused with 401. What is to be answered instead where it is one of a flood.
pub async fn note(headers: &Headers, context: &Context) -> Option<ApiError> {
    let source = source(headers, context)?;
    let now_ms = clock::now_ms();
    if BLOCKED.with_borrow(|blocked| blocked.contains(&source, now_ms)) {
        return Some(too_many());
    }
    let limiter = context.env.rate_limiter(LIMITER_BINDING).ok()?;
    match limiter.limit(source.clone()).await {
        Ok(outcome) if outcome.success => None,
        Ok(_) => {
            BLOCKED.with_borrow_mut(|blocked| blocked.insert(source, now_ms));
            Some(too_many())
        }
        Err(error) => {
            worker::console_error!("{LIMITER_BINDING}: {error}");
            None
        }
    }
}

fn too_many() -> ApiError {
    let sentence = "Too many requests without a valid API key. Wait before the next one.";
    ApiError { retry_after_s: Some(BLOCK_S), ..ApiError::new(Code::RateLimitExceeded, sentence) }
}

/// What a request is counted under; `None` where nothing is known of its sender.
fn source(headers: &Headers, context: &Context) -> Option<String> {
    if let Ok(Some(key)) = auth::tagged_key(headers, context) {
        return Some(key_source(&key.digest));
    }
    let address = headers.get("cf-connecting-ip").ok()??;
    Some(address_source(address.parse().ok()?))
}

fn key_source(digest: &str) -> String {
    format!("key:{digest}")
}

/// A customer of an access provider has 2^64 addresses of version 6, so their network counts.
#[must_use]
pub fn address_source(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => format!("address:{address}"),
        IpAddr::V6(address) => format!("network:{:x}", address.to_bits() >> 64),
    }
}

impl Blocked {
    fn contains(&self, source: &str, now_ms: i64) -> bool {
        self.0.get(source).is_some_and(|until_ms| now_ms < *until_ms)
    }

    fn insert(&mut self, source: String, now_ms: i64) {
        if self.0.len() >= MOST {
            self.0.clear();
        }
        let block_ms = i64::try_from(BLOCK_S.saturating_mul(1_000)).unwrap_or(i64::MAX);
        self.0.insert(source, now_ms.saturating_add(block_ms));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_blocked_is_so_for_ten_seconds() {
        let mut blocked = Blocked::default();
        blocked.insert("a".into(), 1_000);
        assert!(blocked.contains("a", 10_999) && !blocked.contains("a", 11_000) && !blocked.contains("b", 1_000));
        (0..=MOST).for_each(|n| blocked.insert(n.to_string(), 1_000));
        assert!(blocked.0.len() <= MOST);
    }

    #[test]
    fn addresses_of_one_customer_are_one_source() {
        let source = |text: &str| address_source(text.parse().unwrap());
        assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:2:ffff::9"));
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
    }
}
