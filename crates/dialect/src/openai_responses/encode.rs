//! The pivot's request, written for an upstream that speaks responses.

mod input;

use std::collections::BTreeSet;

use crate::canonical::{
    Block, Effort, Encoded, Format, Losses, ReasoningMode, Request, Target, Tool, ToolChoice, ToolKind, refused,
};
use crate::envelope::quoted;
use crate::openai_responses::item::{array, object};
use crate::openai_responses::wire::LIMIT_FIELD;
use crate::request::RequestError;
use input::Writer;

/// The least output limit that OpenAI takes.
const LEAST_OUTPUT: u64 = 16;
/// The longest `safety_identifier` and `prompt_cache_key` that OpenAI takes, in characters.
const LONGEST_ID: usize = 64;

/// Writes the body for an upstream.
///
/// # Errors
/// [`RequestError`] where what is asked for has no place in responses and changes what the answer is.
pub fn encode(request: &Request, target: &Target<'_>) -> Result<Encoded, RequestError> {
    if !request.stop.is_empty() {
        return Err(refused("stop"));
    }
    let mut losses = request.losses.clone();
    let mut writer = Writer { target, request, items: Vec::new(), losses: &mut losses };
    let instructions = writer.instructions();
    for turn in &request.turns {
        writer.turn(turn);
    }
    let items = writer.items;
    count_lost(request, &mut losses);

    let mut body = vec![("model", quoted(target.model)), ("input", array(&items))];
    let mut set = |key: &'static str, json: Option<String>| body.extend(json.map(|json| (key, json)));
    set("instructions", instructions);
    set("store", Some("false".to_owned()));
    set("stream", request.stream.then(|| "true".to_owned()));
    let limit = target.lowered_output.or(request.max_output).map(|limit| limit.max(LEAST_OUTPUT));
    set(LIMIT_FIELD, limit.map(|limit| limit.to_string()));
    set("temperature", request.sampling.temperature.clone());
    set("top_p", request.sampling.top_p.clone());
    if !request.tools.is_empty() {
        set("tools", Some(array(&request.tools.iter().map(tool).collect::<Vec<_>>())));
        set("tool_choice", request.tool_choice.as_ref().map(|choice| tool_choice(choice, request)).transpose()?);
        set("parallel_tool_calls", request.parallel_tool_calls.map(|parallel| parallel.to_string()));
    }
    set("reasoning", reasoning(request, target));
    set("text", text(request));
    let mut include = Vec::new();
    if target.reasons {
        include.push(quoted("reasoning.encrypted_content"));
    }
    if let Some(top) = request.logprobs {
        include.push(quoted("message.output_text.logprobs"));
        set("top_logprobs", Some(top.to_string()));
    }
    set("include", (!include.is_empty()).then(|| array(&include)));
    set("metadata", request.metadata.labels.clone());
    for (key, id) in [("safety_identifier", &request.metadata.user), ("prompt_cache_key", &request.prompt_cache_key)] {
        match id {
            Some(id) if id.chars().count() <= LONGEST_ID => set(key, Some(quoted(id))),
            // Coding tools put whole JSON texts here.
            Some(_) => losses.add(key),
            None => {}
        }
    }
    Ok(Encoded { body: object(&body), losses })
}

/// Counts what has no place in responses and is only advice.
fn count_lost(request: &Request, losses: &mut Losses) {
    let sampling = &request.sampling;
    for (name, given) in [
        ("top_k", &sampling.top_k),
        ("frequency_penalty", &sampling.frequency_penalty),
        ("presence_penalty", &sampling.presence_penalty),
        ("seed", &sampling.seed),
        ("logit_bias", &sampling.logit_bias),
    ] {
        if given.is_some() {
            losses.add(name);
        }
    }
    let blocks = request.instructions.iter().chain(request.turns.iter().flat_map(|turn| &turn.blocks));
    let of_blocks = blocks.flat_map(|block| match block {
        Block::ToolResult(result) => {
            std::iter::once(result.cache).chain(result.content.iter().map(Block::cache)).collect::<Vec<_>>()
        }
        _ => vec![block.cache()],
    });
    let of_tools = request.tools.iter().map(|tool| tool.cache);
    let marks = of_blocks.chain(of_tools).chain([request.cache]);
    marks.flatten().for_each(|_| losses.add("cache_control"));
}

fn tool(tool: &Tool) -> String {
    let mut members = Vec::new();
    let custom = tool.kind == ToolKind::Custom;
    members.push(("type", quoted(if custom { "custom" } else { "function" })));
    members.push(("name", quoted(&tool.name)));
    members.extend(tool.description.as_deref().map(|description| ("description", quoted(description))));
    if custom {
        members.extend(tool.schema.clone().map(|format| ("format", format)));
    } else {
        let none = || "{\"type\":\"object\",\"properties\":{}}".to_owned();
        members.push(("parameters", tool.schema.clone().unwrap_or_else(none)));
        // Absent would mean true, which few schemas satisfy.
        members.push(("strict", tool.strict.unwrap_or(false).to_string()));
    }
    object(&members)
}

/// A choice that names a tool which is not there is refused: a provider would say no more than that
/// something is wrong.
fn tool_choice(choice: &ToolChoice, request: &Request) -> Result<String, RequestError> {
    let given: BTreeSet<&str> = request.tools.iter().map(|tool| tool.name.as_str()).collect();
    let named_tools = match choice {
        ToolChoice::Named(name) => std::slice::from_ref(name),
        ToolChoice::Allowed { names, .. } => names,
        ToolChoice::Auto | ToolChoice::None | ToolChoice::Required => &[],
    };
    if named_tools.iter().any(|name| !given.contains(name.as_str())) {
        return Err(refused("tool_choice"));
    }
    let custom = request.tools.iter().filter(|tool| tool.kind == ToolKind::Custom);
    let custom: BTreeSet<&str> = custom.map(|tool| tool.name.as_str()).collect();
    let named = |name: &String| {
        let kind = if custom.contains(name.as_str()) { "custom" } else { "function" };
        object(&[("type", quoted(kind)), ("name", quoted(name))])
    };
    Ok(match choice {
        ToolChoice::Auto => quoted("auto"),
        ToolChoice::None => quoted("none"),
        ToolChoice::Required => quoted("required"),
        ToolChoice::Named(name) => named(name),
        ToolChoice::Allowed { required, names } => {
            let tools: Vec<String> = names.iter().map(named).collect();
            let mode = if *required { "required" } else { "auto" };
            object(&[("type", quoted("allowed_tools")), ("mode", quoted(mode)), ("tools", array(&tools))])
        }
    })
}

/// Effort and summary. A budget of tokens is an effort here; a model that does not reason is not asked to.
fn reasoning(request: &Request, target: &Target<'_>) -> Option<String> {
    let asked = request.reasoning.as_ref().filter(|_| target.reasons)?;
    let effort = match asked.mode {
        ReasoningMode::Disabled => Some(Effort::None),
        _ => asked.effort.or(asked.budget_tokens.map(Effort::of_budget)),
    };
    let mut members = Vec::new();
    members.extend(effort.map(|effort| ("effort", quoted(effort.word()))));
    let wants = matches!(asked.mode, ReasoningMode::Enabled | ReasoningMode::Adaptive);
    let summary = asked.shown.unwrap_or(wants);
    members.extend(summary.then(|| ("summary", quoted("auto"))));
    (!members.is_empty()).then(|| object(&members))
}

fn text(request: &Request) -> Option<String> {
    let mut members = Vec::new();
    match &request.format {
        None => {}
        Some(Format::JsonObject) => members.push(("format", object(&[("type", quoted("json_object"))]))),
        Some(Format::JsonSchema { name, description, schema, strict }) => {
            let name = name.as_deref().unwrap_or("response");
            let mut format = vec![("type", quoted("json_schema")), ("name", quoted(name)), ("schema", schema.clone())];
            format.extend(description.as_deref().map(|description| ("description", quoted(description))));
            format.extend(strict.map(|strict| ("strict", strict.to_string())));
            members.push(("format", object(&format)));
        }
    }
    members.extend(request.verbosity.as_deref().map(|verbosity| ("verbosity", quoted(verbosity))));
    (!members.is_empty()).then(|| object(&members))
}
