//! The pivot into a body for an upstream of this dialect.

mod body;
mod settings;
mod turns;

use std::collections::BTreeSet;

use serde_json::value::RawValue;

use crate::canonical::{Encoded, Losses, Request, Role, Target, Tool, ToolChoice, ToolKind, refused};
use crate::envelope::Envelope;
use crate::request::RequestError;

use super::wire::Excess;
use body::{Body, Cache};
use turns::Writer;

/// The schema of a tool that takes any text.
const TEXT_SCHEMA: &str = r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#;
/// The schema of a tool that takes nothing.
const EMPTY_SCHEMA: &str = r#"{"type":"object","properties":{}}"#;

/// Writes a request for `target`.
///
/// # Errors
/// [`RequestError`] for what means something that this dialect cannot say.
pub fn encode(request: &Request, target: &Target<'_>) -> Result<Encoded, RequestError> {
    let mut losses = request.losses.clone();
    settings::refuse(request)?;
    let leading = request.turns.iter().take_while(|turn| matches!(turn.role, Role::System | Role::Developer)).count();
    let (ahead, turns) = request.turns.split_at_checked(leading).unwrap_or((&[], &request.turns));
    let mut writer = Writer { owner: target.owner, losses: &mut losses };
    let mut system = writer.system(&request.instructions)?;
    for turn in ahead {
        system.extend(writer.system(&turn.blocks)?);
    }
    let messages = writer.messages(turns)?;
    let tools = tools(request, &mut losses)?;
    let tool_choice = tool_choice(request)?;
    let max_tokens = target.lowered_output.or(request.max_output).unwrap_or(target.max_output);
    let mut body = Body {
        model: target.model,
        max_tokens,
        system,
        messages,
        tools,
        tool_choice,
        stop_sequences: settings::stop(request, &mut losses),
        temperature: None,
        top_p: None,
        top_k: None,
        thinking: None,
        output_config: body::OutputConfig::default(),
        metadata: request.metadata.user.as_deref().map(|user_id| body::Metadata { user_id }),
        cache_control: request.cache.map(Cache::of),
        stream: request.stream,
    };
    settings::reasoning(request, target, &mut body, &mut losses);
    settings::sampling(request, &mut body, &mut losses);
    settings::format(request, &mut body, &mut losses)?;
    settings::count_unknown(request, &mut losses);
    limit_marks(&mut body, &mut losses);
    let body = serde_json::to_string(&body).map_err(|_| refused("messages"))?;
    Ok(Encoded { body, losses })
}

fn raw(json: String, param: &str) -> Result<Box<RawValue>, RequestError> {
    RawValue::from_string(json).map_err(|_| RequestError::wrong_type(param, "JSON"))
}

fn tools<'a>(request: &'a Request, losses: &mut Losses) -> Result<Vec<body::Tool<'a>>, RequestError> {
    let allowed: Option<BTreeSet<&str>> = match &request.tool_choice {
        Some(ToolChoice::Allowed { names, .. }) => Some(names.iter().map(String::as_str).collect()),
        _ => None,
    };
    let allowed = |tool: &&Tool| allowed.as_ref().is_none_or(|names| names.contains(tool.name.as_str()));
    let mut tools = Vec::new();
    for tool in request.tools.iter().filter(allowed) {
        if tool.kind == ToolKind::Custom && tool.schema.is_some() {
            losses.add("tools.format");
        }
        tools.push(body::Tool {
            name: &tool.name,
            description: tool.description.as_deref(),
            input_schema: raw(schema(tool), "tools")?,
            strict: tool.strict.filter(|strict| *strict),
            cache_control: tool.cache.map(Cache::of),
        });
    }
    Ok(tools)
}

/// The schema of a tool's input, which must say that it is an object.
fn schema(tool: &Tool) -> String {
    let given = match (tool.kind, tool.schema.as_deref()) {
        (ToolKind::Custom, _) => return TEXT_SCHEMA.to_owned(),
        (ToolKind::Function, None) => return EMPTY_SCHEMA.to_owned(),
        (ToolKind::Function, Some(schema)) => schema,
    };
    match Envelope::parse(given) {
        Ok(envelope) if envelope.present("type").is_none() => {
            let mut edits = envelope.edit();
            edits.set("type", "\"object\"");
            edits.finish()
        }
        _ => given.to_owned(),
    }
}

fn tool_choice(request: &Request) -> Result<Option<body::ToolChoice<'_>>, RequestError> {
    let declared: BTreeSet<&str> = request.tools.iter().map(|tool| tool.name.as_str()).collect();
    let known = |name: &str| if declared.contains(name) { Ok(()) } else { Err(refused("tool_choice")) };
    let (kind, name) = match &request.tool_choice {
        Some(ToolChoice::Named(name)) => {
            known(name)?;
            ("tool", Some(name.as_str()))
        }
        Some(ToolChoice::Allowed { required, names }) => {
            names.iter().try_for_each(|name| known(name))?;
            (if *required { "any" } else { "auto" }, None)
        }
        Some(ToolChoice::Required) if request.tools.is_empty() => return Err(refused("tool_choice")),
        Some(ToolChoice::Required) => ("any", None),
        Some(ToolChoice::None) => ("none", None),
        Some(ToolChoice::Auto) => ("auto", None),
        None if request.parallel_tool_calls == Some(false) => ("auto", None),
        None => return Ok(None),
    };
    if request.tools.is_empty() {
        // Without tools the choice says nothing, and is an error to the provider.
        return Ok(None);
    }
    let disable_parallel_tool_use = request.parallel_tool_calls == Some(false) && kind != "none";
    Ok(Some(body::ToolChoice { r#type: kind, name, disable_parallel_tool_use }))
}

/// No more marks than the provider takes, and none for an hour behind one for five minutes.
fn limit_marks(body: &mut Body<'_>, losses: &mut Losses) {
    let mut ahead: Vec<&mut Option<Cache>> = body.tools.iter_mut().map(|tool| &mut tool.cache_control).collect();
    ahead.extend(body.system.iter_mut().filter_map(body::Block::cache_control));
    ahead.retain(|mark| mark.is_some());
    let mut of_messages: Vec<&mut Option<Cache>> = Vec::new();
    for block in body.messages.iter_mut().flat_map(|message| message.content.iter_mut()) {
        block.marks(turns::MAX_DEPTH, &mut of_messages);
    }
    let excess = Excess::of(ahead.len(), of_messages.len(), usize::from(body.cache_control.is_some()));
    let too_many = ahead.iter_mut().take(excess.ahead).chain(of_messages.iter_mut().take(excess.messages));
    for mark in too_many {
        **mark = None;
        losses.add("cache_control");
    }
    let mut five_minutes = false;
    for mark in ahead.into_iter().chain(of_messages).chain([&mut body.cache_control]).flatten() {
        if mark.ttl.is_none() {
            five_minutes = true;
        } else if five_minutes {
            mark.ttl = None;
            losses.add("cache_control.ttl");
        }
    }
}

#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod tests;
