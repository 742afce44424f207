//! When a budget's period began: exact instants of UTC, which has no gaps and no repeated hours.

use chrono::{DateTime, Datelike, Days, NaiveTime};

use super::key::Period;

/// The first millisecond of the period that `at_ms` lies in; of [`Period::Total`] the epoch.
#[must_use]
pub fn start_of(period: Period, at_ms: i64) -> i64 {
    let Some(date) = DateTime::from_timestamp_millis(at_ms).map(|at| at.date_naive()) else { return 0 };
    let first = match period {
        Period::Daily => Some(date),
        Period::Weekly => date.checked_sub_days(Days::new(u64::from(date.weekday().num_days_from_monday()))),
        Period::Monthly => date.with_day(1),
        Period::Total => return 0,
    };
    first.map_or(0, |first| first.and_time(NaiveTime::MIN).and_utc().timestamp_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_begin_at_midnight_utc() {
        let ms = |text: &str| text.parse::<DateTime<chrono::Utc>>().unwrap().timestamp_millis();
        for (at, period, start) in [
            ("2026-11-24T07:30:00Z", Period::Daily, "2026-11-24T00:00:00Z"),
            ("2026-11-24T00:00:00Z", Period::Daily, "2026-11-24T00:00:00Z"),
            ("2026-11-23T23:59:59.999Z", Period::Daily, "2026-11-23T00:00:00Z"),
            ("2026-11-24T07:30:00Z", Period::Weekly, "2026-11-23T00:00:00Z"),
            ("2026-11-22T23:59:59.999Z", Period::Weekly, "2026-11-16T00:00:00Z"),
            ("2026-03-01T00:00:00Z", Period::Monthly, "2026-03-01T00:00:00Z"),
            ("2028-02-29T12:00:00Z", Period::Monthly, "2028-02-01T00:00:00Z"),
            ("2026-11-24T07:30:00Z", Period::Total, "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(start_of(period, ms(at)), ms(start), "{at} {period:?}");
        }
        assert_eq!(start_of(Period::Daily, i64::MAX), 0, "no date is no panic");
    }
}
