//! How the response of a request leaves it: through a channel, once. Most leave when their handler is done; a
//! stream whose upstream has answered and is silent leaves before.

use std::cell::Cell;
use std::rc::Rc;

use futures::channel::oneshot;
use worker::Response;

/// The way out for one response.
#[derive(Clone)]
pub struct HandOver(Rc<Cell<Option<Sender>>>);

type Sender = oneshot::Sender<worker::Result<Response>>;

impl HandOver {
    /// Through this channel.
    #[must_use]
    pub fn new(sender: Sender) -> Self {
        Self(Rc::new(Cell::new(Some(sender))))
    }

    /// Hands the response over, unless one has left already.
    pub fn give(&self, response: worker::Result<Response>) {
        if let Some(sender) = self.0.take() {
            // The receiver is gone when the client is; the rest runs all the same.
            let _ = sender.send(response);
        }
    }
}
