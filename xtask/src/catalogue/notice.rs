//! Checks that every change of price is announced five minutes ahead.
//!
//! Isolates read the catalogue every 30–60 s. If a change is five minutes ahead, every isolate knows it in time, and
//! all isolates switch at the same instant. The one rule: for the next five minutes a model that has a price keeps
//! this price.

use billing::price::Price;
use catalog::{Catalog, Model};

const NOTICE_MS: i64 = 300_000;

/// Returns a sentence for each model whose price would change too soon. The first price of a model needs no notice,
/// and neither does the removal of a model.
pub fn violations(old: &Catalog, new: &Catalog, now_ms: i64) -> Vec<String> {
    let pairs = old.models.values().filter_map(|model| Some((model, new.models.get(&model.id)?)));
    pairs.filter_map(|(old, new)| violation(old, new, now_ms)).collect()
}

fn violation(old: &Model, new: &Model, now_ms: i64) -> Option<String> {
    let until_ms = now_ms.saturating_add(NOTICE_MS);
    // The price can change only at an instant at which a price begins.
    let begins = old.prices.iter().chain(&new.prices).map(|price| price.effective_at_ms);
    let mut instants: Vec<i64> = begins.filter(|at_ms| (now_ms..until_ms).contains(at_ms)).collect();
    instants.push(now_ms);
    let changes = |at_ms: &i64| old.price_at(*at_ms).is_some_and(|price| !same(price, new.price_at(*at_ms)));
    let at_ms = instants.into_iter().filter(changes).min()?;
    let when = if at_ms == now_ms { "immediately".to_owned() } else { format!("in {} s", (at_ms - now_ms) / 1_000) };
    Some(format!("model {:?}: the price would change {when}", old.id))
}

/// Returns whether both prices charge the same. The instants from which they count may differ.
fn same(old: &Price, new: Option<&Price>) -> bool {
    new.is_some_and(|new| (old.rates, old.long_input) == (new.rates, new.long_input))
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::file;

    const NOW_MS: i64 = 1_735_689_600_000; // 2025-01-01T00:00:00Z

    fn catalogue(prices: &[(&str, &str)]) -> Catalog {
        let mut text =
            "[[upstream]]\nid = \"u\"\ndialects = [\"openai_embeddings\"]\nbase_url = \"https://u.example\"\n\
                        [[model]]\nid = \"m\"\ncontext_window = 1\n[[model.route]]\nupstream = \"u\"\n"
                .to_owned();
        for (effective_at, input) in prices {
            text.push_str(&format!("[[model.price]]\neffective_at = {effective_at}\ninput = {input:?}\n"));
        }
        file::parse(&text, true).unwrap()
    }

    #[track_caller]
    fn check(old: &[(&str, &str)], new: &[(&str, &str)], expected: &[&str]) {
        assert_eq!(violations(&catalogue(old), &catalogue(new), NOW_MS), expected);
    }

    const PAST: (&str, &str) = ("2024-06-01T00:00:00Z", "1");
    const AT_ONCE: &[&str] = &["model \"m\": the price would change immediately"];

    #[test]
    fn a_first_price_may_begin_in_the_past() {
        check(&[], &[PAST], &[]);
        check(&[("2025-06-01T00:00:00Z", "2")], &[PAST], &[]);
    }

    #[test]
    fn a_price_in_effect_stays_for_five_minutes() {
        check(&[PAST], &[PAST, ("2025-01-01T00:05:00Z", "2")], &[]);
        check(&[PAST], &[PAST, ("2025-01-01T00:04:59Z", "2")], &["model \"m\": the price would change in 299 s"]);
        check(&[PAST], &[PAST, ("2024-12-01T00:00:00Z", "2")], AT_ONCE);
        check(&[PAST], &[("2024-06-01T00:00:00Z", "2")], AT_ONCE);
        check(&[PAST], &[("2025-06-01T00:00:00Z", "1")], AT_ONCE);
        check(&[PAST], &[], AT_ONCE);
    }

    #[test]
    fn an_announced_price_can_be_withdrawn_until_five_minutes_before() {
        let soon = ("2025-01-01T00:01:00Z", "2");
        check(&[PAST, soon], &[PAST], &["model \"m\": the price would change in 60 s"]);
        check(&[PAST, ("2025-01-01T00:05:00Z", "2")], &[PAST], &[]);
    }

    #[test]
    fn a_change_of_the_file_that_changes_no_price_needs_no_notice() {
        let superseded = ("2023-01-01T00:00:00Z", "9");
        check(&[superseded, PAST], &[PAST], &[]);
        check(&[PAST], &[("2024-07-01T00:00:00Z", "1")], &[]);
        assert_eq!(violations(&catalogue(&[PAST]), &Catalog::default(), NOW_MS), Vec::<String>::new());
    }
}
