//! Whole completions for clients.

use crate::canonical::{Answer, Block, Identity, Losses, StopReason};
use crate::envelope::{Envelope, quoted};
use crate::openai_chat::usage;
use crate::request::as_string;

/// What stops are called in completions.
pub(super) fn finish_reason(stop: StopReason) -> &'static str {
    match stop {
        StopReason::MaxTokens | StopReason::ContextWindow => "length",
        StopReason::ContentFilter => "content_filter",
        StopReason::EndTurn
        | StopReason::StopSequence
        | StopReason::ToolUse
        | StopReason::Refusal
        | StopReason::PauseTurn => "stop",
    }
}

/// The `logprobs` of a choice, from log probabilities as chat completions write them; `offset` is where
/// their text begins in the answer, in characters.
pub(super) fn logprobs(texts: &[String], mut offset: usize) -> String {
    let (mut tokens, mut own, mut top, mut offsets) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for text in texts {
        let Ok(entry) = Envelope::parse(text) else { continue };
        let token = entry.present("token").unwrap_or("\"\"");
        let others = entry.array("top_logprobs").ok().flatten().unwrap_or_default();
        let others: Vec<String> = others
            .into_iter()
            .filter_map(|other| Envelope::parse(other).ok())
            .filter_map(|other| Some(format!("{}:{}", other.present("token")?, other.present("logprob")?)))
            .collect();
        tokens.push(token.to_owned());
        own.push(entry.present("logprob").unwrap_or("null").to_owned());
        top.push(format!("{{{}}}", others.join(",")));
        offsets.push(offset.to_string());
        offset = offset.saturating_add(as_string(token).map_or(0, |token| token.chars().count()));
    }
    format!(
        "{{\"tokens\":[{}],\"token_logprobs\":[{}],\"top_logprobs\":[{}],\"text_offset\":[{}]}}",
        tokens.join(","),
        own.join(","),
        top.join(","),
        offsets.join(",")
    )
}

/// A `text_completion` object with these choices, and `more` behind them.
pub(super) fn completion(identity: &Identity, choices: &str, more: &str) -> String {
    format!(
        "{{\"id\":{},\"object\":\"text_completion\",\"created\":{},\"model\":{},\"choices\":[{choices}]{more}}}",
        quoted(&format!("cmpl-{}", identity.id)),
        identity.created_s,
        quoted(&identity.model)
    )
}

/// One choice.
pub(super) fn choice(text: &str, logprobs: Option<&str>, finish_reason: Option<&str>) -> String {
    format!(
        "{{\"text\":{},\"index\":0,\"logprobs\":{},\"finish_reason\":{}}}",
        quoted(text),
        logprobs.unwrap_or("null"),
        finish_reason.map_or("null".to_owned(), quoted)
    )
}

/// Writes a whole completion, the text of the answer, and says what it cannot hold.
#[must_use]
pub fn encode(answer: &Answer, identity: &Identity) -> (String, Losses) {
    let mut text = String::new();
    let mut entries = Vec::new();
    let mut losses = Losses::default();
    for block in &answer.blocks {
        match block {
            Block::Text(more) => {
                text.push_str(&more.text);
                entries.extend_from_slice(&more.logprobs);
                more.citations.iter().for_each(|_| losses.add("citation"));
            }
            Block::Refusal(more) => text.push_str(more),
            Block::ToolUse(_) => losses.add("tool_calls"),
            Block::Reasoning { .. } | Block::Redacted(_) => losses.add("reasoning"),
            // No model answers with these.
            Block::Image(_) | Block::Document(_) | Block::ToolResult(_) => {}
        }
    }
    let logprobs = (!entries.is_empty()).then(|| logprobs(&entries, 0));
    let finish = answer.stop.as_ref().map_or("stop", |stop| finish_reason(stop.reason));
    let usage = answer.usage.map(|reported| format!(",\"usage\":{}", usage::to_json(&reported.usage)));
    let body = completion(identity, &choice(&text, logprobs.as_deref(), Some(finish)), &usage.unwrap_or_default());
    (body, losses)
}
