//! The memory for request bodies that an isolate has: an isolate that runs out of memory ends with every
//! stream on it, so a body is reserved before it is read, and refused where it does not fit.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::error::ApiError;

/// The most bytes of request bodies in flight. A body is held up to three times: as it came, as it is sent,
/// and as the platform sends it; the isolate has 128 MB, and its streams need some of them.
const MAX_BYTES: usize = 48 << 20;
/// What is kept free for small bodies, in bytes: a few large ones do not shut out all the others.
const KEPT_FOR_SMALL_BYTES: usize = 8 << 20;
/// The largest body that is a small one, in bytes.
const SMALL_BYTES: usize = 1 << 20;
/// How long a body can be in flight, in milliseconds: longer than any request runs. What is older is of a
/// request that the platform ended, 30 s after its client had left: nothing of such a one is dropped.
const MAX_AGE_MS: i64 = 1_200_000;

thread_local! {
    static IN_FLIGHT: RefCell<Bodies> = const { RefCell::new(Bodies { last: 0, held: BTreeMap::new() }) };
}

/// The bodies in flight: of each, by its number, the bytes, and when it came, in milliseconds since the epoch.
struct Bodies {
    last: u64,
    held: BTreeMap<u64, (usize, i64)>,
}

/// Room for one body, until it is dropped.
#[derive(Debug)]
pub struct Reservation {
    number: u64,
}

impl Reservation {
    /// Room for a body of so many bytes, at `now_ms`, in milliseconds since the epoch.
    ///
    /// # Errors
    /// 503, to be retried, where there is none.
    pub fn of(bytes: usize, now_ms: i64) -> Result<Self, ApiError> {
        let number = IN_FLIGHT.with_borrow_mut(|bodies| {
            bodies.held.retain(|_, (_, since_ms)| now_ms.saturating_sub(*since_ms) < MAX_AGE_MS);
            bodies.last = bodies.last.wrapping_add(1);
            bodies.held.insert(bodies.last, (0, now_ms));
            bodies.last
        });
        let mut reservation = Self { number };
        reservation.grow(bytes)?;
        Ok(reservation)
    }

    /// Room for so many bytes more.
    ///
    /// # Errors
    /// As [`Self::of`]; what was reserved stays so.
    pub fn grow(&mut self, more: usize) -> Result<(), ApiError> {
        IN_FLIGHT.with_borrow_mut(|bodies| {
            let all = bodies.bytes().saturating_add(more);
            let Some((bytes, _)) = bodies.held.get_mut(&self.number) else { return Err(ApiError::busy()) };
            let mine = bytes.saturating_add(more);
            let most = if mine <= SMALL_BYTES { MAX_BYTES } else { MAX_BYTES.saturating_sub(KEPT_FOR_SMALL_BYTES) };
            if all > most {
                return Err(ApiError::busy());
            }
            *bytes = mine;
            Ok(())
        })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        IN_FLIGHT.with_borrow_mut(|bodies| bodies.held.remove(&self.number));
    }
}

impl Bodies {
    fn bytes(&self) -> usize {
        self.held.values().map(|(bytes, _)| *bytes).fold(0, usize::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: usize = 1 << 20;

    fn in_flight() -> usize {
        IN_FLIGHT.with_borrow(Bodies::bytes)
    }

    #[test]
    fn what_is_dropped_is_free_again() {
        let large = Reservation::of(32 * MB, 0).unwrap();
        let refused = Reservation::of(9 * MB, 0).unwrap_err();
        assert_eq!((refused.status, refused.retry_after_s), (503, Some(1)));
        drop(large);
        assert_eq!(in_flight(), 0);
        assert!(Reservation::of(40 * MB, 0).is_ok());
    }

    #[test]
    fn large_bodies_leave_room_for_small_ones() {
        let large = Reservation::of(40 * MB, 0).unwrap();
        assert!(Reservation::of(2 * MB, 0).is_err());
        let small: Vec<Reservation> = (0..8).map(|_| Reservation::of(MB, 0).unwrap()).collect();
        assert!(Reservation::of(1, 0).is_err());
        drop((large, small));
        assert_eq!(in_flight(), 0);
    }

    #[test]
    fn a_body_that_grows_too_large_keeps_what_it_had() {
        let mut growing = Reservation::of(MB, 0).unwrap();
        growing.grow(39 * MB).unwrap();
        assert!(growing.grow(1).is_err());
        assert_eq!(in_flight(), 40 * MB);
        drop(growing);
        assert_eq!(in_flight(), 0);
    }

    #[test]
    fn what_was_never_dropped_is_forgotten_in_the_end() {
        std::mem::forget(Reservation::of(40 * MB, 0).unwrap());
        assert!(Reservation::of(2 * MB, MAX_AGE_MS - 1).is_err());
        assert!(Reservation::of(40 * MB, MAX_AGE_MS).is_ok());
    }
}
