//! The usage object of chat completions and embeddings, as disjoint counts.
//!
//! `prompt_tokens` includes cached tokens here (traps: other dialects exclude them); the convention is
//! applied in [`Wire::disjoint`] and nowhere else.

use billing::usage::Usage;
use serde::Deserialize;

/// No request has more tokens than this: a larger count is a provider's error.
const MAX_TOKENS: u64 = 1 << 40;

/// The wire type; `None` is not 0.
#[derive(Debug, Default, Deserialize)]
struct Wire {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
    /// DeepSeek's name for cached tokens.
    prompt_cache_hit_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
}

impl Wire {
    fn disjoint(&self) -> Option<Usage> {
        let prompt = self.prompt_tokens?.min(MAX_TOKENS);
        let details = self.prompt_tokens_details.as_ref();
        let cached = details.and_then(|d| d.cached_tokens).or(self.prompt_cache_hit_tokens).unwrap_or(0).min(prompt);
        let written = details.and_then(|d| d.cache_write_tokens).unwrap_or(0).min(prompt.saturating_sub(cached));
        let completion = self.completion_tokens.unwrap_or(0).min(MAX_TOKENS);
        // xAI and Gemini leave reasoning out of `completion_tokens` and count it in the total only.
        let beyond_prompt = self.total_tokens.unwrap_or(0).min(MAX_TOKENS).saturating_sub(prompt);
        let output = completion.max(beyond_prompt);
        let reasoning = self.completion_tokens_details.as_ref().and_then(|d| d.reasoning_tokens).unwrap_or(0);
        Some(Usage {
            input: prompt.saturating_sub(cached).saturating_sub(written),
            cache_read: cached,
            cache_write_5m: written,
            cache_write_1h: 0,
            output,
            reasoning: reasoning.min(output),
            web_searches: 0,
        })
    }
}

/// Reads a `usage` object; `None` when it is `null`, of another shape or without `prompt_tokens`.
#[must_use]
pub fn parse(json: &str) -> Option<Usage> {
    serde_json::from_str::<Option<Wire>>(json).ok()??.disjoint()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: Option<[u64; 5]>) {
        let counts = parse(json).map(|u| [u.input, u.cache_read, u.cache_write_5m, u.output, u.reasoning]);
        assert_eq!(counts, expected, "{json}");
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
    fn nonsense_does_not_overflow() {
        let json = format!(r#"{{"prompt_tokens":{0},"completion_tokens":{0},"total_tokens":{0}}}"#, u64::MAX);
        check(&json, Some([MAX_TOKENS, 0, 0, MAX_TOKENS, 0]));
    }
}
