//! A whole answer: passed on, read into the pivot, and written from it.

use billing::usage::Usage;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::blocks::{self, Begun, citation_json};
use super::stop;
use super::stream::{message_id, tool_use_id};
use super::trim;
use super::usage::{self, Counts};
use crate::canonical::{
    Answer, Block, Delta, Event, Fold, Identity, Losses, Opaque, Open, Owner, Stop, StopReason, Text, ToolKind, ToolUse,
};
use crate::envelope::{Envelope, quoted};
use crate::json_text;
use crate::rewrite::{NotAnAnswer, Passed, Rewrite};
use crate::tokens::Vocabulary;
use crate::translate::Count;

/// Reads a whole message to be passed on.
///
/// # Errors
/// [`NotAnAnswer`].
pub fn read(body: &str, rewrite: &Rewrite, vocabulary: Vocabulary) -> Result<Passed, NotAnAnswer> {
    let envelope = message(body)?;
    let mut count = Count::new(vocabulary);
    decode(body, &Owner::new(""))?.events().iter().for_each(|event| count.read(event));
    let mut edits = envelope.edit();
    rewrite.apply(&envelope, &mut edits);
    if let (Some(owner), Some(content)) = (&rewrite.owner, envelope.present("content"))
        && let Some(tagged) = trim::tag_blocks(content, owner)
    {
        edits.set("content", &tagged);
    }
    Ok(Passed {
        usage: envelope.present("usage").and_then(usage::parse),
        body: if edits.is_empty() { body.to_owned() } else { edits.finish() },
        visible: count.meter().visible,
    })
}

fn message(body: &str) -> Result<Envelope<'_>, NotAnAnswer> {
    let envelope = Envelope::parse(body).map_err(|_| NotAnAnswer)?;
    let is_error = envelope.present("error").is_some() || envelope.get("type") == Some("\"error\"");
    if is_error { Err(NotAnAnswer) } else { Ok(envelope) }
}

/// Reads a whole message of `owner` into the pivot.
///
/// # Errors
/// [`NotAnAnswer`].
pub fn decode(body: &str, owner: &Owner) -> Result<Answer, NotAnAnswer> {
    let envelope = message(body)?;
    let content = envelope.array("content").ok().flatten().ok_or(NotAnAnswer)?;
    let mut fold = Fold::default();
    let mut index: usize = 0;
    for block in content {
        match blocks::begin(block, owner).map_err(|_| NotAnAnswer)? {
            Begun::Lost(name) => fold.push(&Event::Lost(name)),
            Begun::Block { open, mut deltas, input } => {
                if matches!(open, Open::ToolUse { .. }) {
                    deltas.push(Delta::Input(input.unwrap_or_else(|| "{}".to_owned())));
                }
                fold.push(&Event::Open { index, block: open });
                deltas.into_iter().for_each(|delta| fold.push(&Event::Delta { index, delta }));
                index = index.saturating_add(1);
            }
        }
    }
    let mut counts = Counts::default();
    counts.update(envelope.present("usage").unwrap_or_default());
    counts.reported().into_iter().for_each(|reported| fold.push(&Event::Usage(reported)));
    counts.service_tier().into_iter().for_each(|tier| fold.push(&Event::ServiceTier(tier.to_owned())));
    if envelope.present("stop_details").is_some() {
        // The provider's own words.
        fold.push(&Event::Lost("stop_details"));
    }
    if let Some(reason) = envelope.present("stop_reason") {
        let sequence = envelope.present("stop_sequence").and_then(json_text::text);
        fold.push(&Event::Stop(Stop { reason: stop::parse(&json_text::text(reason).unwrap_or_default()), sequence }));
    }
    Ok(fold.finish())
}

/// Writes a whole message, and says what it cannot hold.
#[must_use]
pub fn encode(answer: &Answer, identity: &Identity) -> (String, Losses) {
    let mut losses = Losses::default();
    let blocks = answer.blocks.iter().enumerate();
    let content: Vec<String> = blocks.filter_map(|(at, block)| block_json(block, at, identity, &mut losses)).collect();
    let refused = answer.blocks.iter().any(|block| matches!(block, Block::Refusal(_)));
    let reason = match answer.stop.as_ref().map(|stop| stop.reason) {
        // It was cut, and the only cut that is an answer is the one at the limit.
        None => StopReason::MaxTokens,
        Some(StopReason::EndTurn) if refused => StopReason::Refusal,
        Some(reason) => reason,
    };
    let sequence = answer.stop.as_ref().and_then(|stop| stop.sequence.as_deref());
    let reported = answer.usage.map(|reported| reported.usage);
    let usage = reported.unwrap_or(Usage { input: identity.likely_input, ..Usage::default() });
    let tier = answer.service_tier.as_deref().map(usage::service_tier);
    if tier == Some(None) {
        losses.add("service_tier");
    }
    let body = format!(
        r#"{{"id":{id},"type":"message","role":"assistant","model":{model},"content":[{content}],"stop_reason":"{reason}","stop_sequence":{sequence},"usage":{usage}}}"#,
        id = message_id(identity),
        model = quoted(&identity.model),
        content = content.join(","),
        reason = stop::word(reason),
        sequence = sequence.map_or_else(|| "null".to_owned(), quoted),
        usage = usage::to_json(&usage, tier.flatten(), None),
    );
    (body, losses)
}

fn block_json(block: &Block, at: usize, identity: &Identity, losses: &mut Losses) -> Option<String> {
    Some(match block {
        Block::Text(Text { text, citations: given, logprobs, .. }) => {
            let citations: Vec<String> = given.iter().filter_map(citation_json).collect();
            given.iter().skip(citations.len()).for_each(|_| losses.add("citations"));
            if !logprobs.is_empty() {
                losses.add("logprobs");
            }
            if citations.is_empty() {
                text_json(text)
            } else {
                format!(r#"{{"type":"text","text":{},"citations":[{}]}}"#, quoted(text), citations.join(","))
            }
        }
        Block::Refusal(text) => text_json(text),
        Block::Reasoning { text, opaque } => {
            // Reasoning without a provider's state still has an owner.
            let signature = opaque.clone().unwrap_or_else(|| Opaque::made_by(&identity.owner, "")).tagged();
            json!({"type": "thinking", "thinking": text, "signature": signature}).to_string()
        }
        Block::Redacted(opaque) => json!({"type": "redacted_thinking", "data": opaque.tagged()}).to_string(),
        Block::ToolUse(call) => {
            let id = quoted(&tool_use_id(identity, &call.id, at));
            let name = quoted(&identity.tool_names.client(&call.name).name);
            let input = input_of(call);
            format!(r#"{{"type":"tool_use","id":{id},"name":{name},"input":{input}}}"#)
        }
        // No model answers with these.
        Block::Image(_) | Block::Document(_) | Block::ToolResult(_) => return None,
    })
}

fn text_json(text: &str) -> String {
    json!({"type": "text", "text": text}).to_string()
}

/// The input of a call: an object, in which the text of a custom tool stands too.
pub(super) fn input_of(call: &ToolUse) -> String {
    match call.kind {
        ToolKind::Function => input_object(&call.input),
        ToolKind::Custom => json!({"input": call.input}).to_string(),
    }
}

/// The arguments as the object that they must be: what is cut off or no object stands in one as a text.
pub(super) fn input_object(input: &str) -> String {
    if matches!(input.trim(), "" | "null") {
        return "{}".to_owned();
    }
    let is_object = input.trim_start().starts_with('{') && serde_json::from_str::<&RawValue>(input).is_ok();
    if is_object { input.trim().to_owned() } else { Value::from_iter([("input", input)]).to_string() }
}

#[cfg(test)]
mod tests;
