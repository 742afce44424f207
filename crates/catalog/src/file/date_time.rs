//! A TOML date-time as milliseconds since the epoch, and back.

use toml::value::{Datetime, Offset};

/// 9999-12-31T23:59:59Z, the last second that TOML can write.
pub(super) const LAST_SECOND: u64 = 253_402_300_799;

/// `None` without a date, a time or an offset: a local time names no instant.
pub(super) fn unix_ms(date_time: &Datetime) -> Option<i64> {
    let (date, time) = (date_time.date?, date_time.time?);
    let offset_minutes = match date_time.offset? {
        Offset::Z => 0,
        Offset::Custom { minutes } => i64::from(minutes),
    };
    let days = days_since_epoch(date.year.into(), date.month.into(), date.day.into());
    let minutes = (days * 24 + i64::from(time.hour)) * 60 + i64::from(time.minute) - offset_minutes;
    let seconds = minutes * 60 + i64::from(time.second.unwrap_or(0));
    Some(seconds * 1_000 + i64::from(time.nanosecond.unwrap_or(0)) / 1_000_000)
}

/// In the Gregorian calendar. The year is counted from March, so that the leap day is its last:
/// before month m of such a year lie ⌊(153 m + 2) / 5⌋ days, before year y 365 y + ⌊y/4⌋ − ⌊y/100⌋ +
/// ⌊y/400⌋; the epoch is day 719,468 of that count.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let before_year = 365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    before_year + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// An instant as TOML has it, without what lies below a second: `2024-10-01T00:00:00Z`.
#[must_use]
pub fn utc(unix_ms: i64) -> String {
    let seconds = unix_ms.div_euclid(1_000);
    let (days, second_of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second_of_day / 3_600, second_of_day / 60 % 60, second_of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The inverse of [`days_since_epoch`], with the same year from March; 400 such years have 146,097 days,
/// and the divisions by 1,460, 36,524 and 146,096 take out the leap days of 4, 100 and 400 years.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let year = era * 400 + year_of_era;
    if month_from_march < 10 { (year, month_from_march + 3, day) } else { (year + 1, month_from_march - 9, day) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_times_are_instants() {
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
            ("2024-10-01T00:00:00", None),
            ("2024-10-01", None),
            ("07:32:00", None),
        ] {
            assert_eq!(unix_ms(&text.parse().unwrap()), ms, "{text}");
        }
    }

    #[test]
    fn instants_are_date_times() {
        for day in (-719_162..2_932_896).step_by(97) {
            let ms = day * 86_400_000 + 45_296_000;
            let text = utc(ms);
            assert!(text.ends_with("T12:34:56Z"), "{text}");
            assert_eq!(unix_ms(&text.parse().unwrap()), Some(ms), "{text}");
        }
    }
}
