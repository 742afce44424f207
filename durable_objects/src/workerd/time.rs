//! The object's clock and alarm on workerd.

use std::rc::Rc;
use std::time::Duration;

use worker::Storage;

use crate::clock;
use crate::time::Clock;

/// The platform's clock, and the alarm of one object.
pub struct ObjectClock(pub Rc<Storage>);

impl Clock for ObjectClock {
    fn now_ms(&self) -> i64 {
        clock::now_ms()
    }

    async fn alarm_at_ms(&self) -> Result<Option<i64>, String> {
        self.0.get_alarm().await.map_err(|e| e.to_string())
    }

    async fn set_alarm(&self, in_ms: u64) -> Result<(), String> {
        self.0.set_alarm(Duration::from_millis(in_ms)).await.map_err(|e| e.to_string())
    }
}
