//! The time as the account object sees it: a clock, and the one alarm that the platform keeps for an object.

/// The clock and the alarm of one object.
#[expect(async_fn_in_trait, reason = "an object has one thread: no future needs to be `Send`")]
pub trait Clock {
    /// Milliseconds since the epoch.
    fn now_ms(&self) -> i64;

    /// The stored time of the alarm, in milliseconds since the epoch; `None`: no alarm is set. The alarm outlives
    /// the object's memory.
    ///
    /// # Errors
    /// The platform's words when its storage fails.
    async fn alarm_at_ms(&self) -> Result<Option<i64>, String>;

    /// Sets the alarm to ring `in_ms` milliseconds after now, in place of the one that is set.
    ///
    /// # Errors
    /// The platform's words when its storage fails. The old alarm then stays.
    async fn set_alarm(&self, in_ms: u64) -> Result<(), String>;
}
