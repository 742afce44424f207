//! When a period began, computed otherwise than the ledger does it.

use billing::ledger::Period;

const DAY_MS: i64 = 86_400_000;

/// All periods.
pub const PERIODS: [Period; 4] = [Period::Daily, Period::Weekly, Period::Monthly, Period::Total];

/// A number that two instants share when they lie in the same period.
#[must_use]
pub fn number_of(period: Period, at_ms: i64) -> i64 {
    let day = at_ms.div_euclid(DAY_MS);
    match period {
        Period::Daily => day,
        // The epoch was a Thursday.
        Period::Weekly => day.saturating_add(3).div_euclid(7),
        Period::Monthly => month(day),
        Period::Total => 0,
    }
}

/// The next midnight behind `at_ms`.
#[must_use]
pub fn next_midnight(at_ms: i64) -> i64 {
    at_ms.div_euclid(DAY_MS).saturating_add(1).saturating_mul(DAY_MS)
}

/// Months since March of the year 0, from days since the epoch (Howard Hinnant's `civil_from_days`).
fn month(day: i64) -> i64 {
    let day = day.saturating_add(719_468);
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    (era * 400 + year_of_era) * 12 + month
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_those_of_the_calendar() {
        // 2028-02-29 and 2028-03-01, 2026-12-31 and 2027-01-01, in days since the epoch.
        for (last, first) in [(21_243, 21_244), (20_818, 20_819)] {
            assert_eq!(month(first) - month(last), 1);
            assert_eq!(month(first + 27), month(first));
            assert_eq!(month(last - 27), month(last));
        }
    }
}
