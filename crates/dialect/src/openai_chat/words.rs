//! Words of this dialect and what they mean, both ways: one table an idea.

use crate::canonical::{CacheMark, Effort, StopReason};
use crate::envelope::Envelope;
use crate::request::as_string;

/// What a `finish_reason` means.
pub(super) fn stop_reason(word: &str) -> StopReason {
    match word {
        "length" => StopReason::MaxTokens,
        "tool_calls" | "function_call" => StopReason::ToolUse,
        "content_filter" => StopReason::ContentFilter,
        // `stop` tells the end of a turn and a stop sequence alike; other words are some server's own.
        _ => StopReason::EndTurn,
    }
}

/// The `finish_reason` for a reason.
#[must_use]
pub fn finish_reason(reason: StopReason) -> &'static str {
    match reason {
        StopReason::EndTurn | StopReason::StopSequence | StopReason::PauseTurn => "stop",
        StopReason::MaxTokens | StopReason::ContextWindow => "length",
        StopReason::ToolUse => "tool_calls",
        StopReason::Refusal | StopReason::ContentFilter => "content_filter",
    }
}

/// The word for an effort: those of OpenAI, whose largest is `xhigh`.
pub(super) fn effort(effort: Effort) -> &'static str {
    match effort {
        Effort::Max => Effort::XHigh.word(),
        other => other.word(),
    }
}

/// The `service_tier` for any dialect's word, in chat completions and in responses; `None`: there is none.
pub(crate) fn service_tier(word: &str) -> Option<&str> {
    match word {
        "standard" => Some("default"),
        "auto" | "default" | "flex" | "scale" | "priority" => Some(word),
        _ => None,
    }
}

/// The mark that a `cache_control` sets.
pub(super) fn cache_mark(json: &str) -> Option<CacheMark> {
    let fields = Envelope::parse(json).ok()?;
    let ttl = fields.present("ttl").and_then(as_string);
    Some(if ttl.as_deref() == Some("1h") { CacheMark::OneHour } else { CacheMark::FiveMinutes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_that_this_dialect_knows_read_back() {
        for word in ["stop", "length", "tool_calls", "content_filter"] {
            assert_eq!(finish_reason(stop_reason(word)), word);
        }
        for (reason, word) in [
            (StopReason::StopSequence, "stop"),
            (StopReason::PauseTurn, "stop"),
            (StopReason::ContextWindow, "length"),
            (StopReason::Refusal, "content_filter"),
        ] {
            assert_eq!(finish_reason(reason), word);
        }
    }
}
