//! When an upstream wants to be asked again, by its headers `retry-after` and `retry-after-ms`.
//! <https://www.rfc-editor.org/rfc/rfc9110#field.retry-after>

use chrono::DateTime;

/// The longest number of seconds that is read as one: a day is 86,400.
const MOST_DIGITS: usize = 9;

/// Whole seconds from `now_ms`, rounded up; `None`: neither header is there, or neither makes sense.
#[must_use]
pub fn seconds(retry_after: Option<&str>, retry_after_ms: Option<&str>, now_ms: i64) -> Option<u64> {
    if let Some(ms) = retry_after_ms.and_then(whole) {
        return Some(ms.div_ceil(1_000));
    }
    let text = retry_after?.trim();
    if let Some(seconds) = whole(text) {
        return Some(seconds);
    }
    let at_ms = DateTime::parse_from_rfc2822(text).ok()?.timestamp_millis();
    u64::try_from(at_ms.saturating_sub(now_ms).max(0)).ok().map(|ms| ms.div_ceil(1_000))
}

/// A number without its sign; of one with a fraction the next whole one.
fn whole(text: &str) -> Option<u64> {
    let (digits, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if digits.is_empty() || digits.len() > MOST_DIGITS || !are_digits(digits) || !are_digits(fraction) {
        return None;
    }
    let more = u64::from(fraction.bytes().any(|byte| byte != b'0'));
    digits.parse::<u64>().ok()?.checked_add(more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_milliseconds_and_dates() {
        // Wed, 21 Oct 2015 07:28:00 GMT
        let now_ms = 1_445_412_480_000;
        for (retry_after, retry_after_ms, expected) in [
            (Some("7"), None, Some(7)),
            (Some(" 0 "), None, Some(0)),
            (Some("0.2"), None, Some(1)),
            (Some("20.000"), None, Some(20)),
            (Some("7"), Some("1500"), Some(2)),
            (None, Some("12"), Some(1)),
            (Some("7"), Some("soon"), Some(7)),
            (Some("Wed, 21 Oct 2015 07:28:30 GMT"), None, Some(30)),
            (Some("Wed, 21 Oct 2015 07:27:00 GMT"), None, Some(0)),
            (Some("-1"), None, None),
            (Some("1e9"), None, None),
            (Some(""), None, None),
            (Some("99999999999999999999"), None, None),
            (None, None, None),
        ] {
            assert_eq!(seconds(retry_after, retry_after_ms, now_ms), expected, "{retry_after:?} {retry_after_ms:?}");
        }
    }
}
