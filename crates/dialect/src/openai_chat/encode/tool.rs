//! Tools and the choice of them.

use std::collections::BTreeMap;

use crate::canonical::{Losses, Request, Tool, ToolChoice, ToolKind, refused};
use crate::envelope::Envelope;
use crate::openai_chat::object::{Object, object};
use crate::request::RequestError;

/// Writes the tools, the choice and whether several may be called at once.
pub(super) fn write(request: &Request, body: &mut Object, losses: &mut Losses) -> Result<(), RequestError> {
    let choice = request.tool_choice.as_ref().map(|choice| self::choice(choice, &request.tools)).transpose()?;
    if request.tools.is_empty() {
        // A choice among no tools is an error at OpenAI; `none` and `auto` mean nothing then.
        if matches!(request.tool_choice, Some(ToolChoice::Required)) {
            losses.add("tool_choice");
        }
        return Ok(());
    }
    body.set("tools", &request.tools.iter().map(tool).collect::<Vec<_>>());
    match choice {
        Some(Choice::Word(word)) => body.set("tool_choice", word),
        Some(Choice::Object(choice)) => body.set("tool_choice", &choice),
        None => {}
    }
    body.set_some("parallel_tool_calls", request.parallel_tool_calls.as_ref());
    Ok(())
}

fn tool(tool: &Tool) -> Object {
    let mut described = object([("name", &tool.name)]);
    described.set_some("description", tool.description.as_ref());
    match tool.kind {
        ToolKind::Function => {
            described.set_json("parameters", tool.schema.as_deref());
            described.set_some("strict", tool.strict.as_ref());
            object([("type", &"function"), ("function", &described)])
        }
        ToolKind::Custom => {
            described.set_json("format", tool.schema.as_deref().map(nested_format).as_deref());
            object([("type", &"custom"), ("custom", &described)])
        }
    }
}

/// The `format` of a custom tool in chat's form: a grammar stands in a member.
fn nested_format(json: &str) -> String {
    let flat = Envelope::parse(json).ok().filter(|fields| fields.present("definition").is_some());
    let Some(flat) = flat else { return json.to_owned() };
    let mut grammar = flat.edit();
    grammar.remove("type");
    format!("{{\"type\":\"grammar\",\"grammar\":{}}}", grammar.finish())
}

enum Choice {
    Word(&'static str),
    Object(Object),
}

fn choice(choice: &ToolChoice, tools: &[Tool]) -> Result<Choice, RequestError> {
    let kinds: BTreeMap<&str, ToolKind> = tools.iter().map(|tool| (tool.name.as_str(), tool.kind)).collect();
    let named = |name: &String| match kinds.get(name.as_str()) {
        Some(ToolKind::Function) => Ok(object([("type", &"function"), ("function", &object([("name", name)]))])),
        Some(ToolKind::Custom) => Ok(object([("type", &"custom"), ("custom", &object([("name", name)]))])),
        None => Err(refused("tool_choice")),
    };
    Ok(match choice {
        ToolChoice::Auto => Choice::Word("auto"),
        ToolChoice::None => Choice::Word("none"),
        ToolChoice::Required => Choice::Word("required"),
        ToolChoice::Named(name) => Choice::Object(named(name)?),
        ToolChoice::Allowed { required, names } => {
            let tools: Vec<Object> = names.iter().map(named).collect::<Result<_, RequestError>>()?;
            let mode = if *required { "required" } else { "auto" };
            let allowed = object([("mode", &mode), ("tools", &tools)]);
            Choice::Object(object([("type", &"allowed_tools"), ("allowed_tools", &allowed)]))
        }
    })
}
