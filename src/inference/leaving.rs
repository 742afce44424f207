//! Whether the client of a request has left. The platform learns it from a write: the first one behind the
//! leaving still succeeds, and fires the request's signal; only the second fails.

use js_sys::Promise;
use js_sys::futures::JsFuture;
use worker::Request;

/// A client's leaving, heard from the moment that this is made.
#[derive(Debug, Clone)]
pub struct Leaving(Promise);

impl Leaving {
    /// Of the client of a request.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        let signal = request.inner().signal();
        Self(Promise::new(&mut |resolve, _| signal.set_onabort(Some(&resolve))))
    }

    /// Ends when the client leaves. One that left before is found by the next write.
    pub async fn heard(&self) {
        let _ = JsFuture::from(self.0.clone()).await;
    }
}
