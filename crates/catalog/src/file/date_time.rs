//! A TOML date-time as Unix milliseconds, and back.

use chrono::{DateTime, NaiveDate, SecondsFormat};
use toml::value::{Datetime, Offset};

/// 9999-12-31T23:59:59Z, the last second that TOML can write.
pub(super) const LAST_SECOND: u64 = 253_402_300_799;

/// The instant in Unix milliseconds. `None` without a date, a time or an offset: a local time names no instant.
pub(super) fn unix_ms(date_time: &Datetime) -> Option<i64> {
    let (date, time) = (date_time.date?, date_time.time?);
    let offset_minutes = match date_time.offset? {
        Offset::Z => 0,
        Offset::Custom { minutes } => i64::from(minutes),
    };
    let minute = NaiveDate::from_ymd_opt(date.year.into(), date.month.into(), date.day.into())?
        .and_hms_opt(time.hour.into(), time.minute.into(), 0)?
        .and_utc();
    // The seconds are added here because chrono has no 60th second; TOML allows a leap second.
    let seconds = minute.timestamp() - offset_minutes * 60 + i64::from(time.second.unwrap_or(0));
    Some(seconds * 1_000 + i64::from(time.nanosecond.unwrap_or(0)) / 1_000_000)
}

/// The instant as TOML writes it, rounded down to a second: `2024-10-01T00:00:00Z`. Instants more than
/// about 262,000 years away have no date and are written as a number of milliseconds.
#[must_use]
pub fn utc(unix_ms: i64) -> String {
    DateTime::from_timestamp_millis(unix_ms).map_or_else(
        || format!("{unix_ms} ms after 1970"),
        |instant| instant.to_rfc3339_opts(SecondsFormat::Secs, true),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_time_with_an_offset_becomes_an_instant() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2024-10-01T00:00:00Z", Some(1_727_740_800_000)),
            ("2024-10-01 02:00:00.5+02:00", Some(1_727_740_800_500)),
            ("2024-02-29T12:00:00Z", Some(1_709_208_000_000)),
            ("2024-03-01T00:00:00-00:01", Some(1_709_251_260_000)),
            ("2000-03-01T00:00:00Z", Some(951_868_800_000)),
            ("1969-12-31T23:59:59.999Z", Some(-1)),
            ("0001-01-01T00:00:00Z", Some(-62_135_596_800_000)),
            ("9999-12-31T23:59:59Z", Some(253_402_300_799_000)),
            ("2016-12-31T23:59:60Z", Some(1_483_228_800_000)),
            ("2024-10-01T00:00:00", None),
            ("2024-10-01", None),
            ("07:32:00", None),
        ] {
            assert_eq!(unix_ms(&text.parse().unwrap()), ms, "{text}");
        }
    }

    #[test]
    fn an_instant_becomes_the_date_time_that_names_it() {
        for day in (-719_162..2_932_896).step_by(97) {
            let ms = day * 86_400_000 + 45_296_000;
            let text = utc(ms);
            assert!(text.ends_with("T12:34:56Z"), "{text}");
            assert_eq!(unix_ms(&text.parse().unwrap()), Some(ms), "{text}");
        }
    }
}
