//! The usage object of responses, as disjoint counts.
//!
//! `input_tokens` includes cached tokens, as in chat completions; the convention is applied in
//! [`parse`] and nowhere else.

use billing::money::NanoUsd;
use billing::usage::Usage;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::item::object;
use crate::canonical::Reported;
use crate::count::count;

/// The wire type; `None` is not 0. One odd value does not hide the others.
#[derive(Debug, Default, Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default)]
    input_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    input_tokens_details: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output_tokens_details: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
struct Details<'a> {
    #[serde(borrow, default)]
    cached_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    cache_write_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning_tokens: Option<&'a RawValue>,
}

fn details(json: Option<&RawValue>) -> Details<'_> {
    json.and_then(|json| serde_json::from_str(json.get()).ok()).unwrap_or_default()
}

/// Reads a `usage` object; `None` when it is `null`, of another shape or without `input_tokens`.
#[must_use]
pub fn parse(json: &str) -> Option<Reported> {
    let wire = serde_json::from_str::<Option<Wire<'_>>>(json).ok()??;
    let input = count(wire.input_tokens)?;
    let input_details = details(wire.input_tokens_details);
    let cached = count(input_details.cached_tokens).unwrap_or(0).min(input);
    let written = count(input_details.cache_write_tokens).unwrap_or(0).min(input.saturating_sub(cached));
    let told = count(wire.output_tokens);
    let output = told.unwrap_or(0);
    let reasoning = count(details(wire.output_tokens_details).reasoning_tokens).unwrap_or(0);
    let usage = Usage {
        input: input.saturating_sub(cached).saturating_sub(written),
        cache_read: cached,
        cache_write_5m: written,
        cache_write_1h: 0,
        output,
        reasoning: reasoning.min(output),
        web_searches: 0,
    };
    Some(Reported { usage, lacks_output: told.is_none() })
}

/// A `usage` object with these counts, and the cost in USD where it is known.
#[must_use]
pub fn to_json(usage: &Usage, cost: Option<NanoUsd>) -> String {
    let input = usage.total_input();
    let written = usage.cache_write_5m.saturating_add(usage.cache_write_1h);
    let input_details =
        object(&[("cached_tokens", usage.cache_read.to_string()), ("cache_write_tokens", written.to_string())]);
    let mut members = vec![
        ("input_tokens", input.to_string()),
        ("input_tokens_details", input_details),
        ("output_tokens", usage.output.to_string()),
        ("output_tokens_details", object(&[("reasoning_tokens", usage.reasoning.to_string())])),
        ("total_tokens", input.saturating_add(usage.output).to_string()),
    ];
    members.extend(cost.map(|cost| ("cost", cost.to_string())));
    object(&members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::MAX_TOKENS;

    fn check(json: &str, expected: Option<[u64; 5]>) {
        let counts =
            parse(json).map(|r| r.usage).map(|u| [u.input, u.cache_read, u.cache_write_5m, u.output, u.reasoning]);
        assert_eq!(counts, expected, "{json}");
    }

    #[test]
    fn trap_01_cached_tokens_are_part_of_the_input_and_counted_once() {
        check(r#"{"input_tokens":10,"output_tokens":5,"total_tokens":15}"#, Some([10, 0, 0, 5, 0]));
        check(
            r#"{"input_tokens":10,"output_tokens":5,"input_tokens_details":{"cached_tokens":4,"cache_write_tokens":3},"output_tokens_details":{"reasoning_tokens":2}}"#,
            Some([3, 4, 3, 5, 2]),
        );
    }

    #[test]
    fn trap_06_nothing_is_not_zero_and_one_odd_value_hides_no_other() {
        check("null", None);
        check("{}", None);
        check(r#"{"output_tokens":3}"#, None);
        check(r#"{"input_tokens":0,"output_tokens":0}"#, Some([0, 0, 0, 0, 0]));
        check(r#"{"input_tokens":-1}"#, None);
        check(r#"{"input_tokens":10.0,"output_tokens":null,"input_tokens_details":[]}"#, Some([10, 0, 0, 0, 0]));
        check(r#"{"input_tokens":5,"output_tokens":9999999999999999999}"#, Some([5, 0, 0, MAX_TOKENS, 0]));
    }

    #[test]
    fn an_output_that_is_not_told_is_not_none_at_all() {
        for (output, lacks) in [("null", true), ("-1", true), ("0", false), ("3", false)] {
            let json = format!(r#"{{"input_tokens":5,"output_tokens":{output}}}"#);
            assert_eq!(parse(&json).unwrap().lacks_output, lacks, "{json}");
        }
    }

    #[test]
    fn counts_that_are_written_read_back() {
        let usage = Usage { input: 3, cache_read: 4, cache_write_5m: 3, output: 5, reasoning: 2, ..Usage::default() };
        assert_eq!(parse(&to_json(&usage, None)), Some(usage.into()));
        assert!(to_json(&usage, Some(NanoUsd::ZERO)).ends_with(",\"cost\":0}"));
    }
}
