//! Panics. None is expected; the build unwinds, so that one that comes anyway ends the request or the
//! command that it happens in, and not the instance with all that runs there beside it.
//!
//! The one rule: what a panic says may be a customer's words (a slice of a string quotes the string), so
//! it is never let out. The log has where it happened.

use std::any::Any;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::pin::pin;
use std::sync::Once;
use std::task::Poll;

use worker::console_error;

/// There was a panic, and the log says where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a panic")]
pub struct Panicked;

/// Runs `work` up to its end, or to its first panic. What it shares with others has to bear that it
/// stops anywhere.
///
/// # Errors
/// [`Panicked`]; all that `work` owned is dropped by then.
pub async fn caught<T>(work: impl Future<Output = T>) -> Result<T, Panicked> {
    // Here and not at the start, where the `worker` crate sets a hook of its own, which logs all.
    static HOOK: Once = Once::new();
    HOOK.call_once(|| std::panic::set_hook(Box::new(log_place)));
    let mut work = pin!(work);
    std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
        Ok(poll) => poll.map(Ok),
        Err(_) => Poll::Ready(Err(Panicked)),
    })
    .await
}

fn log_place(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    console_error!("panicked at {place}: {}", words(info.payload()));
}

/// What a panic says, if it stands in the code as it is.
fn words(payload: &(dyn Any + Send)) -> &'static str {
    payload.downcast_ref::<&'static str>().copied().unwrap_or("(its words are not logged)")
}

#[cfg(test)]
mod tests {
    use super::*;

    // That `caught` catches is proven on workerd: its hook logs to the platform's console.
    #[test]
    fn only_what_stands_in_the_code_is_logged() {
        let said = |work: fn()| words(&*catch_unwind(work).unwrap_err());
        assert_eq!(said(|| panic!("on purpose")), "on purpose");
        let secret = String::from("a secret");
        let formatted = catch_unwind(|| panic!("{secret}")).unwrap_err();
        assert_eq!(words(&*formatted), "(its words are not logged)");
    }
}
