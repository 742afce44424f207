//! Why a model stopped, in the words of this dialect: the one table for whole and streamed answers.

use crate::canonical::StopReason;

/// Reads a `stop_reason`; one that is not known is an end like any other.
#[must_use]
pub fn parse(word: &str) -> StopReason {
    match word {
        "max_tokens" => StopReason::MaxTokens,
        "stop_sequence" => StopReason::StopSequence,
        "tool_use" => StopReason::ToolUse,
        "pause_turn" => StopReason::PauseTurn,
        "refusal" => StopReason::Refusal,
        "model_context_window_exceeded" => StopReason::ContextWindow,
        _ => StopReason::EndTurn,
    }
}

/// The `stop_reason` for it.
#[must_use]
pub fn word(reason: StopReason) -> &'static str {
    match reason {
        StopReason::EndTurn => "end_turn",
        StopReason::MaxTokens => "max_tokens",
        StopReason::StopSequence => "stop_sequence",
        StopReason::ToolUse => "tool_use",
        StopReason::PauseTurn => "pause_turn",
        // A filter is a refusal to those who read this dialect: it has no other word for it.
        StopReason::Refusal | StopReason::ContentFilter => "refusal",
        StopReason::ContextWindow => "model_context_window_exceeded",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_reads_back_but_the_filter_that_has_no_word() {
        for reason in [
            StopReason::EndTurn,
            StopReason::MaxTokens,
            StopReason::StopSequence,
            StopReason::ToolUse,
            StopReason::PauseTurn,
            StopReason::Refusal,
            StopReason::ContextWindow,
        ] {
            assert_eq!(parse(word(reason)), reason);
        }
        assert_eq!(parse(word(StopReason::ContentFilter)), StopReason::Refusal);
        assert_eq!(parse("something_new"), StopReason::EndTurn);
    }
}
