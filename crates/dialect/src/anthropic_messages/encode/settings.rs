//! What a request sets beside its conversation: reasoning, sampling, the form of the answer.

use serde_json::value::RawValue;

use super::body::{Block, Body, Format, Thinking};
use crate::canonical::{self, Effort, Losses, Reasoning, ReasoningMode, Request, Target, ToolChoice, refused};
use crate::request::RequestError;

/// The least budget that the provider takes, and what an answer needs beside it, in tokens.
const LEAST_BUDGET: u64 = 1_024;

/// Refuses what has no place here and changes what the answer is.
pub fn refuse(request: &Request) -> Result<(), RequestError> {
    if request.logprobs.is_some() { Err(refused("logprobs")) } else { Ok(()) }
}

/// Counts what has no place here and is advice.
pub fn count_unknown(request: &Request, losses: &mut Losses) {
    let sampling = &request.sampling;
    for (name, given) in [
        ("frequency_penalty", sampling.frequency_penalty.is_some()),
        ("presence_penalty", sampling.presence_penalty.is_some()),
        ("seed", sampling.seed.is_some()),
        ("logit_bias", sampling.logit_bias.is_some()),
        ("verbosity", request.verbosity.is_some()),
        ("prompt_cache_key", request.prompt_cache_key.is_some()),
        ("metadata", request.metadata.labels.is_some()),
    ] {
        if given {
            losses.add(name);
        }
    }
}

/// The stop sequences; the provider refuses those of nothing but white space.
pub fn stop<'a>(request: &'a Request, losses: &mut Losses) -> Vec<&'a str> {
    let (blank, kept): (Vec<&str>, Vec<&str>) =
        request.stop.iter().map(String::as_str).partition(|text| text.trim().is_empty());
    blank.iter().for_each(|_| losses.add("stop"));
    kept
}

/// Sets thinking and effort.
pub fn reasoning(request: &Request, target: &Target<'_>, body: &mut Body<'_>, losses: &mut Losses) {
    let Some(reasoning) = &request.reasoning else { return };
    let little = matches!(reasoning.effort, Some(Effort::None | Effort::Minimal));
    let off = reasoning.mode == ReasoningMode::Disabled || (reasoning.mode == ReasoningMode::Default && little);
    if off {
        if target.reasons {
            body.thinking = Some(Thinking { r#type: "disabled", budget_tokens: None, display: None });
        }
        return;
    }
    let effort = reasoning.effort.or(reasoning.budget_tokens.map(Effort::of_budget));
    if reasoning.mode == ReasoningMode::Default && effort.is_none() {
        return;
    }
    if !target.reasons {
        return losses.add("thinking");
    }
    if target.adaptive_thinking {
        body.output_config.effort = effort.map(|effort| effort.max(Effort::Low).word());
    }
    match thinking(reasoning, target, body.max_tokens).filter(|thinking| fits(thinking, request, body)) {
        Some(thinking) => body.thinking = Some(thinking),
        None => losses.add("thinking"),
    }
}

/// The thinking that is asked for; `None`: there is no room for it.
fn thinking(reasoning: &Reasoning, target: &Target<'_>, max_tokens: u64) -> Option<Thinking> {
    let display = reasoning.shown.map(|shown| if shown { "summarized" } else { "omitted" });
    if target.adaptive_thinking {
        return Some(Thinking { r#type: "adaptive", budget_tokens: None, display });
    }
    let wanted = reasoning.budget_tokens.unwrap_or_else(|| reasoning.effort.unwrap_or(Effort::Medium).budget());
    let budget = wanted.max(LEAST_BUDGET).min(max_tokens.saturating_sub(LEAST_BUDGET));
    (budget >= LEAST_BUDGET).then_some(Thinking { r#type: "enabled", budget_tokens: Some(budget), display })
}

/// Whether the provider takes thinking with this conversation: not where a tool is forced or the answer
/// begun, and a budget not where the turn that goes on began without thinking.
fn fits(thinking: &Thinking, request: &Request, body: &Body<'_>) -> bool {
    let forced = match &request.tool_choice {
        Some(ToolChoice::Required | ToolChoice::Named(_)) => true,
        Some(ToolChoice::Allowed { required, .. }) => *required,
        _ => false,
    };
    let begun = body.messages.last().is_some_and(|message| message.role == "assistant");
    let last = body.messages.iter().rev().find(|message| message.role == "assistant");
    let calls = |block: &Block<'_>| matches!(block, Block::ToolUse { .. });
    let thought = |block: &Block<'_>| matches!(block, Block::Thinking { .. } | Block::RedactedThinking { .. });
    let goes_on = body
        .messages
        .last()
        .is_some_and(|message| message.content.iter().any(|block| matches!(block, Block::ToolResult { .. })));
    let unthought = goes_on
        && last.is_some_and(|turn| turn.content.iter().any(calls) && !turn.content.first().is_some_and(thought));
    !forced && !begun && (thinking.r#type == "adaptive" || !unthought)
}

/// Sets how tokens are drawn, within what the provider takes.
pub fn sampling(request: &Request, body: &mut Body<'_>, losses: &mut Losses) {
    let raw = |json: &str| RawValue::from_string(json.to_owned()).ok();
    let sampling = &request.sampling;
    let thinks = body.thinking.as_ref().is_some_and(|thinking| thinking.r#type != "disabled");
    if thinks {
        for (name, given) in
            [("temperature", &sampling.temperature), ("top_p", &sampling.top_p), ("top_k", &sampling.top_k)]
        {
            // 1 is what thinking takes, and the default.
            if given.as_deref().is_some_and(|number| !is_one(number)) {
                losses.add(name);
            }
        }
        return;
    }
    if let Some(temperature) = &sampling.temperature {
        // Other dialects go up to 2. The comparison alone is made with a float.
        let high = temperature.parse::<f64>().is_ok_and(|number| number > 1.0);
        if high {
            losses.add("temperature");
        }
        body.temperature = raw(if high { "1" } else { temperature });
    }
    let with_temperature = sampling.temperature.is_some();
    if with_temperature && sampling.top_p.as_deref().is_some_and(|top_p| !is_one(top_p)) {
        // Newer models refuse both together.
        losses.add("top_p");
    } else if !with_temperature {
        body.top_p = sampling.top_p.as_deref().and_then(raw);
    }
    body.top_k = sampling.top_k.as_deref().and_then(raw);
}

fn is_one(number: &str) -> bool {
    number.strip_prefix('1').is_some_and(|rest| rest.is_empty() || rest.trim_end_matches('0') == ".")
}

/// Sets the form of the answer.
pub fn format(request: &Request, body: &mut Body<'_>, losses: &mut Losses) -> Result<(), RequestError> {
    match &request.format {
        None => {}
        Some(canonical::Format::JsonObject) => losses.add("response_format"),
        Some(canonical::Format::JsonSchema { schema, description, .. }) => {
            if description.is_some() {
                losses.add("response_format.description");
            }
            let schema = super::raw(schema.clone(), "response_format")?;
            body.output_config.format = Some(Format { r#type: "json_schema", schema });
        }
    }
    Ok(())
}
