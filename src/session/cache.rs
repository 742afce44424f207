//! When the project's keys are fetched. Pure: time is an argument.
//!
//! The one rule: whatever tokens come, keys are asked for once in [`BETWEEN_MS`] at most, by one request at a time.

use std::rc::Rc;

use super::jwks::KeySet;

/// The least time between two fetches, in milliseconds. A key that has just been made opens nothing for that long
/// at most, and so long a made-up one causes no second fetch.
const BETWEEN_MS: i64 = 10_000;
/// How long one fetch may take, in milliseconds.
pub const FETCH_MS: u64 = 5_000;
/// How long keys are fresh, in milliseconds: what `cache-control` says, within these. A key that was taken back
/// counts for the longer of them at most.
const LEAST_FRESH_MS: i64 = BETWEEN_MS;
const MOST_FRESH_MS: i64 = 600_000;
/// How long keys count while fetching fails, in milliseconds: an hour, as long as a session.
const GOOD_MS: i64 = 3_600_000;

/// What an isolate knows of the keys.
#[derive(Debug, Default)]
pub struct Cache {
    known: Option<Known>,
    /// When a fetch last set out.
    tried_at_ms: Option<i64>,
    /// Whether it is still under way.
    is_fetching: bool,
}

#[derive(Debug, Clone)]
struct Known {
    keys: Rc<KeySet>,
    read_at_ms: i64,
    fresh_until_ms: i64,
}

/// What a request that needs a key does.
#[derive(Debug)]
pub enum Next {
    /// Verify by these.
    Use(Rc<KeySet>),
    /// Fetch, and say how it ended.
    Fetch,
    /// Another request fetches: look again a little later.
    Wait,
    /// Nothing is known, and it is too early to ask again.
    Unavailable,
}

impl Cache {
    /// What a request does at `now_ms` that needs the key `key_id`.
    pub fn next(&mut self, key_id: &str, now_ms: i64) -> Next {
        let since_ms = self.tried_at_ms.map(|tried_ms| now_ms.saturating_sub(tried_ms));
        // A fetch whose request ended without a word is over all the same.
        let patience_ms = i64::try_from(FETCH_MS).unwrap_or(i64::MAX);
        let is_fetching = self.is_fetching && since_ms.is_some_and(|ms| ms <= patience_ms);
        let may_fetch = !is_fetching && since_ms.is_none_or(|ms| ms >= BETWEEN_MS);
        let known = self.known.as_ref().filter(|known| now_ms.saturating_sub(known.read_at_ms) < GOOD_MS);
        if let Some(known) = known.filter(|known| known.keys.get(key_id).is_some())
            && (now_ms < known.fresh_until_ms || !may_fetch)
        {
            return Next::Use(known.keys.clone());
        }
        if is_fetching {
            return Next::Wait;
        }
        if may_fetch {
            (self.tried_at_ms, self.is_fetching) = (Some(now_ms), true);
            return Next::Fetch;
        }
        known.map_or(Next::Unavailable, |known| Next::Use(known.keys.clone()))
    }

    /// The fetch brought `keys`, fresh for `max_age_s` seconds as the answer says.
    pub fn fetched(&mut self, keys: KeySet, max_age_s: Option<i64>, now_ms: i64) {
        let fresh_ms = max_age_s.map_or(MOST_FRESH_MS, |s| s.saturating_mul(1_000));
        let fresh_until_ms = now_ms.saturating_add(fresh_ms.clamp(LEAST_FRESH_MS, MOST_FRESH_MS));
        self.known = Some(Known { keys: Rc::new(keys), read_at_ms: now_ms, fresh_until_ms });
        self.is_fetching = false;
    }

    /// The fetch brought nothing.
    pub fn failed(&mut self) {
        self.is_fetching = false;
    }
}

/// The `max-age` of a `cache-control`, in seconds (RFC 9111, section 5.2.2.1); 0 where it forbids to keep anything.
#[must_use]
pub fn max_age_s(cache_control: &str) -> Option<i64> {
    let directives = || cache_control.split(',').map(str::trim);
    if directives()
        .any(|directive| directive.eq_ignore_ascii_case("no-store") || directive.eq_ignore_ascii_case("no-cache"))
    {
        return Some(0);
    }
    let ages = directives().filter_map(|directive| directive.split_once('='));
    ages.filter(|(name, _)| name.eq_ignore_ascii_case("max-age"))
        .find_map(|(_, age)| age.trim_matches('"').parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const JWKS: &str = include_str!("tests/jwks.json");

    fn does(cache: &mut Cache, key_id: &str, now_ms: i64) -> &'static str {
        match cache.next(key_id, now_ms) {
            Next::Use(keys) if keys.get(key_id).is_some() => "verify",
            Next::Use(_) => "refuse",
            Next::Fetch => "fetch",
            Next::Wait => "wait",
            Next::Unavailable => "unavailable",
        }
    }

    fn keys() -> KeySet {
        KeySet::parse(JWKS).unwrap()
    }

    #[test]
    fn a_flood_of_made_up_keys_costs_one_fetch_in_ten_seconds() {
        let mut cache = Cache::default();
        let mut fetches = 0;
        for now_ms in (0..100_000).step_by(10) {
            if does(&mut cache, &format!("made up {now_ms}"), now_ms) == "fetch" {
                fetches += 1;
                assert_eq!(does(&mut cache, "another", now_ms), "wait", "one at a time");
                cache.fetched(keys(), Some(600), now_ms);
            }
            assert_eq!(does(&mut cache, "ec", now_ms), "verify", "the true key goes on counting");
        }
        assert_eq!(fetches, 10);
    }

    #[test]
    fn a_new_key_is_found_as_soon_as_it_may_be_asked_for() {
        let mut cache = Cache::default();
        assert_eq!(does(&mut cache, "ec", 0), "fetch");
        cache.fetched(KeySet::default(), Some(600), 0);
        assert_eq!(does(&mut cache, "ec", 9_999), "refuse");
        assert_eq!(does(&mut cache, "ec", 10_000), "fetch");
        cache.fetched(keys(), Some(600), 10_000);
        assert_eq!(does(&mut cache, "ec", 10_001), "verify");
    }

    #[test]
    fn keys_are_fresh_as_the_answer_says_within_bounds() {
        for (said, fresh_ms) in
            [(None, 600_000), (Some(60), 60_000), (Some(0), 10_000), (Some(86_400), 600_000), (Some(-1), 10_000)]
        {
            let mut cache = Cache::default();
            assert_eq!(does(&mut cache, "ec", 0), "fetch");
            cache.fetched(keys(), said, 0);
            assert_eq!(does(&mut cache, "ec", fresh_ms - 1), "verify", "{said:?}");
            assert_eq!(does(&mut cache, "ec", fresh_ms), "fetch", "{said:?}");
            assert_eq!(does(&mut cache, "ec", fresh_ms), "verify", "those beside it go on");
            cache.fetched(KeySet::default(), said, fresh_ms);
            assert_eq!(does(&mut cache, "ec", fresh_ms), "refuse", "it was taken back");
        }
    }

    #[test]
    fn keys_count_for_an_hour_while_nobody_can_fetch_them() {
        let mut cache = Cache::default();
        assert_eq!(does(&mut cache, "ec", 0), "fetch");
        cache.failed();
        assert_eq!(does(&mut cache, "ec", 1), "unavailable");
        assert_eq!(does(&mut cache, "ec", 10_000), "fetch");
        cache.fetched(keys(), None, 10_000);
        let end_ms = 10_000 + GOOD_MS;
        for now_ms in (610_000..end_ms).step_by(10_000) {
            assert_eq!(does(&mut cache, "ec", now_ms), "fetch");
            cache.failed();
            assert_eq!(does(&mut cache, "ec", now_ms), "verify");
            assert_eq!(does(&mut cache, "made up", now_ms), "refuse");
        }
        assert_eq!(does(&mut cache, "ec", end_ms), "fetch");
        cache.failed();
        assert_eq!(does(&mut cache, "ec", end_ms), "unavailable");
    }

    #[test]
    fn a_fetch_that_nobody_ends_is_over_in_time() {
        let mut cache = Cache::default();
        assert_eq!(does(&mut cache, "ec", 0), "fetch");
        assert_eq!(does(&mut cache, "ec", 5_000), "wait");
        assert_eq!(does(&mut cache, "ec", 5_001), "unavailable");
        assert_eq!(does(&mut cache, "ec", 10_000), "fetch");
    }

    #[test]
    fn cache_control_is_read() {
        for (text, expected) in [
            ("public, max-age=600", Some(600)),
            ("Max-Age=60", Some(60)),
            ("max-age=\"5\"", Some(5)),
            ("no-cache, max-age=600", Some(0)),
            ("no-store", Some(0)),
            ("public", None),
            ("max-age=soon", None),
            ("s-maxage=7", None),
        ] {
            assert_eq!(max_age_s(text), expected, "{text}");
        }
    }
}
