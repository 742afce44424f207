//! The usage object of chat completions and embeddings, as disjoint counts.
//!
//! `prompt_tokens` includes cached tokens here (traps: other dialects exclude them); the convention is
//! applied in [`Wire::disjoint`] and nowhere else.

use billing::money::NanoUsd;
use billing::usage::Usage;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::canonical::Reported;
use crate::count::count;

/// The wire type; `None` is not 0. A count that is none, and details of another shape, are as if they
/// were not there: one odd value must not hide the others.
#[derive(Debug, Default, Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default)]
    prompt_tokens: Count<'a>,
    #[serde(borrow, default)]
    completion_tokens: Count<'a>,
    #[serde(borrow, default)]
    total_tokens: Count<'a>,
    #[serde(borrow, default)]
    prompt_tokens_details: Count<'a>,
    #[serde(borrow, default)]
    completion_tokens_details: Count<'a>,
    /// DeepSeek's name for cached tokens.
    #[serde(borrow, default)]
    prompt_cache_hit_tokens: Count<'a>,
}

#[derive(Debug, Default, Deserialize)]
struct Details<'a> {
    #[serde(borrow, default)]
    cached_tokens: Count<'a>,
    #[serde(borrow, default)]
    cache_write_tokens: Count<'a>,
    #[serde(borrow, default)]
    reasoning_tokens: Count<'a>,
}

/// A value that should be a count, or an object of them.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct Count<'a>(#[serde(borrow)] Option<&'a RawValue>);

impl<'a> Count<'a> {
    fn get(self) -> Option<u64> {
        count(self.0)
    }

    fn details(self) -> Details<'a> {
        self.0.and_then(|json| serde_json::from_str(json.get()).ok()).unwrap_or_default()
    }
}

impl Wire<'_> {
    fn disjoint(&self) -> Option<Reported> {
        let prompt = self.prompt_tokens.get()?;
        let details = self.prompt_tokens_details.details();
        let cached = details.cached_tokens.get().or(self.prompt_cache_hit_tokens.get()).unwrap_or(0).min(prompt);
        let written = details.cache_write_tokens.get().unwrap_or(0).min(prompt.saturating_sub(cached));
        let completion = self.completion_tokens.get();
        // xAI and Gemini leave reasoning out of `completion_tokens` and count it in the total only.
        let beyond_prompt = self.total_tokens.get().unwrap_or(0).saturating_sub(prompt);
        let output = completion.unwrap_or(0).max(beyond_prompt);
        let reasoning = self.completion_tokens_details.details().reasoning_tokens.get().unwrap_or(0);
        let usage = Usage {
            input: prompt.saturating_sub(cached).saturating_sub(written),
            cache_read: cached,
            cache_write_5m: written,
            cache_write_1h: 0,
            output,
            reasoning: reasoning.min(output),
            web_searches: 0,
        };
        Some(Reported { usage, lacks_output: completion.is_none() && beyond_prompt == 0 })
    }
}

/// Reads a `usage` object; `None` when it is `null`, of another shape or without `prompt_tokens`.
#[must_use]
pub fn parse(json: &str) -> Option<Reported> {
    serde_json::from_str::<Option<Wire<'_>>>(json).ok()??.disjoint()
}

/// A `usage` object with these counts.
#[must_use]
pub fn to_json(usage: &Usage) -> String {
    let prompt = usage.total_input();
    format!(
        "{{\"prompt_tokens\":{prompt},\"completion_tokens\":{},\"total_tokens\":{}}}",
        usage.output,
        prompt.saturating_add(usage.output)
    )
}

/// The `usage` object of a translated answer: every detail that this dialect knows and, where it is
/// settled, what the answer cost, in USD.
#[must_use]
pub fn detailed(usage: &Usage, cost: Option<NanoUsd>) -> String {
    let prompt = usage.total_input();
    let cost = cost.map(|cost| format!(",\"cost\":{cost}")).unwrap_or_default();
    format!(
        "{{\"prompt_tokens\":{prompt},\"completion_tokens\":{},\"total_tokens\":{},\
         \"prompt_tokens_details\":{{\"cached_tokens\":{},\"cache_write_tokens\":{}}},\
         \"completion_tokens_details\":{{\"reasoning_tokens\":{}}}{cost}}}",
        usage.output,
        prompt.saturating_add(usage.output),
        usage.cache_read,
        usage.cache_write_5m.saturating_add(usage.cache_write_1h),
        usage.reasoning
    )
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
    fn an_output_that_is_not_told_is_not_none_at_all() {
        for (json, lacks) in [
            (r#"{"prompt_tokens":10}"#, true),
            (r#"{"prompt_tokens":10,"completion_tokens":null,"total_tokens":10}"#, true),
            (r#"{"prompt_tokens":10,"completion_tokens":"x"}"#, true),
            (r#"{"prompt_tokens":10,"completion_tokens":0}"#, false),
            (r#"{"prompt_tokens":10,"total_tokens":12}"#, false),
        ] {
            assert_eq!(parse(json).unwrap().lacks_output, lacks, "{json}");
        }
    }

    #[test]
    fn trap_01_cached_tokens_are_part_of_the_prompt_and_counted_once() {
        check(r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}"#, Some([10, 0, 0, 5, 0]));
        check(
            r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":3},"completion_tokens_details":{"reasoning_tokens":2}}"#,
            Some([3, 4, 3, 5, 2]),
        );
        check(r#"{"prompt_tokens":10,"completion_tokens":1,"prompt_cache_hit_tokens":8}"#, Some([2, 8, 0, 1, 0]));
        check(r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":40}"#, Some([10, 0, 0, 30, 0]));
    }

    #[test]
    fn trap_06_nothing_is_not_zero() {
        check("null", None);
        check("{}", None);
        check(r#"{"completion_tokens":3}"#, None);
        check(r#"{"prompt_tokens":0,"completion_tokens":0}"#, Some([0, 0, 0, 0, 0]));
        check(r#"{"prompt_tokens":-1}"#, None);
        check(r#"{"prompt_tokens":10,"completion_tokens":null,"prompt_tokens_details":null}"#, Some([10, 0, 0, 0, 0]));
    }

    #[test]
    fn one_odd_value_does_not_hide_the_others() {
        check(r#"{"prompt_tokens":10.0,"completion_tokens":5.00,"total_tokens":"x"}"#, Some([10, 0, 0, 5, 0]));
        check(
            r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":[],"completion_tokens_details":{"reasoning_tokens":-1}}"#,
            Some([10, 0, 0, 5, 0]),
        );
        check(r#"{"prompt_tokens":1.5,"completion_tokens":5}"#, None);
    }

    #[test]
    fn nonsense_does_not_overflow() {
        let json = format!(r#"{{"prompt_tokens":{0},"completion_tokens":{0},"total_tokens":{0}}}"#, u64::MAX);
        check(&json, Some([MAX_TOKENS, 0, 0, MAX_TOKENS, 0]));
    }
}
