//! The pivot into a chat request for an upstream.
//!
//! It is written for any compatible server: a field that only OpenAI knows is sent only where it was
//! asked for.

mod message;
mod tool;

use super::object::{Object, object};
use super::words;
use crate::canonical::{Effort, Encoded, Format, Losses, Reasoning, ReasoningMode, Request, Target};
use crate::request::RequestError;

/// OpenAI refuses a longer `user`.
const MAX_USER_CHARS: usize = 64;

/// Writes a request.
///
/// # Errors
/// [`RequestError`] where it asks for what this dialect cannot hold and cannot do without.
pub fn encode(request: &Request, target: &Target<'_>) -> Result<Encoded, RequestError> {
    let mut losses = request.losses.clone();
    let mut body = Object::default();
    body.set("model", target.model);
    body.set("messages", &message::messages(request, target, &mut losses)?);
    tool::write(request, &mut body, &mut losses)?;
    if request.stream {
        body.set("stream", &true);
        if target.stream_options {
            body.set("stream_options", &object([("include_usage", &true)]));
        }
    }
    if let Some(limit) = target.lowered_output.or(request.max_output) {
        body.set_owned(target.limit_field, &limit);
    }
    sampling(request, &mut body, &mut losses);
    if let Some(effort) = effort(request.reasoning.as_ref(), target, &mut losses) {
        body.set("reasoning_effort", words::effort(effort));
    }
    if let Some(format) = &request.format {
        body.set("response_format", &response_format(format));
    }
    body.set_some("verbosity", request.verbosity.as_ref());
    if let Some(alternatives) = request.logprobs {
        body.set("logprobs", &true);
        body.set_some("top_logprobs", Some(&alternatives).filter(|count| **count > 0));
    }
    match &request.metadata.user {
        Some(user) if user.chars().count() > MAX_USER_CHARS => losses.add("user"),
        user => body.set_some("user", user.as_ref()),
    }
    // OpenAI takes labels only for answers that it stores; and servers that know no cache key refuse it.
    for (name, lost) in
        [("metadata", request.metadata.labels.is_some()), ("prompt_cache_key", request.prompt_cache_key.is_some())]
    {
        if lost {
            losses.add(name);
        }
    }
    count_marks(request, &mut losses);
    Ok(Encoded { body: body.json(), losses })
}

fn sampling(request: &Request, body: &mut Object, losses: &mut Losses) {
    let sampling = &request.sampling;
    for (key, json) in [
        ("temperature", &sampling.temperature),
        ("top_p", &sampling.top_p),
        ("frequency_penalty", &sampling.frequency_penalty),
        ("presence_penalty", &sampling.presence_penalty),
        ("seed", &sampling.seed),
        ("logit_bias", &sampling.logit_bias),
    ] {
        body.set_json(key, json.as_deref());
    }
    // OpenAI refuses it.
    if sampling.top_k.is_some() {
        losses.add("top_k");
    }
    body.set_some("stop", Some(&request.stop).filter(|stop| !stop.is_empty()));
}

/// The effort to ask for: the one that was named, else that of the budget; where reasoning is only
/// switched on, the model's own.
fn effort(reasoning: Option<&Reasoning>, target: &Target<'_>, losses: &mut Losses) -> Option<Effort> {
    let reasoning = reasoning?;
    let off = reasoning.mode == ReasoningMode::Disabled || reasoning.effort == Some(Effort::None);
    if !target.reasons {
        // Not to reason is what such a model does.
        if !off {
            losses.add("reasoning");
        }
        return None;
    }
    if off { Some(Effort::None) } else { reasoning.effort.or(reasoning.budget_tokens.map(Effort::of_budget)) }
}

fn response_format(format: &Format) -> Object {
    match format {
        Format::JsonObject => object([("type", &"json_object")]),
        Format::JsonSchema { name, description, schema, strict } => {
            let mut described = object([("name", &name.as_deref().unwrap_or("response"))]);
            described.set_some("description", description.as_ref());
            described.set_json("schema", Some(schema));
            described.set_some("strict", strict.as_ref());
            object([("type", &"json_schema"), ("json_schema", &described)])
        }
    }
}

/// Counts the cache marks, which this dialect has not: its providers cache by themselves.
fn count_marks(request: &Request, losses: &mut Losses) {
    let blocks = request.turns.iter().flat_map(|turn| &turn.blocks).chain(&request.instructions);
    let marks = blocks.filter_map(crate::canonical::Block::cache);
    let marks = marks.chain(request.tools.iter().filter_map(|tool| tool.cache)).chain(request.cache);
    marks.for_each(|_| losses.add("cache_control"));
}
