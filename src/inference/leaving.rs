//! Whether the client of a request has left. The platform learns it from a write: the first one behind the
//! leaving still succeeds, and fires the request's signal; only the second fails.

use std::cell::Cell;
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::Shared;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::AbortSignal;
use worker::Request;

/// A client's leaving, heard from the moment that this is made.
#[derive(Clone)]
pub struct Leaving(Rc<Ear>);

/// Most clients never leave, so nothing here may wait for it in JavaScript: a promise that is never settled keeps
/// whoever waits for it.
struct Ear {
    signal: AbortSignal,
    left: Shared<oneshot::Receiver<()>>,
    _on_abort: Closure<dyn FnMut()>,
}

impl Leaving {
    /// Of the client of a request.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        let signal = request.inner().signal();
        let (tell, left) = oneshot::channel();
        // A sender that is taken out whole cannot be found half used.
        let tell = AssertUnwindSafe(Cell::new(Some(tell)));
        let on_abort = Closure::new(move || {
            let tell = &tell;
            let _ = tell.take().map(|tell| tell.send(()));
        });
        signal.set_onabort(Some(on_abort.as_ref().unchecked_ref()));
        Self(Rc::new(Ear { signal, left: left.shared(), _on_abort: on_abort }))
    }

    /// Ends when the client leaves. One that left before is found by the next write.
    pub async fn heard(&self) {
        if self.0.left.clone().await.is_err() {
            pending().await
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.signal.set_onabort(None);
    }
}
