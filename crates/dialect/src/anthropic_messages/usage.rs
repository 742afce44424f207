//! The usage object of messages, as disjoint counts.
//!
//! `input_tokens` excludes what was read from or written to a cache here (other dialects include it),
//! so the counts are disjoint as they come. A stream reports them several times: per field the last
//! value counts, never a sum.

use billing::money::NanoUsd;
use billing::usage::Usage;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::blocks::object;
use crate::canonical::Reported;
use crate::count::count;

/// What has been reported so far; `None` is not 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    input: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    cache_write_5m: Option<u64>,
    cache_write_1h: Option<u64>,
    output: Option<u64>,
    /// The output was told when the message began, and not since.
    output_is_first: bool,
    thinking: Option<u64>,
    web_searches: Option<u64>,
    service_tier: Option<String>,
}

#[derive(Default, Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default)]
    input_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    cache_read_input_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    cache_creation_input_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    cache_creation: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output_tokens_details: Option<&'a RawValue>,
    #[serde(borrow, default)]
    server_tool_use: Option<&'a RawValue>,
    #[serde(borrow, default)]
    service_tier: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Details<'a> {
    #[serde(borrow, default)]
    ephemeral_5m_input_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    ephemeral_1h_input_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    thinking_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    web_search_requests: Option<&'a RawValue>,
}

fn details(json: Option<&RawValue>) -> Details<'_> {
    json.and_then(|json| object(json.get())).unwrap_or_default()
}

impl Counts {
    /// Takes in the `usage` object that a stream begins with: its output is a token or a few, whatever follows.
    pub fn begin(&mut self, json: &str) {
        self.update(json);
        self.output_is_first = self.output.is_some();
    }

    /// Takes in one more `usage` object.
    pub fn update(&mut self, json: &str) {
        let Some(wire) = object::<Wire<'_>>(json) else { return };
        let latest = |field: &mut Option<u64>, json| *field = count(json).or(*field);
        latest(&mut self.input, wire.input_tokens);
        latest(&mut self.cache_read, wire.cache_read_input_tokens);
        latest(&mut self.cache_write, wire.cache_creation_input_tokens);
        self.output_is_first &= count(wire.output_tokens).is_none();
        latest(&mut self.output, wire.output_tokens);
        let by_ttl = details(wire.cache_creation);
        latest(&mut self.cache_write_5m, by_ttl.ephemeral_5m_input_tokens);
        latest(&mut self.cache_write_1h, by_ttl.ephemeral_1h_input_tokens);
        latest(&mut self.thinking, details(wire.output_tokens_details).thinking_tokens);
        latest(&mut self.web_searches, details(wire.server_tool_use).web_search_requests);
        let tier = wire.service_tier.and_then(|tier| serde_json::from_str(tier.get()).ok());
        self.service_tier = tier.or(self.service_tier.take());
    }

    /// The counts; `None` before the input or the output is known.
    #[must_use]
    pub fn reported(&self) -> Option<Reported> {
        if self.input.is_none() && self.output.is_none() {
            return None;
        }
        let by_ttl = self.cache_write_5m.unwrap_or(0).saturating_add(self.cache_write_1h.unwrap_or(0));
        // A later report may tell the sum alone: what an earlier one said of the hour still holds.
        let written = self.cache_write.unwrap_or(by_ttl);
        let one_hour = self.cache_write_1h.unwrap_or(0).min(written);
        let output = self.output.unwrap_or(0);
        let usage = Usage {
            input: self.input.unwrap_or(0),
            cache_read: self.cache_read.unwrap_or(0),
            cache_write_5m: written.saturating_sub(one_hour),
            cache_write_1h: one_hour,
            output,
            reasoning: self.thinking.unwrap_or(0).min(output),
            web_searches: self.web_searches.unwrap_or(0),
        };
        Some(Reported { usage, lacks_output: self.output.is_none() || self.output_is_first })
    }

    /// The service tier that the provider says it used.
    #[must_use]
    pub fn service_tier(&self) -> Option<&str> {
        self.service_tier.as_deref()
    }
}

/// Reads one `usage` object; `None` when it tells neither input nor output.
#[must_use]
pub fn parse(json: &str) -> Option<Reported> {
    let mut counts = Counts::default();
    counts.update(json);
    counts.reported()
}

/// The `service_tier` for any dialect's word; `None`: there is none.
#[must_use]
pub fn service_tier(word: &str) -> Option<&str> {
    match word {
        "default" => Some("standard"),
        "standard" | "priority" | "batch" => Some(word),
        _ => None,
    }
}

/// A `usage` object with these counts and, where it is known, the cost in USD.
#[must_use]
pub fn to_json(usage: &Usage, service_tier: Option<&str>, cost: Option<NanoUsd>) -> String {
    #[derive(Serialize)]
    struct ByTtl {
        ephemeral_5m_input_tokens: u64,
        ephemeral_1h_input_tokens: u64,
    }
    #[derive(Serialize)]
    struct Thinking {
        thinking_tokens: u64,
    }
    #[derive(Serialize)]
    struct Searches {
        web_search_requests: u64,
    }
    #[derive(Serialize)]
    struct Object<'a> {
        input_tokens: u64,
        cache_creation_input_tokens: u64,
        cache_read_input_tokens: u64,
        cache_creation: ByTtl,
        output_tokens: u64,
        output_tokens_details: Thinking,
        #[serde(skip_serializing_if = "Option::is_none")]
        server_tool_use: Option<Searches>,
        #[serde(skip_serializing_if = "Option::is_none")]
        service_tier: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cost: Option<Box<RawValue>>,
    }
    let object = Object {
        input_tokens: usage.input,
        cache_creation_input_tokens: usage.cache_write_5m.saturating_add(usage.cache_write_1h),
        cache_read_input_tokens: usage.cache_read,
        cache_creation: ByTtl {
            ephemeral_5m_input_tokens: usage.cache_write_5m,
            ephemeral_1h_input_tokens: usage.cache_write_1h,
        },
        output_tokens: usage.output,
        output_tokens_details: Thinking { thinking_tokens: usage.reasoning },
        server_tool_use: (usage.web_searches > 0).then_some(Searches { web_search_requests: usage.web_searches }),
        service_tier,
        cost: cost.and_then(|cost| RawValue::from_string(cost.to_string()).ok()),
    };
    // Numbers and strings: there is nothing in it that could fail.
    serde_json::to_string(&object).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(reports: &[&str]) -> Option<[u64; 6]> {
        let mut counts = Counts::default();
        reports.iter().for_each(|json| counts.update(json));
        let usage = counts.reported().map(|reported| reported.usage);
        usage.map(|u| [u.input, u.cache_read, u.cache_write_5m, u.cache_write_1h, u.output, u.reasoning])
    }

    #[test]
    fn trap_02_the_last_report_of_each_field_counts() {
        let start = r#"{"input_tokens":34824,"output_tokens":1,"cache_read_input_tokens":null}"#;
        let delta = r#"{"input_tokens":3883,"cache_read_input_tokens":30464,"output_tokens":9,"output_tokens_details":{"thinking_tokens":4}}"#;
        assert_eq!(after(&[start, delta]), Some([3883, 30464, 0, 0, 9, 4]));
        assert_eq!(after(&[start, r#"{"input_tokens":null,"output_tokens":7}"#]), Some([34824, 0, 0, 0, 7, 0]));
    }

    #[test]
    fn trap_03_writes_for_an_hour_are_counted_apart() {
        let start = r#"{"input_tokens":3,"cache_creation_input_tokens":10,"cache_creation":{"ephemeral_5m_input_tokens":4,"ephemeral_1h_input_tokens":6},"output_tokens":1}"#;
        assert_eq!(after(&[start]), Some([3, 0, 4, 6, 1, 0]));
        assert_eq!(
            after(&[start, r#"{"cache_creation_input_tokens":10,"output_tokens":2}"#]),
            Some([3, 0, 4, 6, 2, 0])
        );
        let split_only = r#"{"input_tokens":3,"cache_creation":{"ephemeral_1h_input_tokens":6}}"#;
        assert_eq!(after(&[split_only]), Some([3, 0, 0, 6, 0, 0]));
        assert_eq!(after(&[r#"{"input_tokens":3,"cache_creation_input_tokens":8}"#]), Some([3, 0, 8, 0, 0, 0]));
    }

    #[test]
    fn trap_06_nothing_is_not_zero() {
        for nothing in ["null", "{}", "[]", "7", r#"{"input_tokens":-1}"#, r#"{"service_tier":"standard"}"#] {
            assert_eq!(after(&[nothing]), None, "{nothing}");
        }
        assert_eq!(after(&[r#"{"input_tokens":0,"output_tokens":0}"#]), Some([0; 6]));
        assert_eq!(after(&[r#"{"input_tokens":7.0,"output_tokens":"x"}"#]), Some([7, 0, 0, 0, 0, 0]));
    }

    #[test]
    fn an_output_that_was_told_in_the_beginning_alone_is_none() {
        let lacks = |start: &str, delta: &str| {
            let mut counts = Counts::default();
            counts.begin(start);
            counts.update(delta);
            counts.reported().unwrap().lacks_output
        };
        let start = r#"{"input_tokens":3,"output_tokens":1}"#;
        assert!(lacks(start, "{}") && lacks(start, r#"{"output_tokens":null}"#));
        assert!(lacks(r#"{"input_tokens":3}"#, r#"{"input_tokens":3}"#));
        assert!(!lacks(start, r#"{"output_tokens":1}"#));
        assert!(!parse(start).unwrap().lacks_output);
    }

    #[test]
    fn an_object_of_ours_reads_back() {
        let usage = Usage {
            input: 1,
            cache_read: 2,
            cache_write_5m: 3,
            cache_write_1h: 4,
            output: 9,
            reasoning: 5,
            web_searches: 6,
        };
        let cost = NanoUsd::new(1_500).unwrap();
        let json = to_json(&usage, Some("standard"), Some(cost));
        assert_eq!(parse(&json), Some(usage.into()));
        assert!(json.contains(r#""service_tier":"standard","cost":0.0000015}"#), "{json}");
    }
}
